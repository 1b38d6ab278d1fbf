"""The pool: it keeps extrinsics that wait for a block, and tells their watchers what becomes of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from strongroom_sandbox.bittensor.execution.extrinsics import Extrinsic

Watcher = Callable[[Any], None]
"""Gets each status as a notification contains it."""
READY, FUTURE, DROPPED, INVALID = "ready", "future", "dropped", "invalid"
PEERS = ["12D3KooWSandboxPeer1111111111111111111111111111111111"]
ENDS = {DROPPED, INVALID, "usurped", "finalized", "finalityTimeout"}


@dataclass(slots=True, eq=False)
class Entry:
    """One extrinsic from its submission until it is final or lost."""

    extrinsic: Extrinsic
    priority: int
    order: int
    watchers: list[Watcher] = field(default_factory=list)
    block: bytes | None = None
    """The block of the best branch that includes it."""
    announced: bool = False
    """Whether the watcher was told `ready`."""

    def tell(self, status: Any) -> None:
        for watcher in list(self.watchers):
            watcher(status)
        if (status if isinstance(status, str) else next(iter(status))) in ENDS:
            self.watchers.clear()


class KnownError(Exception):
    """The same extrinsic waits already. The argument is its hash."""


class LowPriorityError(Exception):
    """Another one with the same nonce waits, and its priority is not lower."""

    def __init__(self, old: int, new: int) -> None:
        super().__init__(f"({old} vs {new})")


class BannedError(Exception):
    """The extrinsic was in a block, or proved invalid, a short while ago."""


class Pool:
    """The waiting extrinsics by hash, and those in blocks that are not final."""

    def __init__(self) -> None:
        self.waiting: dict[bytes, Entry] = {}
        self.included: dict[bytes, Entry] = {}
        self.banned: set[bytes] = set()
        self._orders = 0

    def refuse_known(self, extrinsic: Extrinsic, *, banned: bool) -> None:
        """Raises: BannedError (where `banned` ones are remembered), KnownError."""
        if banned and extrinsic.hash in self.banned:
            raise BannedError
        if extrinsic.hash in self.waiting:
            raise KnownError(_hex(extrinsic.hash))

    def add(self, extrinsic: Extrinsic, priority: int, watcher: Watcher | None) -> Entry:
        """Takes an extrinsic that was found valid; it may replace another of its sender.

        Raises:
            LowPriorityError: it is not taken.
        """
        rival = self._rival(extrinsic)
        if rival is not None:
            if priority <= rival.priority:
                raise LowPriorityError(rival.priority, priority)
            del self.waiting[rival.extrinsic.hash]
            rival.tell({"usurped": _hex(extrinsic.hash)})
        self._orders += 1
        entry = Entry(extrinsic, priority, self._orders, [watcher] if watcher else [])
        self.waiting[extrinsic.hash] = entry
        return entry

    def next_nonce(self, sender: bytes, account_nonce: int) -> int:
        """Returns the account's nonce after all extrinsics that wait without a gap."""
        waiting = {
            entry.extrinsic.nonce for entry in self.waiting.values() if entry.extrinsic.signer == sender
        }
        while account_nonce in waiting:
            account_nonce += 1
        return account_nonce

    def has_ready(self, nonce_of: Callable[[bytes], int]) -> bool:
        """Returns whether the next extrinsic of any account waits."""
        return any(
            entry.extrinsic.nonce == nonce_of(entry.extrinsic.signer) for entry in self.waiting.values()
        )

    def announce(self, nonce_of: Callable[[bytes], int]) -> None:
        """Tells those that became ready, and those that have a gap before them."""
        for entry in list(self.waiting.values()):
            if entry.announced:
                continue
            sender = entry.extrinsic.signer
            if entry.extrinsic.nonce < self.next_nonce(sender, nonce_of(sender)):
                entry.announced = True
                entry.tell(READY)
                entry.tell({"broadcast": PEERS})
            elif entry.watchers:
                entry.tell(FUTURE)

    def by_priority(self) -> Iterable[Entry]:
        """Returns the extrinsics that are ready, the best first, those of one sender in the order of their nonces."""
        queues: dict[bytes, list[Entry]] = {}
        for entry in sorted(self.waiting.values(), key=lambda entry: entry.extrinsic.nonce):
            queues.setdefault(entry.extrinsic.signer, []).append(entry)
        while queues:
            sender = min(queues, key=lambda sender: (-queues[sender][0].priority, queues[sender][0].order))
            yield queues[sender].pop(0)
            if not queues[sender]:
                del queues[sender]

    def include(self, entry: Entry, block: bytes) -> None:
        del self.waiting[entry.extrinsic.hash]
        entry.block = block
        self.included[entry.extrinsic.hash] = entry
        self.banned.add(entry.extrinsic.hash)
        entry.tell({"inBlock": _hex(block)})

    def retract(self, block: bytes) -> None:
        """Takes the extrinsics of a retracted block back into the pool."""
        for entry in [entry for entry in self.included.values() if entry.block == block]:
            del self.included[entry.extrinsic.hash]
            self.banned.discard(entry.extrinsic.hash)
            entry.block = None
            self.waiting[entry.extrinsic.hash] = entry
            entry.tell({"retracted": _hex(block)})

    def finalize(self, block: bytes) -> None:
        for entry in [entry for entry in self.included.values() if entry.block == block]:
            del self.included[entry.extrinsic.hash]
            entry.tell({"finalized": _hex(block)})

    def time_out(self, block: bytes) -> None:
        """Tells watchers that finality took too long, and tells them nothing afterwards."""
        for entry in self.included.values():
            if entry.block == block:
                entry.tell({"finalityTimeout": _hex(block)})

    def remove(self, entry: Entry, status: str) -> None:
        """Removes an extrinsic and tells its watcher why: `invalid` or `dropped`."""
        del self.waiting[entry.extrinsic.hash]
        if status == INVALID:
            self.banned.add(entry.extrinsic.hash)
        entry.tell(status)

    def forget(self, watcher: Watcher) -> None:
        """Ends the watching; the watcher is told nothing more."""
        for entry in [*self.waiting.values(), *self.included.values()]:
            if watcher in entry.watchers:
                entry.watchers.remove(watcher)

    def _rival(self, extrinsic: Extrinsic) -> Entry | None:
        for entry in self.waiting.values():
            if (entry.extrinsic.signer, entry.extrinsic.nonce) == (extrinsic.signer, extrinsic.nonce):
                return entry
        return None


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
