"""Speech engines behind three small protocols; each engine is imported when chosen."""
