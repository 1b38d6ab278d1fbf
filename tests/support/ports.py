"""TCP ports of this machine."""

import socket


def free_port() -> int:
    """A port that nobody listens on. Another process may take it before you do: prefer port 0 where you can."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
