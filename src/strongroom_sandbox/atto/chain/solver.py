"""Searches proof of work and blocks meanwhile."""

from collections.abc import Callable
from functools import cache
from typing import cast

from strongroom.atto.gateway.work_engines import Engine, StopFlag, load_engine
from strongroom.atto.protocol import Network, threshold

Solver = Callable[[Network, int, bytes], bytes]
"""Finds the work for a network, a timestamp in milliseconds and a target."""

_engine: Callable[[], Engine] = cache(load_engine)


def find_work(network: Network, timestamp_ms: int, target: bytes) -> bytes:
    """The first valid work, counting up from zero. Blocks for a moment on LOCAL, for minutes on LIVE.

    Raises:
        InvalidWork: no work is defined for this timestamp.
    """
    nonce = _engine().search(target, threshold(network, timestamp_ms), 0, StopFlag(0))
    return cast("int", nonce).to_bytes(8, "little")  # it is None only for a search that was stopped
