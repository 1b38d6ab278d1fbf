"""Sweeps proposals that no caller looks after: expired ones, those of a dead process, those sent and never seen."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import structlog
from sqlalchemy import Connection, and_, case, func, or_, select

from strongroom.core.clock import Clock
from strongroom.core.coordination.loops import Incomplete
from strongroom.core.intents.store import forget_resolved
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement, Values, arg, execute
from strongroom.hathor import tables
from strongroom.hathor.gateway.push import Presence, PushNode
from strongroom.hathor.proposals.broadcaster import Broadcaster
from strongroom.hathor.proposals.parked import waiting_proposals
from strongroom.hathor.proposals.sent import KEPT_S, forget_sent, unsay_sent
from strongroom.hathor.proposals.store import cancel, forget, lose_broadcast
from strongroom.hathor.proposals.utxo_locks import ProposalRefused, drop_holds, release
from strongroom.hathor.tables import SENDABLE_STATUSES, SENT

log = structlog.get_logger(__name__)

SWEEP_S = 5.0
LIFE_S = 300
"""For so long a proposal holds its outputs."""
UNSEEN_S = 600
"""By then the chain shows a sent transaction; where it does not, the sweep asks the node."""
UNKNOWN_S = 86_400
"""The same for a sent proposal of the original, whose transaction nobody knows."""
AT_A_TIME = 200
_theirs, _ours = tables.tx_proposal.c, tables.proposal.c
_held, _output = tables.held_output.c, tables.tx_output.c
_OURS = tables.proposal, _ours.id == _theirs.id
# A proposal that is being sent does not expire: its transaction may arrive.
EXPIRED = Statement(
    select(_theirs.id)
    .outerjoin(*_OURS)
    .where(
        _theirs.status.in_(SENDABLE_STATUSES),
        _theirs.created_at <= arg("before_s"),
        _ours.sending_since_ms.is_(None),
    )
    .limit(arg("limit")),
    "before_s",
    "limit",
)
# The holds tell which sent proposals still matter. The table of proposals itself only grows.
_HELD_BY_SENT = tables.held_output.join(
    tables.tx_proposal, and_(_theirs.id == _held.proposal_id, _theirs.status == SENT)
)
# What another transaction has spent is awaited too: the chain may still turn, and the node is asked in time. Of the original's
# proposals, whose transactions nobody knows, any spender ends the waiting.
_IS_AWAITED = and_(
    _output.tx_id.is_not(None), or_(_output.spent_by.is_(None), _output.spent_by != _ours.tx_id)
)
SEEN = Statement(
    select(_held.proposal_id)
    .select_from(
        _HELD_BY_SENT.outerjoin(*_OURS).outerjoin(
            tables.tx_output, and_(_output.tx_id == _held.tx_id, _output.index == _held.index)
        )
    )
    .group_by(_held.proposal_id)
    .having(func.sum(case((_IS_AWAITED, 1), else_=0)) == 0)
)
# It spends nothing, or the sync has dropped its holds because the chain voided it.
WITHOUT_HOLDS = Statement(
    select(_ours.id)
    .join(tables.tx_proposal, and_(_theirs.id == _ours.id, _theirs.status == SENT))
    .outerjoin(tables.held_output, _held.proposal_id == _ours.id)
    .where(_held.proposal_id.is_(None))
    .limit(AT_A_TIME)
)
UNSEEN = Statement(
    select(_theirs.id, _ours.tx_id)
    .distinct()
    .select_from(_HELD_BY_SENT.outerjoin(*_OURS))
    .where(
        _theirs.updated_at <= arg("before_s"),
        or_(_ours.tx_id.is_not(None), _theirs.updated_at <= arg("unknown_before_s")),
    )
    .limit(AT_A_TIME),
    "before_s",
    "unknown_before_s",
)


Lost = Callable[[Connection, bytes], None]


class ProposalSweep:
    """One process runs the sweep. Two at once would waste work and do no harm."""

    def __init__(
        self, database: Database, broadcaster: Broadcaster, node: PushNode, clock: Clock, lost: Lost
    ) -> None:
        """`lost` tells of a payment that the network had and lost, before it is stored as rejected."""
        self._lost = lost
        self._database = database
        self._broadcaster = broadcaster
        self._node = node
        self._clock = clock

    async def sweep(self) -> None:
        """Sweeps each proposal by itself: a failure of one keeps no other waiting.

        Raises:
            Incomplete: some proposals failed; the next sweep tries them again.
        """
        failed: list[str] = []
        for step in (self._expire, self._take_up, self._drop_seen, self._release_lost, self._forget):
            try:
                failed += await step()
            except Exception as error:  # noqa: BLE001 - the other steps go on
                failed.append(fault_text(error))
        if failed:
            raise Incomplete(f"{len(failed)} proposals are not looked after: {failed[0]}")

    async def _expire(self) -> list[str]:
        """Cancels proposals that are too old, those that the original left behind too."""
        now_s = self._now_s()
        rows = await self._database.read(partial(_expired, now_s=now_s))
        return await _each(
            rows, lambda row: self._database.write(partial(_expire, proposal_id=row[0], now_s=now_s))
        )

    async def _take_up(self) -> list[str]:
        """Resolves transactions whose process is gone."""
        await self._broadcaster.sweep()
        return []

    async def _drop_seen(self) -> list[str]:
        """Drops the holds of outputs that the chain shows spent by what was sent, and what else the sending needed.

        Their marks stay, as the original's do.
        """
        seen = await self._database.read(lambda c: [*execute(c, SEEN), *execute(c, WITHOUT_HOLDS)])
        return await _each(seen, lambda row: self._database.write(partial(_drop, proposal_id=row[0])))

    async def _release_lost(self) -> list[str]:
        """Frees the outputs of sent proposals that the chain does not show, unless the node has the transaction."""
        now_s = self._now_s()
        rows = await self._database.read(lambda c: execute(c, UNSEEN, now_s - UNSEEN_S, now_s - UNKNOWN_S))

        async def release_lost(row: Values) -> None:
            proposal_id, tx_id = row
            # The sync may be behind; the node knows.
            if tx_id is not None and await self._node.presence(tx_id) is Presence.LIVE:
                return
            log.warning("a sent transaction is lost; it holds its outputs no longer", transaction=tx_id)
            await self._database.write(
                partial(_release, proposal_id=proposal_id, tx_id=tx_id, now_ms=now_s * 1000, lost=self._lost)
            )

        return await _each(rows, release_lost)

    async def _forget(self) -> list[str]:
        now_s = self._now_s()
        await self._database.write(partial(_forget_old, now_s=now_s))
        return []

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000


async def _each(rows: Iterable[Values], work: Callable[[Values], Awaitable[object]]) -> list[str]:
    """Does `work` for each row; returns why it failed, for each row where it did."""
    failed: list[str] = []
    for row in rows:
        try:
            await work(row)
        except Exception as error:  # noqa: BLE001 - the others go on
            failed.append(fault_text(error))
            log.warning("a proposal is not looked after", proposal=row[0], why=failed[-1])
    return failed


def _expired(connection: Connection, now_s: int) -> list[Values]:
    """Proposals that are too old. Those whose transaction waits for approvals stay until that is decided or over."""
    waiting = waiting_proposals(connection, now_s * 1000)
    found = execute(connection, EXPIRED, now_s - LIFE_S, AT_A_TIME + len(waiting))
    return [row for row in found if row[0] not in waiting]


def _expire(connection: Connection, proposal_id: str, now_s: int) -> None:
    try:
        cancel(connection, proposal_id, None, now_s)
    except ProposalRefused:
        return  # it was sent or cancelled meanwhile
    log.info("proposal expired", proposal=proposal_id)


def _drop(connection: Connection, proposal_id: str) -> None:
    drop_holds(connection, proposal_id)
    forget(connection, proposal_id)


def _release(connection: Connection, proposal_id: str, tx_id: str | None, now_ms: int, lost: Lost) -> None:
    if tx_id is not None:
        lost(connection, bytes.fromhex(tx_id))
        lose_broadcast(connection, tx_id, now_ms)
    release(connection, proposal_id)
    forget(connection, proposal_id)
    unsay_sent(connection, proposal_id)


def _forget_old(connection: Connection, now_s: int) -> None:
    # Intents are kept for as long as the bytes: both answer a caller that sends these again.
    forget_sent(connection, now_s)
    forget_resolved(connection, (now_s - KEPT_S) * 1000)
