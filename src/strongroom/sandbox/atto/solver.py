"""Proof of work in plain Python: some hundredths of a second on LOCAL, hopeless on other networks."""

import asyncio
import hashlib
from collections.abc import Callable

from strongroom.atto.protocol import Network, threshold

Solver = Callable[[Network, int, bytes], bytes]
"""Finds the work for a network, a timestamp in milliseconds and a target."""


def find_work(network: Network, timestamp_ms: int, target: bytes) -> bytes:
    """The first valid work, counting up.

    Raises:
        InvalidWork: no work is defined for this timestamp.
    """
    highest = threshold(network, timestamp_ms)
    nonce = 0
    while True:
        work = nonce.to_bytes(8, "little")
        digest = hashlib.blake2b(work + target, digest_size=8).digest()
        if int.from_bytes(digest, "little") <= highest:
            return work
        nonce += 1


class ThreadWorker:
    """The same beside the event loop."""

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        return await asyncio.to_thread(find_work, network, timestamp_ms, target)
