"""An OpenClaw-compatible Gateway: RPC over WebSocket, plugins, agents."""
