"""Corrects the nonces that the SDKs' chain clients count by themselves.

A client asks the node once, and then adds one for each extrinsic. An extrinsic that is refused, dropped or lost leaves its count
ahead of the chain's, and an extrinsic of another program leaves it behind.
"""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from strongroom.bittensor.client.service import ServiceError

TURNS = "_remote_turns"
NONCE_TAKEN = "nonce_taken"
WAITING = frozenset({"account_busy", "era_ended"})
"""An earlier extrinsic of the account is followed: one that a pool refused, until its era is over."""
WAITS = 24
"""How often the service is asked again, which waits some 10 seconds each time: longer than an era of 16 blocks."""


def is_nonce_taken(error: ServiceError) -> bool:
    """Whether the service refused because of the nonce; then it has signed nothing."""
    return error.code == NONCE_TAKEN


def forget(chain: Any, address: str) -> None:
    """Makes the client ask the node for the account's next nonce again."""
    clear = getattr(chain, "clear_nonce_cache_for_account", None)
    if clear is not None:
        clear(address)
    else:  # versions before 1.6.5 or so
        chain._nonces.pop(address, None)  # noqa: SLF001 - it has no method for it


def turn(chain: Any, address: str) -> asyncio.Lock:
    """The lock for one signature of an account at a time: the service refuses a nonce that arrives before the lower one."""
    turns: dict[Any, asyncio.Lock] = chain.__dict__.setdefault(TURNS, {})
    return turns.setdefault((asyncio.get_running_loop(), address), asyncio.Lock())


class Asking:
    """One extrinsic to sign, however often the client asks the service for it. The service signs at most one.

    `is_pinned`: a nonce that is ahead of the account's was chosen on purpose, and no other will do.
    """

    def __init__(self, nonce: int | None, *, is_pinned: bool) -> None:
        self.nonce = nonce
        """The nonce that is asked for next; None: the next one of the account."""
        self._is_pinned = is_pinned and nonce is not None
        self._is_renewed = False
        self._waits = 0

    def may_go_on(self, error: ServiceError) -> bool:
        """Whether it is worth asking the node for the account's next nonce."""
        if is_nonce_taken(error):
            return not self._is_renewed
        return error.code in WAITING and self._waits < WAITS

    def goes_on(self, error: ServiceError, fresh: int | None) -> bool:
        """Whether to ask again, with `nonce` and a newer era. `fresh` is the node's next nonce."""
        if fresh is None or self.nonce is None:
            return False
        if is_nonce_taken(error):
            self._is_renewed = True
            if fresh == self.nonce or (self._is_pinned and fresh < self.nonce):
                return False
        else:
            self._is_renewed = False
            self._waits += 1
            if self._is_pinned and fresh < self.nonce:
                return True
        self.nonce = fresh
        return True

    def repeats(self, error: ServiceError) -> bool:
        """Does the work of `may_go_on` and `goes_on` for a client that asks the node by itself; a given nonce stays."""
        if not self.may_go_on(error) or (is_nonce_taken(error) and self._is_pinned):
            return False
        self._is_renewed = is_nonce_taken(error)
        self._waits += not self._is_renewed
        return True


class Draws:
    """How many nonces a task has drawn from a client's count since it last signed.

    One is the next nonce. A task that draws two nonces pins the second on purpose, for an extrinsic that must follow the first.
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
