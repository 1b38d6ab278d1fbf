"""The WebSocket, and what is told over it."""
