"""Elections: confirms or refuses published transactions."""

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final

from strongroom.atto.protocol import OpenBlock, ReceiveBlock, Transaction
from strongroom.core.clock import Clock
from strongroom_sandbox.atto.chain.rejection import Reason, Rejected
from strongroom_sandbox.atto.faults.faults import Faults
from strongroom_sandbox.atto.node.ledger import Ledger
from strongroom_sandbox.atto.problems import Problem

REPLY_TIMEOUT_S: Final = 40.0
_DUPLICATE_S: Final = 60.0


class _Recent:
    """The hashes of transactions that were seen in the last minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_s: dict[bytes, float] = {}

    def note(self, block_hash: bytes) -> bool:
        """Returns whether the hash was seen before, and notes it."""
        now_s = self._clock.monotonic_s()
        while self._seen_s and self._seen_s[oldest := next(iter(self._seen_s))] < now_s - _DUPLICATE_S:
            del self._seen_s[oldest]
        seen = block_hash in self._seen_s
        if not seen:
            self._seen_s[block_hash] = now_s
        return seen

    def forget(self, block_hash: bytes) -> None:
        self._seen_s.pop(block_hash, None)


class Elections:
    """Runs one election at a time for each account and height; elections of different accounts run in parallel.

    An election continues when its publisher disconnects.
    """

    def __init__(
        self,
        ledger: Ledger,
        faults: Faults,
        clock: Clock,
        *,
        delay_ms: int,
        reply_timeout_s: float = REPLY_TIMEOUT_S,
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._clock = clock
        self._delay_ms = delay_ms
        self._reply_timeout_s = reply_timeout_s
        self._running: dict[bytes, asyncio.Task[Transaction]] = {}
        self._slots: dict[tuple[bytes, int], asyncio.Task[Any]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._recent = _Recent(clock)

    async def publish(self, transaction: Transaction, *, deduplicate: bool) -> Transaction:
        """Returns when the network has confirmed the transaction.

        Args:
            transaction: of any origin.
            deduplicate: answer with the stored transaction if it is confirmed already.

        Raises:
            Problem: refused, expired or not decided in time.
        """
        self._verify(transaction)
        block_hash = transaction.hash
        if deduplicate and (stored := self._ledger.chain.transaction(block_hash)):
            return stored
        election = self._running.get(block_hash) or self._start(transaction, block_hash)
        try:
            async with asyncio.timeout(self._reply_timeout_s):
                return await asyncio.shield(election)
        except TimeoutError:
            text = f"Timed out waiting for {self._reply_timeout_s * 1000:.0f} ms"
            raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, text) from None
        except asyncio.CancelledError:
            if election.cancelled():
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The node is restarting") from None
            raise

    @property
    def undecided(self) -> int:
        """The number of running elections."""
        return len(self._running)

    async def stop(self) -> None:
        """Ends all elections undecided."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._recent = _Recent(self._clock)

    def _verify(self, transaction: Transaction) -> None:
        try:
            self._ledger.chain.verify(transaction, self._clock.now_ms())
        except Rejected as rejected:
            wrong_network = rejected.reason is Reason.INVALID_NETWORK
            text = "Invalid transaction network" if wrong_network else "Invalid transaction"
            raise Problem(HTTPStatus.BAD_REQUEST, text) from None

    def _start(self, transaction: Transaction, block_hash: bytes) -> asyncio.Future[Transaction]:
        if self._recent.note(block_hash) and self._faults.silent_duplicates:
            return asyncio.get_running_loop().create_future()  # nobody resolves it
        task = self._spawn(self._elect(transaction, block_hash))
        self._running[block_hash] = task
        task.add_done_callback(lambda _: self._running.pop(block_hash))
        return task

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks the exception as seen: a publisher that disconnected does not read it

    async def _elect(self, transaction: Transaction, block_hash: bytes) -> Transaction:
        await self._wait_for_dependencies(transaction)
        block = transaction.block
        slot = (block.public_key, block.height)
        while self._is_next(transaction, block_hash):
            rival = self._slots.get(slot)
            if rival is None:
                return await self._decide(transaction, block_hash, slot)
            # The first block in an election wins. A real node leaves the publisher of the other without an
            # answer; here it is told as soon as the winner is confirmed, unless `silent_rivals`.
            await asyncio.wait([rival])
            if self._faults.silent_rivals:
                await asyncio.get_running_loop().create_future()
        return transaction

    async def _wait_for_dependencies(self, transaction: Transaction) -> None:
        """A block whose previous or send is being elected waits for it."""
        block = transaction.block
        needed = [] if isinstance(block, OpenBlock) else [block.previous]
        if isinstance(block, OpenBlock | ReceiveBlock):
            needed.append(block.send_hash)
        running = [self._running[block_hash] for block_hash in needed if block_hash in self._running]
        if running:
            await asyncio.wait(running)

    def _is_next(self, transaction: Transaction, block_hash: bytes) -> bool:
        """Whether the transaction can be elected; not if it has been, as the frontier of its account."""
        try:
            self._ledger.chain.check(transaction)
        except Rejected as rejected:
            if rejected.reason is Reason.ALREADY_CONFIRMED:
                return False
            if rejected.reason.recoverable:
                self._recent.forget(block_hash)
            raise _refusal(rejected) from None
        return True

    async def _decide(
        self, transaction: Transaction, block_hash: bytes, slot: tuple[bytes, int]
    ) -> Transaction:
        self._slots[slot] = self._running[block_hash]
        try:
            if self._faults.take_expired_election():
                self._expire(transaction, block_hash)
            await self._confirm(transaction)
        except Rejected as rejected:
            raise _refusal(rejected) from None
        finally:
            del self._slots[slot]
        return transaction

    def _expire(self, transaction: Transaction, block_hash: bytes) -> None:
        self._recent.forget(block_hash)
        if self._faults.then_confirm:
            self._spawn(self._confirm(transaction))
        text = "Transaction rejected due to ELECTION_EXPIRED: Election took too long"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, text)

    async def _confirm(self, transaction: Transaction) -> None:
        delay_ms = self._faults.confirmation_delay_ms
        if delay_ms is None:
            delay_ms = self._delay_ms
        if delay_ms:
            await self._clock.sleep(delay_ms / 1000)
        self._ledger.confirm(transaction)


def _refusal(rejected: Rejected) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, f"Transaction rejected due to {rejected.reason}: {rejected.text}")
