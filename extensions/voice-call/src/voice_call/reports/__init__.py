"""What a call leaves behind, rendered: transcript, timeline, latency. Pure."""
