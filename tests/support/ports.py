"""TCP ports of this machine."""

import socket


def free_port() -> int:
    """A port that nobody listens on. Another process may take it before you do: prefer port 0 where you can."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


PORTS = (
    "ATTO_PORT",
    "BITTENSOR_PORT",
    "HATHOR_PORT",
    "HATHOR_WS_PORT",
    "MANAGEMENT_PORT",
    "SANDBOX_ATTO_NODE_PORT",
    "SANDBOX_ATTO_WORK_PORT",
    "SANDBOX_HATHOR_PORT",
    "SANDBOX_BITTENSOR_PORT",
)


def own_ports() -> dict[str, str]:
    """Variables that give every surface of `serve --sandbox` a port of its own."""
    return {name: str(free_port()) for name in PORTS}
