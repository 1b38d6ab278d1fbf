"""Offers extrinsics to a pool, and finds out their outcome in the blocks of their eras.

The same bytes are offered again until they are in a final block, or until it is certain that they never will be:

* EXPIRED: every block of the era is final, and none holds the extrinsic;
* REPLACED: no block up to the final one holds the extrinsic, and the account's nonce there is higher than its nonce, or the
  runtime there is newer than the one it was signed for.

A block that is not final may vanish in a fork: then its extrinsics are looked for again. It is harmless to offer bytes that a
pool or a block already has, so any process may follow any extrinsic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from strongroom.bittensor.extrinsics.block_index import BlockIndex, BlockPosition
from strongroom.bittensor.extrinsics.extrinsic import (
    NO_RECEIPT,
    POOLED,
    Dead,
    Extrinsic,
    InBlock,
    Inclusion,
    Receipt,
    State,
    dead,
    extrinsic_of,
    finalized,
)
from strongroom.bittensor.extrinsics.store import load_receipts
from strongroom.bittensor.gateway import (
    PROXY_EXECUTED,
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
from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.intents.intent import Intent, Pending, Unknown, Verdict
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

FIRST_OFFER_S: Final = 20.0
"""The process that signed has this time to make the first offer and to store the answer. Then others may offer too."""
OFFER_AGAIN_S: Final = 30.0
FORGOTTEN_S: Final = 300.0
"""An offer that is older than this belongs to an extrinsic that is in a block or resolved: open ones are offered more often."""
NONCE_TAKEN: Final = "NonceTaken"
UPGRADED: Final = "RuntimeUpgraded"
AWAY: Final = (NotSent, Lost, DatabaseUnavailable, OutcomeUnknown)
"""Errors that concern all extrinsics: the chain or the database does not answer."""
EXPIRED: Final = Failure(
    type="Service", name="Expired", docs="No block took it before its era ended; it never will"
)
REPLACED: Final = Failure(
    type="Service", name=NONCE_TAKEN, docs="Another extrinsic of the account, made elsewhere, has its nonce"
)
OUTDATED: Final = Failure(
    type="Service", name=UPGRADED, docs="The runtime was upgraded before a block took it"
)


@dataclass(slots=True, kw_only=True)
class _ChainView:
    """What one pass of `follow` has read."""

    heads: Heads
    positions: Mapping[bytes, BlockPosition]
    receipts: Mapping[bytes, Receipt]
    """The stored receipts, also those that another process has stored since."""
    events: dict[bytes, Sequence[Event] | None] = field(default_factory=dict)
    """Events by the hash of their block; None: the node has deleted them."""


class ExtrinsicNetwork:
    """The chain as the engine's network."""

    def __init__(self, *, chain: Chain, database: Database, clock: Clock) -> None:
        self._chain = chain
        self._database = database
        self._clock = clock
        self._blocks = BlockIndex(chain)
        self._offered_s: dict[bytes, float] = {}
        """When this process last offered each extrinsic again."""

    async def offer(self, intent: Intent) -> Verdict:
        """Offers it to a pool. A refusal of the only offer is final, because no one else has the bytes."""
        if not intent.is_new:
            self._offered_s[intent.id] = self._clock.monotonic_s()
        try:
            await self._chain.submit(intent.payload)
        except PoolRefused as error:
            return await self._judge_refusal(intent, error)
        except Unavailable as error:  # also if the greeting of a new connection fails
            failure = Failure(type="Service", name="NeverSent")
            return Dead(
                stage=State.WITHDRAWN, reason=error.message, failure=failure, if_unshared=True, cause=error
            )
        except SubmissionUnknown as error:
            return Unknown(why=error.message)
        return POOLED

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        """Looks for the extrinsics in the blocks of their eras. `Unknown` means that it is time to offer an extrinsic again.

        Raises:
            Unavailable, OutcomeUnknown: the chain or the database does not answer.
        """
        self._forget_old_offers()
        extrinsics = [extrinsic_of(intent) for intent in intents]
        view = await self._look(extrinsics)
        verdicts: dict[bytes, Verdict] = {}
        for extrinsic in extrinsics:
            try:
                verdicts[extrinsic.hash] = await self._verdict(extrinsic, view)
            except AWAY:
                raise  # for all of them
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are followed
                why = fault_text(error)
                log.warning("extrinsic not followed", hash=extrinsic.hash.hex(), why=why)
                verdicts[extrinsic.hash] = Pending(stage=extrinsic.state, trouble=why)
        return verdicts

    async def _look(self, extrinsics: Sequence[Extrinsic]) -> _ChainView:
        """Reads the stored receipts first, then the blocks: the blocks then are never older than the receipts."""
        hashes = [one.hash for one in extrinsics]
        receipts = await self._database.read(lambda connection: load_receipts(connection, hashes))
        heads = await self._chain.heads()
        positions = await self._blocks.positions(heads, _wanted(extrinsics, heads))
        return _ChainView(heads=heads, positions=positions, receipts=receipts)

    async def _verdict(self, extrinsic: Extrinsic, view: _ChainView) -> Verdict:
        position = view.positions.get(extrinsic.hash)
        if position is None:
            return await self._judge_absence(extrinsic, view)
        stored = view.receipts.get(extrinsic.hash, NO_RECEIPT).inclusion
        # Where one node had deleted the block's events, another may have them.
        is_known = stored is not None and stored.hash == position.block.hash and stored.success is not None
        inclusion = stored if stored is not None and is_known else await self._inclusion(position, view)
        if position.block.number <= view.heads.final.number:
            return finalized(inclusion)
        return InBlock(inclusion=inclusion, is_news=inclusion != stored)

    async def _judge_absence(self, extrinsic: Extrinsic, view: _ChainView) -> Verdict:
        """Judges an extrinsic that no block of the best chain holds."""
        if view.heads.final.number >= extrinsic.last_block:
            return dead(State.EXPIRED, EXPIRED)
        if extrinsic.state is State.IN_BLOCK:
            log.warning("an extrinsic's block vanished", hash=extrinsic.hash.hex())
            self._offered_s.pop(extrinsic.hash, None)
            return POOLED
        age_s = (self._clock.now_ms() - extrinsic.created_at_ms) / 1000
        if age_s >= OFFER_AGAIN_S and (failure := await self._obstacle(extrinsic, view.heads)):
            return dead(State.REPLACED, failure)
        if self._is_due(extrinsic, age_s):
            return Unknown(why="No block has it")
        return Pending(stage=extrinsic.state)

    async def _obstacle(self, extrinsic: Extrinsic, heads: Heads) -> Failure | None:
        """Returns why no block after the final one can include the extrinsic. No block up to it holds the extrinsic."""
        item = Item("System", "Account", (extrinsic.public_key,))
        (account,) = await self._chain.read([item], heads.final.hash)
        if account["nonce"] > extrinsic.nonce:
            return REPLACED
        runtime = await self._chain.runtime(after=heads.final.hash)
        return OUTDATED if runtime.spec_version > extrinsic.spec_version else None

    def _is_due(self, extrinsic: Extrinsic, age_s: float) -> bool:
        """Tells whether it is time to offer it again. A client's own extrinsic is not due until a block has held it."""
        if extrinsic.state is State.SIGNED and not extrinsic.attempts:
            return False
        offered_s = self._offered_s.get(extrinsic.hash)
        if offered_s is not None:
            return self._clock.monotonic_s() - offered_s >= OFFER_AGAIN_S
        return age_s >= (FIRST_OFFER_S if extrinsic.state is State.SIGNED else OFFER_AGAIN_S)

    async def _judge_refusal(self, intent: Intent, error: PoolRefused) -> Verdict:
        refusal = error.refusal
        if refusal.kind is Refusal.KNOWN:
            return POOLED
        if refusal.kind is Refusal.BANNED:
            return Unknown(why=error.message)
        failure = refusal.failure
        if refusal.kind is Refusal.NONCE_TAKEN:
            failure = Failure(type="Pool", name=NONCE_TAKEN, docs=failure.docs, code=failure.code)
        elif refusal.kind is Refusal.BAD_PROOF and await self._was_upgraded(extrinsic_of(intent)):
            failure = Failure(type="Pool", name=UPGRADED, docs="The runtime was upgraded in between")
        return Dead(stage=State.REFUSED, reason=failure.message, failure=failure, if_unshared=True)

    async def _was_upgraded(self, extrinsic: Extrinsic) -> bool:
        """Tells whether a bad proof means an upgrade of the runtime. The connection has checked the genesis hash."""
        try:
            return (await self._chain.runtime(fresh=True)).spec_version != extrinsic.spec_version
        except Unavailable:
            return False

    async def _inclusion(self, position: BlockPosition, view: _ChainView) -> Inclusion:
        block = position.block
        if block.hash not in view.events:
            view.events[block.hash] = await self._events(block)
        return read_inclusion(position, view.events[block.hash])

    async def _events(self, block: Block) -> Sequence[Event] | None:
        try:
            return await self._chain.events(block)
        except StateDiscarded:
            return None

    def _forget_old_offers(self) -> None:
        now_s = self._clock.monotonic_s()
        self._offered_s = {one: at for one, at in self._offered_s.items() if now_s - at < FORGOTTEN_S}


def read_inclusion(position: BlockPosition, events: Sequence[Event] | None) -> Inclusion:
    """Reads from the block's events whether the extrinsic succeeded, and its fee.

    That of a proxy succeeds even if the call that it makes fails; the chain says that in an event before.
    """
    success: bool | None = None
    failure: Failure | None = None
    inner: Failure | None = None
    fee = 0
    for event in events or ():
        if event.extrinsic != position.index:
            continue
        match event.pallet, event.name:
            case "System", "ExtrinsicSuccess":
                success = inner is None
                failure = inner
            case "System", "ExtrinsicFailed":
                success, failure = False, event.failure
            case name if name == PROXY_EXECUTED:
                inner = event.failure
            case "TransactionPayment", "TransactionFeePaid":
                fee = int(event.content["actual_fee"])
    return Inclusion(
        number=position.block.number,
        hash=position.block.hash,
        index=position.index,
        fee=fee,
        success=success,
        failure=failure,
    )


def _wanted(extrinsics: Sequence[Extrinsic], heads: Heads) -> set[int]:
    """Returns the numbers of the blocks that may hold the extrinsics."""
    wanted: set[int] = set()
    for extrinsic in extrinsics:
        wanted.update(range(extrinsic.first_block + 1, min(extrinsic.last_block, heads.best.number) + 1))
    return wanted
