"""Finds out the fate of signed blocks, by asking the node and never by guessing.

The same bytes are published until the node confirms them or it is certain that the ledger will never take them.
Publishing again is harmless (`deduplicate=true`), so any replica may resolve any block. Once one of them has settled
it no other publishes it again: a block that a client was told is rejected must not be confirmed after all.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from strongroom.atto.following.node_clock import NodeClock
from strongroom.atto.following.proof import require_signature
from strongroom.atto.gateway import InvalidNodeResponse, Node, NodeRejected
from strongroom.atto.protocol import AccountEntry, AccountState, Network
from strongroom.atto.transactions.refusals import REPLACED, require_final
from strongroom.atto.transactions.store import (
    BlockRejected,
    BlockState,
    RejectionCause,
    Settled,
    SignedBlock,
    StoreAndAnnounce,
    load_block,
    settle_confirmed,
    settle_rejected,
    unsettled,
)
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import Unavailable
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.loops import Incomplete
from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status
from strongroom.core.runtime.work_health import EXPECTED
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

SWEEP_S = 10.0
LOOK_S = 2.0
WORRYING_AGE_S = 60.0
COMPONENT = "attoPendingBlocks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The fate of a block. `entry` belongs to a confirmed one, where it can be told without the node's history."""

    state: BlockState
    entry: AccountEntry | None = None
    reason: str | None = None
    cause: RejectionCause | None = None

    def entry_or_raise(self) -> AccountEntry | None:
        """Raises BlockRejected for a block that the ledger will never have."""
        if self.state is BlockState.REJECTED:
            words = self.reason or "The node rejected the transaction"
            raise BlockRejected(words, self.cause or RejectionCause.RULE)
        return self.entry


class Resolver:
    """One resolution per block in this process, however many wait for it."""

    def __init__(
        self,
        *,
        node: Node,
        database: Database,
        network: Network,
        clock: Clock,
        node_clock: NodeClock,
        entropy: Entropy,
        background: Background,
        store_and_announce: StoreAndAnnounce,
        settled: Callable[[SignedBlock, Settled], None],
        overtaken: Callable[[AccountState], Awaitable[None]],
        health: Health,
        metrics: Metrics,
    ) -> None:
        """`settled` is told of confirmed blocks, `overtaken` of an account whose chain went on without ours."""
        self._node = node
        self._database = database
        self._network = network
        self._clock = clock
        self._node_clock = node_clock
        self._entropy = entropy
        self._background = background
        self._store_and_announce = store_and_announce
        self._settled = settled
        self._overtaken = overtaken
        self._running: dict[bytes, asyncio.Task[Outcome]] = {}
        self._since_s: dict[bytes, float] = {}
        self._news: dict[bytes, asyncio.Event] = {}
        self._troubles: dict[bytes, str] = {}
        """Why the last attempt failed."""
        self._seconds = metrics.histogram(
            "strongroom_atto_confirmation_seconds", "From publishing to the block's fate."
        )
        metrics.gauge("strongroom_atto_pending_blocks", "Blocks whose fate is open.").set_function(
            lambda: len(self._running)
        )
        health.watch(COMPONENT, self._health)

    def resolve(self, signed: SignedBlock) -> asyncio.Task[Outcome]:
        """Starts, or joins, the resolution of a block. Shield the task when waiting for it with a limit."""
        block_hash = signed.transaction.hash
        task = self._running.get(block_hash)
        if task is None:
            task = self._background.start(self._resolve(signed))
            self._running[block_hash] = task
            self._since_s[block_hash] = self._clock.monotonic_s()
            self._news[signed.transaction.block.public_key] = asyncio.Event()
            task.add_done_callback(lambda _: self._ended(signed))
        return task

    def moved(self, public_key: bytes) -> None:
        """The account's chain went on: a block of ours that is under way may have won or lost."""
        if news := self._news.get(public_key):
            news.set()

    def is_running(self, block_hash: bytes) -> bool:
        return block_hash in self._running

    async def sweep(self) -> None:
        """Takes up blocks that a crash, a shutdown or another replica's death left open.

        Raises:
            Incomplete: some cannot be taken up.
        """
        failed: dict[str, str] = {}
        for block_hash in await self._database.read(unsettled):
            if not self.is_running(block_hash):
                try:
                    await self._take_up(block_hash)
                except Exception as error:  # noqa: BLE001 - whatever is wrong with one block, the others are taken up
                    failed[block_hash.hex().upper()] = fault_text(error)
        if failed:
            block_name, why = next(iter(failed.items()))
            raise Incomplete(f"{len(failed)} blocks are not taken up, {block_name} because of {why}")

    async def _take_up(self, block_hash: bytes) -> None:
        signed = await self._database.read(lambda connection: load_block(connection, block_hash))
        if signed is not None and signed.state is BlockState.SIGNED:
            old_ms = self._clock.now_ms() - signed.created_at_ms
            log.info("taking up a block", hash=block_hash.hex().upper(), age_ms=old_ms)
            self.resolve(signed)

    async def _resolve(self, signed: SignedBlock) -> Outcome:
        backoff = Backoff(self._clock, self._entropy, first_s=0.25, cap_s=15.0)
        while True:
            try:
                if backoff.attempts and (outcome := await self._settled_elsewhere(signed)) is not None:
                    return outcome
                return await self._attempt(signed)
            except Exception as error:
                block_hash, why = signed.transaction.hash, fault_text(error)
                self._troubles[block_hash] = why
                log.warning(
                    "block not resolved yet",
                    hash=block_hash.hex().upper(),
                    attempt=backoff.attempts + 1,
                    why=why,
                    exc_info=None if isinstance(error, EXPECTED) else error,
                )
            await backoff.wait()

    async def _settled_elsewhere(self, signed: SignedBlock) -> Outcome | None:
        stored = await self._database.read(lambda connection: load_block(connection, signed.transaction.hash))
        if stored is None or stored.state is BlockState.SIGNED:
            return None
        if stored.state is BlockState.CONFIRMED:
            return await self._confirm(signed)
        return Outcome(state=stored.state, reason=stored.reason, cause=stored.cause)

    async def _attempt(self, signed: SignedBlock) -> Outcome:
        try:
            winner = await self._publish(signed)
            if winner is not None:
                return await self._compare_with_winner(signed, winner)
        except NodeRejected as rejection:
            return await self._judge(signed, rejection)
        except Unavailable:
            if await self._is_confirmed(signed):
                return await self._confirm(signed)
            raise
        return await self._confirm(signed)

    async def _publish(self, signed: SignedBlock) -> AccountState | None:
        """Publishes, and looks for the block meanwhile. Returns the account when it has moved on without the block.

        A node says nothing for 40 s of bytes that it saw within the last minute, confirmed or not, and nothing of a
        block whose place another one took.
        """
        block = signed.transaction.block
        news = self._news.get(block.public_key) or asyncio.Event()
        publishing = asyncio.ensure_future(self._node.publish(signed.transaction))
        try:
            while not await _ended_or_news(publishing, news):
                news.clear()
                with contextlib.suppress(Unavailable):
                    if await self._is_confirmed(signed):
                        return None
                    state = await self._node.account(block.address)
                    if state is not None and state.height >= block.height:
                        return state
            publishing.result()
        finally:
            publishing.cancel()
        return None

    async def _judge(self, signed: SignedBlock, rejection: NodeRejected) -> Outcome:
        """A refusal ends the matter only when nothing can ever confirm the block.

        A node refuses also what it has long confirmed, what it cannot place because it is itself behind, and what an
        earlier attempt is just about to confirm. The account is asked first: a block that is confirmed between two
        questions then shows in the later answer.
        """
        block = signed.transaction.block
        state = await self._node.account(block.address)
        if state is not None and state.height >= block.height:
            return await self._compare_with_winner(signed, state)
        if await self._is_confirmed(signed):
            return await self._confirm(signed)
        cause = await require_final(rejection, block, state, self._node, self._node_clock)
        place = (state.height, state.frontier) if state else (0, block.work_target)
        if place != (block.height - 1, block.work_target):
            raise Unavailable("The node does not stand where the block belongs")
        return await self._reject(signed, BlockRejected(rejection.message, cause))

    async def _compare_with_winner(self, signed: SignedBlock, state: AccountState) -> Outcome:
        """Decides by the block that the account has at this height. The account's own key signed it: that is proof."""
        block = signed.transaction.block
        winner = await self._node.transaction_at(block.address, block.height)
        if winner.hash == block.hash:
            return await self._confirm(signed)
        require_signature(winner, "the block that the node has in the place of ours")
        said = (winner.block.network, winner.block.public_key, winner.block.height)
        if said != (self._network, block.public_key, block.height):
            raise InvalidNodeResponse("The node has a block in the place of ours that does not belong there")
        await self._overtaken(
            state
        )  # before the account is free: what is signed next builds on its true state
        return await self._reject(signed, BlockRejected(REPLACED, RejectionCause.SLOT_TAKEN))

    async def _reject(self, signed: SignedBlock, rejected: BlockRejected) -> Outcome:
        now_ms = self._clock.now_ms()
        if not await self._database.write(
            lambda connection: settle_rejected(connection, signed, rejected, now_ms, self._network)
        ):
            raise Unavailable(
                "The block was settled by another process, or its account has not caught up yet"
            )
        log.warning("block rejected", hash=signed.transaction.hash.hex().upper(), reason=rejected.message)
        return Outcome(state=BlockState.REJECTED, reason=rejected.message, cause=rejected.cause)

    async def _is_confirmed(self, signed: SignedBlock) -> bool:
        return await self._node.transaction(signed.transaction.hash) is not None

    async def _confirm(self, signed: SignedBlock) -> Outcome:
        now_ms = self._clock.now_ms()

        def work(connection: Connection) -> Settled:
            return settle_confirmed(connection, signed, self._network, now_ms, self._store_and_announce)

        settled = await self._database.write(work)
        self._settled(signed, settled)
        return Outcome(state=BlockState.CONFIRMED, entry=settled.entry)

    def _ended(self, signed: SignedBlock) -> None:
        block_hash = signed.transaction.hash
        self._running.pop(block_hash, None)
        self._news.pop(signed.transaction.block.public_key, None)
        self._troubles.pop(block_hash, None)
        self._seconds.observe(self._clock.monotonic_s() - self._since_s.pop(block_hash))

    def _health(self) -> ComponentHealth:
        oldest_s = self._clock.monotonic_s() - min(self._since_s.values(), default=self._clock.monotonic_s())
        if oldest_s > WORRYING_AGE_S:
            detail = f"{len(self._running)} blocks are unresolved, the oldest for {oldest_s:.0f} s"
            return ComponentHealth(status=Status.DEGRADED, detail=detail)
        if self._troubles:
            why = next(reversed(self._troubles.values()))
            detail = (
                f"{len(self._running)} blocks are unresolved, {len(self._troubles)} are tried again: {why}"
            )
            return ComponentHealth(status=Status.DEGRADED, detail=detail)
        return ComponentHealth(status=Status.UP, detail=f"{len(self._running)} in flight")


async def _ended_or_news(publishing: asyncio.Future[None], news: asyncio.Event) -> bool:
    """Waits for the end of a publish, for news of the account, or for a while; says whether it was the end."""
    hearing = asyncio.ensure_future(news.wait())
    try:
        both: set[asyncio.Future[Any]] = {publishing, hearing}
        await asyncio.wait(both, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hearing.cancel()
    return publishing.done()
