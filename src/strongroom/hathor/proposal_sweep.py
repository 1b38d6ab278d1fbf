"""Looks after proposals that nobody looks after: too old, left by a dead process, sent and never seen."""

from functools import partial

import structlog
from sqlalchemy import Connection

from strongroom.core.bulk import execute
from strongroom.core.clock import Clock
from strongroom.core.database import Database
from strongroom.core.errors import StrongroomError
from strongroom.hathor.gateway.push import Presence, PushNode
from strongroom.hathor.holds import ProposalRefusedError, release
from strongroom.hathor.proposals import cancel, forget, join_sending
from strongroom.hathor.sending import Sender

log = structlog.get_logger(__name__)

SWEEP_S = 5.0
LIFE_S = 300
"""How long a proposal holds its outputs."""
ORPHANED_S = 15.0
"""Longer than a push waits: whoever was sending it is gone, or is busy asking the node."""
UNSEEN_S = 600
"""The chain should show a sent transaction by then; if not, the node is asked."""
UNKNOWN_S = 86_400
"""For a sent proposal of the original, whose transaction nobody knows."""
AT_A_TIME = 200
EXPIRED = (
    "SELECT p.id FROM tx_proposal p LEFT JOIN strongroom_hathor_proposal o ON o.id = p.id"
    " WHERE p.status IN ('open', 'send_error') AND p.created_at <= {} AND o.sending_since_ms IS NULL LIMIT {}"
)
ORPHANS = "SELECT id FROM strongroom_hathor_proposal WHERE sending_since_ms <= {} LIMIT {}"
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

    def __init__(self, database: Database, sender: Sender, node: PushNode, clock: Clock) -> None:
        self._database = database
        self._sender = sender
        self._node = node
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except StrongroomError as error:
                log.warning("proposals not looked after", why=type(error).__name__)
            await self._clock.sleep(SWEEP_S)

    async def sweep(self) -> None:
        await self._expire()
        await self._take_up()
        await self._drop_seen()
        await self._release_lost()

    async def _expire(self) -> None:
        """Also proposals that the original left behind."""
        now_s = self._now_s()
        rows = await self._database.read(lambda c: execute(c, EXPIRED, now_s - LIFE_S, AT_A_TIME))
        for (proposal_id,) in rows:
            await self._database.write(partial(_expire, proposal_id=proposal_id, now_s=now_s))

    async def _take_up(self) -> None:
        before_ms = self._clock.now_ms() - int(ORPHANED_S * 1000)
        rows = await self._database.read(lambda c: execute(c, ORPHANS, before_ms, AT_A_TIME))
        for (proposal_id,) in rows:
            if self._sender.is_running(proposal_id):
                continue
            sending = await self._database.write(partial(join_sending, proposal_id=proposal_id))
            if sending is not None:
                log.info("taking up a transaction", transaction=sending.tx_id)
                self._sender.send(sending)

    async def _drop_seen(self) -> None:
        """What the chain shows spent needs no hold; the mark stays, as the original's does."""
        for proposal_id, unspent in await self._database.read(lambda c: execute(c, SEEN)):
            if not unspent:
                await self._database.write(partial(_drop, proposal_id=proposal_id))

    async def _release_lost(self) -> None:
        """Sent, and yet its outputs are unspent: unless the node has the transaction, they are free again."""
        now_s = self._now_s()
        rows = await self._database.read(
            lambda c: execute(c, UNSEEN, now_s - UNSEEN_S, now_s - UNKNOWN_S, AT_A_TIME)
        )
        for proposal_id, tx_id in rows:
            if tx_id is not None and await self._node.presence(tx_id) is Presence.LIVE:
                continue
            log.warning("a sent transaction is lost; its outputs are free", transaction=tx_id)
            await self._database.write(partial(_release, proposal_id=proposal_id))

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000


def _expire(connection: Connection, proposal_id: str, now_s: int) -> None:
    try:
        cancel(connection, proposal_id, None, now_s)
    except ProposalRefusedError:
        return  # sent or cancelled since
    log.info("proposal expired", proposal=proposal_id)


def _drop(connection: Connection, proposal_id: str) -> None:
    execute(connection, "DELETE FROM strongroom_hathor_held_output WHERE proposal_id = {}", proposal_id)
    forget(connection, proposal_id)


def _release(connection: Connection, proposal_id: str) -> None:
    release(connection, proposal_id)
    forget(connection, proposal_id)
