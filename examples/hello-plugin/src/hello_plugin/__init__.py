"""An example plugin: it greets, and counts whom it greeted."""
