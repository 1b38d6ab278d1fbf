"""No two tokens have one name: idempotency keys and jobs belong to it.

Of those that share one, the oldest that is not revoked keeps it, or else the oldest; the others get their id behind it. What a
renamed token asked for under an Idempotency-Key stays answered for it: the rows are copied to its new name.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "core_0004"
down_revision = "core_0003"

TOKENS = sa.table(
    "strongroom_token", *(sa.column(name) for name in ("id", "name", "created_at_ms", "revoked_at_ms"))
)
KEYS = sa.table(
    "strongroom_idempotency",
    *(
        sa.column(name)
        for name in (
            "scope",
            "key",
            "fingerprint",
            "owner",
            "reference",
            "status",
            "body",
            "created_at_ms",
            "expires_at_ms",
        )
    ),
)


def upgrade() -> None:
    for token_id, old, new in _renames(op.get_bind().execute(sa.select(TOKENS))):
        op.execute(sa.update(TOKENS).where(TOKENS.c.id == token_id).values(name=new))
        _copy_keys(_digest(old), _digest(new))
    op.create_index("strongroom_token_name", "strongroom_token", ["name"], unique=True)


def _renames(rows: Iterable[Any]) -> list[tuple[str, str, str]]:
    """Id, old and new name. MySQL does not see spaces at a name's end."""
    oldest_first = sorted(rows, key=lambda row: (row.revoked_at_ms is not None, row.created_at_ms, row.id))
    taken: set[str] = set()
    renames: list[tuple[str, str, str]] = []
    for row in oldest_first:
        name = row.name
        if name.rstrip(" ") in taken:
            name = f"{name.rstrip(' ')} ({row.id})"
            renames.append((row.id, row.name, name))
        taken.add(name.rstrip(" "))
    return renames


def _copy_keys(old: str, new: str) -> None:
    connection = op.get_bind()
    there = sa.select(KEYS).where(KEYS.c.scope.like(f"%:{old}"))
    copies = [
        {**row, "scope": f"{row['scope'].partition(':')[0]}:{new}"}
        for row in connection.execute(there).mappings()
    ]
    if copies:
        connection.execute(KEYS.insert(), copies)


def _digest(name: str) -> str:
    """As the surfaces name the scope of a principal's keys."""
    return hashlib.sha256(f"token:{name}".encode()).hexdigest()
