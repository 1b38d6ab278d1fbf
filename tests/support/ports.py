"""TCP ports of this machine."""

import itertools
import os
import random
import socket

FIRST, SPAN, LANES = 10_000, 5_000, 4
"""Below the ports that the system gives to outgoing connections; each test process counts through a lane of its own."""
_turn = itertools.count(random.randrange(SPAN))


def free_port() -> int:
    """A free port that this process has not returned lately."""
    lane = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % LANES
    for turn in itertools.islice(_turn, SPAN):
        port = FIRST + lane * SPAN + turn % SPAN
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise RuntimeError("no port is free")


PORTS = (
    "ATTO_PORT",
    "BITTENSOR_PORT",
    "CONSOLE_PORT",
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
