"""Finds out the fate of signed extrinsics by looking through the blocks of their eras, and never by guessing.

The same bytes are offered again until they are in a final block or it is certain that they never will be:

* EXPIRED: every block of the era is final, and none holds them;
* REPLACED: the account's nonce in a final block is beyond theirs, or that block's runtime is another than the one they
  were signed for, and no block up to it holds them.

A block that is not final may vanish (a fork): then they are looked for again. To offer bytes that a pool or a block
already has is harmless. Any replica may do all this; it runs under a lease because once is enough.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from strongroom.bittensor.extrinsics.block_index import BlockIndex, BlockPosition
from strongroom.bittensor.extrinsics.store import (
    Extrinsic,
    Inclusion,
    State,
    load_bytes,
    load_live,
    move,
    note_attempt,
)
from strongroom.bittensor.extrinsics.submitter import Settled
from strongroom.bittensor.gateway import (
    Block,
    Chain,
    Event,
    Heads,
    Item,
    PoolRefused,
    StateDiscarded,
    SubmissionUnknown,
)
from strongroom.bittensor.gateway.connection import Lost, NotSent
from strongroom.bittensor.protocol.failures import Failure, Refusal
from strongroom.core.clock import Clock
from strongroom.core.coordination.loops import Again, Incomplete
from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

POLL_S: Final = 0.5
IDLE_S: Final = 2.0
FIRST_OFFER_S: Final = 20.0
"""So long a process may take to offer what it signed, and to note the answer; then it is taken over."""
OFFER_AGAIN_S: Final = 30.0
WORRYING_AGE_S: Final = 900.0
AWAY = (NotSent, Lost, DatabaseUnavailable, OutcomeUnknown)
"""The chain or the database does not answer."""

Move = tuple[Extrinsic, State, Inclusion | None, Failure | None]


class Resolver:
    """Let it `look` again and again, under a lease; `wake` it when something was signed."""

    def __init__(
        self,
        *,
        chain: Chain,
        database: Database,
        clock: Clock,
        settled: Settled,
        changed: Callable[[], None],
    ) -> None:
        """`settled` is told of new states in their transaction, `changed()` after it."""
        self._chain = chain
        self._database = database
        self._clock = clock
        self._settled = settled
        self._changed = changed
        self._index = BlockIndex(chain)
        self._offered_s: dict[bytes, float] = {}
        self._suspect: set[bytes] = set()
        """Those that a pool did not take again: a reason to ask whether they still can be included."""
        self._live: Sequence[Extrinsic] = ()
        """What was open at the last look, oldest first."""
        self.news = asyncio.Event()

    def wake(self) -> None:
        self.news.set()

    async def look(self) -> Again | None:
        """One look at everything that is open. `news` says that there is more.

        Raises:
            Incomplete: some extrinsics could not be followed; the others were.
        """
        live = self._live = await self._database.read(load_live)
        hashes = {extrinsic.hash for extrinsic in live}
        self._offered_s = {one: at for one, at in self._offered_s.items() if one in hashes}
        self._suspect &= hashes
        if not live:
            return None
        failed = await self.follow(live)
        if failed:
            extrinsic_hash, why = next(iter(failed.items()))
            raise Incomplete(f"{len(failed)} are not followed, {extrinsic_hash.hex()} because of: {why}")
        return Again(POLL_S)

    async def follow(self, live: Sequence[Extrinsic]) -> dict[bytes, str]:
        """One look at the chain: settles what it can, and offers again what is in no block.

        Returns those with which something is wrong, and what.
        """
        heads = await self._chain.heads()
        await self._index.refresh(heads, _wanted(live, heads))
        failed = _Failures()
        events: dict[bytes, list[Event] | None] = {}
        moves: dict[bytes, list[Move]] = {}
        for extrinsic in live:
            with failed.of(extrinsic):
                moves[extrinsic.hash] = await self._moves(extrinsic, heads, events)
        await self._settle([extrinsic for extrinsic in live if moves.get(extrinsic.hash)], moves, failed)
        for extrinsic in live:
            is_unmoved = moves.get(extrinsic.hash) == [] and extrinsic.state is not State.IN_BLOCK
            if is_unmoved and self._is_due(extrinsic):
                with failed.of(extrinsic):
                    await self._offer(extrinsic)
        return failed.reasons

    async def _settle(
        self, moving: Sequence[Extrinsic], moves: Mapping[bytes, list[Move]], failed: "_Failures"
    ) -> None:
        """In one transaction; where that fails, in one for each."""
        if not moving:
            return
        together = [move for extrinsic in moving for move in moves[extrinsic.hash]]
        try:
            await self._database.write(lambda connection: self._move(connection, together))
        except AWAY:
            raise
        except Exception:  # noqa: BLE001 - it is told below with whom it fails
            for extrinsic in moving:
                with failed.of(extrinsic):
                    await self._database.write(partial(self._move, moves=moves[extrinsic.hash]))
        self._changed()

    async def _moves(
        self, extrinsic: Extrinsic, heads: Heads, events: dict[bytes, list[Event] | None]
    ) -> list[Move]:
        place = self._index.find(extrinsic.hash)
        if place is None:
            return await self._missing(extrinsic, heads)
        is_final = place.block.number <= heads.final.number
        known = extrinsic.inclusion
        if known is None or known.hash != place.block.hash:
            known = await self._inclusion(place, events)
        elif not is_final:
            return []
        return [(extrinsic, State.FINAL if is_final else State.IN_BLOCK, known, None)]

    async def _missing(self, extrinsic: Extrinsic, heads: Heads) -> list[Move]:
        if heads.final.number >= extrinsic.last_block:
            failure = Failure(
                type="Service", name="Expired", docs="No block took it before its era ended; it never will"
            )
            return [(extrinsic, State.EXPIRED, None, failure)]
        if extrinsic.state is State.IN_BLOCK:
            log.warning("an extrinsic's block vanished", hash=extrinsic.hash.hex(), block=extrinsic.inclusion)
            self._offered_s.pop(extrinsic.hash, None)
            return [(extrinsic, State.POOLED, None, None)]
        why = await self._replaced(extrinsic, heads)
        return [] if why is None else [(extrinsic, State.REPLACED, None, why)]

    async def _replaced(self, extrinsic: Extrinsic, heads: Heads) -> Failure | None:
        """What makes it impossible from the final block on; no block up to it holds the extrinsic."""
        if extrinsic.hash not in self._suspect:
            return None
        item = Item("System", "Account", (extrinsic.public_key,))
        (account,) = await self._chain.read([item], heads.final.hash)
        if account["nonce"] > extrinsic.nonce:
            docs = "Another extrinsic of the account, made elsewhere, has its nonce"
            return Failure(type="Service", name="NonceTaken", docs=docs)
        runtime = await self._chain.runtime(after=heads.final.hash)
        if runtime.spec_version > extrinsic.spec_version:
            docs = "The runtime was upgraded before a block took it"
            return Failure(type="Service", name="RuntimeUpgraded", docs=docs)
        return None

    async def _inclusion(self, place: BlockPosition, seen: dict[bytes, list[Event] | None]) -> Inclusion:
        block = place.block
        if block.hash not in seen:
            seen[block.hash] = await self._events(block)
        return read_inclusion(place, seen[block.hash])

    async def _events(self, block: Block) -> list[Event] | None:
        try:
            return list(await self._chain.events(block))
        except StateDiscarded:
            return None

    def _move(self, connection: Connection, moves: Sequence[Move]) -> None:
        for extrinsic, state, inclusion, failure in moves:
            moved = move(connection, extrinsic, state, inclusion=inclusion, failure=failure)
            if moved is not None:
                self._settled(connection, moved)

    def _is_due(self, extrinsic: Extrinsic) -> bool:
        if extrinsic.state is State.SIGNED and not extrinsic.attempts:
            return False
        age_s = (self._clock.now_ms() - extrinsic.created_at_ms) / 1000
        if extrinsic.state is State.SIGNED and age_s < FIRST_OFFER_S:
            return False
        offered_s = self._offered_s.get(extrinsic.hash)
        if offered_s is None and extrinsic.state is State.POOLED and age_s < OFFER_AGAIN_S:
            return False
        return offered_s is None or self._clock.monotonic_s() - offered_s >= OFFER_AGAIN_S

    async def _offer(self, extrinsic: Extrinsic) -> None:
        """Offers the same bytes again. No refusal proves anything now: another pool may have them."""
        self._offered_s[extrinsic.hash] = self._clock.monotonic_s()

        def unit(connection: Connection) -> bytes | None:
            if not note_attempt(connection, extrinsic):
                return None
            return load_bytes(connection, extrinsic.hash)

        raw = await self._database.write(unit)
        if raw is None:
            return
        try:
            await self._chain.submit(raw)
        except PoolRefused as error:
            if error.refusal.kind is not Refusal.KNOWN:
                self._suspect.add(extrinsic.hash)
            log.info("offered again", hash=extrinsic.hash.hex(), answer=error.message)
            if error.refusal.kind is not Refusal.KNOWN:
                return
        except (SubmissionUnknown, Unavailable) as error:
            log.info("offered again, no answer", hash=extrinsic.hash.hex(), why=error.message)
            return
        if extrinsic.state is State.SIGNED:
            await self._database.write(
                lambda connection: self._move(connection, [(extrinsic, State.POOLED, None, None)])
            )
            self._changed()

    def rest(self) -> None:
        """Another process follows them now."""
        self._live = ()

    def check(self) -> ComponentHealth:
        """DEGRADED while something is open for long."""
        if not self._live:
            return ComponentHealth(status=Status.UP)
        oldest_s = (self._clock.now_ms() - self._live[0].created_at_ms) / 1000
        status = Status.DEGRADED if oldest_s > WORRYING_AGE_S else Status.UP
        return ComponentHealth(
            status=status, detail=f"{len(self._live)} open, the oldest for {oldest_s:.0f} s"
        )


class _Failures:
    """What is wrong with which extrinsic. The others are followed all the same."""

    def __init__(self) -> None:
        self.reasons: dict[bytes, str] = {}

    @contextmanager
    def of(self, extrinsic: Extrinsic) -> Iterator[None]:
        try:
            yield
        except AWAY:
            raise  # for all of them
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this one's
            why = self.reasons[extrinsic.hash] = fault_text(error)
            log.warning("extrinsic not followed", hash=extrinsic.hash.hex(), why=why)


def read_inclusion(place: BlockPosition, events: Sequence[Event] | None) -> Inclusion:
    """What the block's events say of the extrinsic. Inclusion is not success."""
    success: bool | None = None
    failure: Failure | None = None
    fee = 0
    for event in events or ():
        if event.extrinsic != place.index:
            continue
        match event.pallet, event.name:
            case "System", "ExtrinsicSuccess":
                success = True
            case "System", "ExtrinsicFailed":
                success, failure = False, event.failure
            case "TransactionPayment", "TransactionFeePaid":
                fee = int(event.content["actual_fee"])
    return Inclusion(
        number=place.block.number,
        hash=place.block.hash,
        index=place.index,
        fee=fee,
        success=success,
        failure=failure,
    )


def _wanted(live: Sequence[Extrinsic], heads: Heads) -> set[int]:
    """The blocks that may hold them."""
    wanted: set[int] = set()
    for extrinsic in live:
        wanted.update(range(extrinsic.first_block + 1, min(extrinsic.last_block, heads.best.number) + 1))
    return wanted
