"""Finds out whether a sandbox chain should stand in for a local chain that nobody runs."""

import socket
from urllib.parse import urlsplit

from strongroom.bittensor.protocol.networks import Network
from strongroom.bittensor.settings import BittensorSettings
from strongroom.core.http.hosts import is_loopback
from strongroom.core.ledger.contract import AbsentNetwork

ANSWER_S = 2.0
DEFAULT_PORT = 80
"""The port of a `ws` URL that names none."""


def absent_chain(settings: BittensorSettings) -> AbsentNetwork | None:
    """Returns the chain that the settings name if it is local, on this machine, and nothing listens on its port."""
    if settings.network is not Network.LOCAL or len(settings.chain_endpoints) > 1:
        return None
    (endpoint,) = settings.chain_endpoints
    parts = urlsplit(endpoint)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    if parts.scheme != "ws" or not is_loopback(host):
        return None
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except OSError:
        return AbsentNetwork(endpoint, {"SANDBOX_BITTENSOR_PORT": str(port)})
    return None
