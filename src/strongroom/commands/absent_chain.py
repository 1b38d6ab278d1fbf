"""Whether a sandbox chain should stand in for a local chain of Bittensor."""

import socket
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from strongroom.bittensor.protocol.networks import Network
from strongroom.core.http.hosts import is_loopback
from strongroom.settings import read_settings

ANSWER_S = 2.0
DEFAULT_PORT = 80
"""Of a `ws` URL without one."""


class AbsentChain(NamedTuple):
    endpoint: str
    port: int


def absent_chain(variables: Mapping[str, str]) -> AbsentChain | None:
    """The chain that these variables name, if it is local, on this machine, and nobody listens there.

    Raises:
        SettingsError.
    """
    bittensor = read_settings(variables, ("bittensor",)).bittensor
    if bittensor is None or bittensor.network is not Network.LOCAL or len(bittensor.chain_endpoints) > 1:
        return None
    (endpoint,) = bittensor.chain_endpoints
    parts = urlsplit(endpoint)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    if parts.scheme != "ws" or not is_loopback(host):
        return None
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except OSError:
        return AbsentChain(endpoint, port)
    return None
