"""Who answers: agents, their sessions, and the run that streams a reply."""
