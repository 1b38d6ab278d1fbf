"""The nonces that the SDKs' clients of the chain count by themselves, and how they find back to the chain's.

A client asks the node once and adds one each time. Whatever is refused, dropped or lost after it has counted leaves it
ahead of the chain, and what another program submits leaves it behind.
"""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from strongroom.bittensor.client.service import ServiceError

TURNS = "_remote_turns"
NONCE_TAKEN = "nonce_taken"


def is_nonce_taken(error: ServiceError) -> bool:
    """Whether the service refused because of the nonce; then it has signed nothing."""
    return error.code == NONCE_TAKEN


def forget(chain: Any, address: str) -> None:
    """Has the client ask the node for the account's next nonce again."""
    clear = getattr(chain, "clear_nonce_cache_for_account", None)
    if clear is not None:
        clear(address)
    else:  # versions before 1.6.5 or so
        chain._nonces.pop(address, None)  # noqa: SLF001 - it has no method for it


def turn(chain: Any, address: str) -> asyncio.Lock:
    """One signature of an account at a time: the service would refuse a nonce that comes before the one below it."""
    turns: dict[Any, asyncio.Lock] = chain.__dict__.setdefault(TURNS, {})
    return turns.setdefault((asyncio.get_running_loop(), address), asyncio.Lock())


class Draws:
    """How many nonces a task has drawn from a client's count since it last signed.

    One is the next nonce. A task that draws two pins the second on purpose, for what shall come after the first.
    """

    def __init__(self) -> None:
        self._counts: WeakKeyDictionary[asyncio.Task[Any], dict[int, int]] = WeakKeyDictionary()

    def note(self, chain: Any) -> None:
        task = asyncio.current_task()
        if task is not None:
            counts = self._counts.setdefault(task, {})
            counts[id(chain)] = counts.get(id(chain), 0) + 1

    def take(self, chain: Any) -> int:
        task = asyncio.current_task()
        return 0 if task is None else self._counts.get(task, {}).pop(id(chain), 0)
