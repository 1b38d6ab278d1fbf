"""Tags the rows of a database that has none yet: a new one, or one of an earlier version. It happens once, at the first start with the key.

The audit trail records it, and every change of tagged rows afterwards; so do the tags, and checkpoints, which came with them. A database
that shows one of these signs is never tagged again. So it is no way for another program to have its own rows tagged, unless it removes
all signs: it would have to cut the trail and all checkpoints, which shows beside what was kept elsewhere.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Select, select

from strongroom.core.guard import tables
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.guard.state import lock_rules
from strongroom.core.guard.tagged_state import CHANGED, tag_rules
from strongroom.core.guard.tagged_state import SUBJECT as RULES
from strongroom.core.security.access import system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.storage import tables as core_tables
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

BOUND: Final = "rows.bind"
SUBJECT: Final = "strongroom_rows"
SYSTEM: Final = system_principal("rows")

_audit = core_tables.audit.c
_RECORDS: Final = tuple(
    select(_audit.sequence).where(_audit.subject == subject, _audit.action == action).limit(1)
    for subject, action in ((SUBJECT, BOUND), (RULES, CHANGED))
)


async def tag_existing(database: Database, audit: Audit, signs: Sequence[Select[Any]] = ()) -> None:
    """`signs`: what else finds rows in a database that was tagged before. Raises: Sealed: there is no key."""
    if await database.read(partial(was_tagged, signs=signs)):
        return

    def work(connection: Connection) -> None:
        lock_rules(connection)  # of several processes that start at once, one tags
        if was_tagged(connection, signs):
            return
        tokens = [*connection.execute(select(core_tables.token.c.id)).scalars()]
        approvals = [*connection.execute(select(tables.approval.c.id)).scalars()]
        counts = {"tokens": len(tokens), "approvals": len(approvals)}
        sequence = audit.append(connection, SYSTEM, BOUND, SUBJECT, counts)
        token_rows, approval_rows = TokenRows(audit.key), ApprovalRows(audit.key)
        for token in tokens:
            token_rows.tag(connection, token, sequence)
        for approval in approvals:
            approval_rows.tag(connection, approval, sequence)
        tag_rules(connection, audit, SYSTEM)
        log.info("the rows of tokens, rules and approvals have tags now", **counts)

    await database.write(work)


def was_tagged(connection: Connection, signs: Sequence[Select[Any]] = ()) -> bool:
    """By the audit trail, by any tag, or by another sign."""
    tagged: tuple[Select[Any], ...] = tuple(
        select(table.c.id).where(table.c.tag.is_not(None)).limit(1)
        for table in (tables.guard, core_tables.token, tables.approval)
    )
    return any(connection.execute(sign).first() is not None for sign in (*_RECORDS, *signs, *tagged))
