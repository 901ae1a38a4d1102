"""The call core: pure, no clock, no I/O. What happens to a call and what it asks for."""
