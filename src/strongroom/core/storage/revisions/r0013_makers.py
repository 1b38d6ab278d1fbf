"""Which tokens got a secret of a token, so that what holds those back holds it back too.

Of the tokens that are there, the audit trail knows it.
"""

from collections import defaultdict

import msgspec
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "core_0013"
down_revision = "core_0012"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
AUDIT = sa.table(
    "strongroom_audit", *(sa.column(name) for name in ("sequence", "principal", "action", "subject"))
)
TOKENS = sa.table("strongroom_token", *(sa.column(name) for name in ("id", "name", "makers")))


def upgrade() -> None:
    op.add_column("strongroom_token", sa.Column("makers", LONG_TEXT))
    connection = op.get_bind()
    gifts = connection.execute(
        sa.select(AUDIT.c.subject, AUDIT.c.principal)
        .where(AUDIT.c.action.in_(("token.create", "token.rotate")), AUDIT.c.principal.like("token:%"))
        .order_by(AUDIT.c.sequence)
    ).all()
    if not gifts:
        return
    names = {row.id: f"token:{row.name}" for row in connection.execute(sa.select(TOKENS.c.id, TOKENS.c.name))}
    givers: dict[str, list[str]] = defaultdict(list)
    for token_id, giver in gifts:
        if token_id in names:
            givers[names[token_id]].append(giver)
    for token_id, name in names.items():
        if makers := _makers(name, givers):
            encoded = msgspec.json.encode(makers).decode()
            connection.execute(sa.update(TOKENS).where(TOKENS.c.id == token_id).values(makers=encoded))


def _makers(name: str, givers: dict[str, list[str]]) -> list[str]:
    """Those who gave it a secret, and those who gave them one, each once and never itself."""
    found: dict[str, None] = {}
    left = list(givers.get(name, ()))
    while left:
        giver = left.pop()
        if giver != name and giver not in found:
            found[giver] = None
            left += givers.get(giver, ())
    return list(found)
