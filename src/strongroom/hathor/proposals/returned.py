"""Corrects payments that counted as rejected and that the chain shows all the same.

One node may refuse what another one takes, and what the network lost may come back. Whoever believes that a payment failed pays again.
"""

from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import Connection, false, select

from strongroom.core.chunks import chunks
from strongroom.core.clock import Clock
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import list_rejected, load_intent
from strongroom.core.storage.database import Database
from strongroom.hathor import tables
from strongroom.hathor.proposals.broadcaster import ACCEPTED, Broadcaster
from strongroom.hathor.proposals.sent import KEPT_S

log = structlog.get_logger(__name__)

LOOK_S: Final = 30.0
AT_A_TIME: Final = 500
_transaction = tables.transaction.c


class ReturnedPayments:
    """One process looks for them. Two at once would waste work and do no harm."""

    def __init__(self, database: Database, broadcaster: Broadcaster, clock: Clock) -> None:
        self._database = database
        self._broadcaster = broadcaster
        self._clock = clock

    async def look(self) -> None:
        """Raises: Unavailable: the database does not answer."""
        since_ms = self._clock.now_ms() - KEPT_S * 1000
        for intent in await self._database.read(lambda connection: _returned(connection, since_ms)):
            log.warning("the chain has a payment that counted as rejected", id=intent.id.hex())
            await self._broadcaster.overrule(intent, ACCEPTED)


def _returned(connection: Connection, since_ms: int) -> Sequence[Intent]:
    rejected = list_rejected(connection, since_ms)
    shown: list[str] = []
    for some in chunks(rejected, AT_A_TIME):
        among = _transaction.tx_id.in_([one.hex() for one in some])
        shown += connection.execute(
            select(_transaction.tx_id).where(among, _transaction.voided == false())
        ).scalars()
    found = (load_intent(connection, bytes.fromhex(tx_id)) for tx_id in shown)
    return [one for one in found if one is not None]
