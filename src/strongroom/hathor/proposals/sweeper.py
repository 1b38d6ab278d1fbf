"""Looks after proposals that nobody looks after: too old, left by a dead process, sent and never seen."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.coordination.loops import Incomplete
from strongroom.core.intents.store import forget_resolved
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Values, execute
from strongroom.hathor.gateway.push import Presence, PushNode
from strongroom.hathor.proposals.broadcaster import Broadcaster
from strongroom.hathor.proposals.sent import KEPT_S, forget_sent, unsay_sent
from strongroom.hathor.proposals.store import cancel, forget, lose_broadcast
from strongroom.hathor.proposals.utxo_locks import ProposalRefused, release

log = structlog.get_logger(__name__)

SWEEP_S = 5.0
LIFE_S = 300
"""How long a proposal holds its outputs."""
UNSEEN_S = 600
"""The chain should show a sent transaction by then; if not, the node is asked."""
UNKNOWN_S = 86_400
"""For a sent proposal of the original, whose transaction nobody knows."""
AT_A_TIME = 200
EXPIRED = (
    "SELECT p.id FROM tx_proposal p LEFT JOIN strongroom_hathor_proposal o ON o.id = p.id"
    " WHERE p.status IN ('open', 'send_error') AND p.created_at <= {} AND o.sending_since_ms IS NULL LIMIT {}"
)
SEEN = (
    "SELECT h.proposal_id, SUM(CASE WHEN o.tx_id IS NOT NULL AND o.spent_by IS NULL THEN 1 ELSE 0 END)"
    " FROM strongroom_hathor_held_output h JOIN tx_proposal p ON p.id = h.proposal_id AND p.status = 'sent'"
    " LEFT JOIN tx_output o ON o.tx_id = h.tx_id AND o.`index` = h.`index`"
    " GROUP BY h.proposal_id"
)
UNSEEN = (
    "SELECT DISTINCT p.id, s.tx_id FROM strongroom_hathor_held_output h JOIN tx_proposal p ON p.id = h.proposal_id"
    " LEFT JOIN strongroom_hathor_proposal s ON s.id = p.id"
    " WHERE p.status = 'sent' AND p.updated_at <= {} AND (s.tx_id IS NOT NULL OR p.updated_at <= {}) LIMIT {}"
)


class ProposalSweep:
    """One process runs it; two at once would be wasteful, not wrong."""

    def __init__(self, database: Database, broadcaster: Broadcaster, node: PushNode, clock: Clock) -> None:
        self._database = database
        self._broadcaster = broadcaster
        self._node = node
        self._clock = clock

    async def sweep(self) -> None:
        """Looks after each proposal by itself: what is wrong with one keeps no other waiting.

        Raises:
            Incomplete: some have to wait.
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
        """Also proposals that the original left behind."""
        now_s = self._now_s()
        rows = await self._database.read(lambda c: execute(c, EXPIRED, now_s - LIFE_S, AT_A_TIME))
        return await _each(
            rows, lambda row: self._database.write(partial(_expire, proposal_id=row[0], now_s=now_s))
        )

    async def _take_up(self) -> list[str]:
        await self._broadcaster.sweep()
        return []

    async def _drop_seen(self) -> list[str]:
        """What the chain shows spent needs no hold; the mark stays, as the original's does."""
        rows = await self._database.read(lambda c: execute(c, SEEN))
        seen = [row for row in rows if not row[1]]
        return await _each(seen, lambda row: self._database.write(partial(_drop, proposal_id=row[0])))

    async def _release_lost(self) -> list[str]:
        """Sent, and yet its outputs are unspent: unless the node has the transaction, they are free again."""
        now_s = self._now_s()
        rows = await self._database.read(
            lambda c: execute(c, UNSEEN, now_s - UNSEEN_S, now_s - UNKNOWN_S, AT_A_TIME)
        )

        async def release_lost(row: Values) -> None:
            proposal_id, tx_id = row
            if tx_id is not None and await self._node.presence(tx_id) is Presence.LIVE:
                return
            log.warning("a sent transaction is lost; its outputs are free", transaction=tx_id)
            await self._database.write(
                partial(_release, proposal_id=proposal_id, tx_id=tx_id, now_ms=now_s * 1000)
            )

        return await _each(rows, release_lost)

    async def _forget(self) -> list[str]:
        now_s = self._now_s()
        await self._database.write(partial(_forget_old, now_s=now_s))
        return []

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000


async def _each(rows: Iterable[Values], work: Callable[[Values], Awaitable[object]]) -> list[str]:
    """Why it did not work, for each with which it did not."""
    failed: list[str] = []
    for row in rows:
        try:
            await work(row)
        except Exception as error:  # noqa: BLE001 - the others go on
            failed.append(fault_text(error))
            log.warning("a proposal is not looked after", proposal=row[0], why=failed[-1])
    return failed


def _expire(connection: Connection, proposal_id: str, now_s: int) -> None:
    try:
        cancel(connection, proposal_id, None, now_s)
    except ProposalRefused:
        return  # sent or cancelled since
    log.info("proposal expired", proposal=proposal_id)


def _drop(connection: Connection, proposal_id: str) -> None:
    execute(connection, "DELETE FROM strongroom_hathor_held_output WHERE proposal_id = {}", proposal_id)
    forget(connection, proposal_id)


def _release(connection: Connection, proposal_id: str, tx_id: str | None, now_ms: int) -> None:
    if tx_id is not None:
        lose_broadcast(connection, tx_id, now_ms)
    release(connection, proposal_id)
    forget(connection, proposal_id)
    unsay_sent(connection, proposal_id)


def _forget_old(connection: Connection, now_s: int) -> None:
    forget_sent(connection, now_s)
    forget_resolved(connection, (now_s - KEPT_S) * 1000)
