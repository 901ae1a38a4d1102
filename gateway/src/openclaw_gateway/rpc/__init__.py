"""OpenClaw's Gateway protocol: frames, authentication, server and clients."""
