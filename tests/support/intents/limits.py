"""A rule over every payment of a world, and what its window must hold in the end."""

import json
from collections.abc import Sequence

from sqlalchemy import select

from strongroom.core.coordination.spent import decode_spent
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.vocabulary import Vocabulary
from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.trail import open_trail

LIMIT = {"effect": "deny", "limit": {"amount_raw": str(2**200), "count": 10**9, "seconds": 366 * 86_400}}
"""So wide that nothing is refused, and so long that nothing is forgotten."""


async def limit_all(database: Database, clock: ManualClock) -> None:
    rules = GuardAdministration(
        database,
        Audit(clock, open_trail()),
        clock,
        SeededEntropy(),
        vocabulary=Vocabulary(),
        loosening_delay_ms=0,
    )
    await rules.add(OPERATOR, "everything", json.dumps(LIMIT))


async def assert_counted(database: Database, intents: Sequence[Intent], *, keeps_some: bool) -> None:
    """The window holds what may move value or did, once each; `keeps_some`: and perhaps what only counts as failed."""
    rows = await database.fetch_all(select(tables.window.c.spent))
    held = [decode_spent(row.spent) for row in rows]
    signatures, amount = sum(each.signatures for each in held), sum(each.amount for each in held)
    counting = [
        json.loads(one.counted)
        for one in intents
        if one.counted is not None and one.outcome is not Outcome.REJECTED
    ]
    moving = sum(int(each[0][2]) for each in counting)
    assert all(one.counted is not None for one in intents if one.outcome is not Outcome.REJECTED)
    if keeps_some:
        assert signatures >= len(counting)
        assert amount >= moving
    else:
        assert (signatures, amount) == (len(counting), moving)
