"""A phone line for AI agents: places, answers and holds real phone calls."""
