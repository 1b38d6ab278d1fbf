"""Versions of the key-encryption key, secrets under it, the processes that hold it, and whether they are sealed.

The key of before becomes version 1. No sealed row changes.
"""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import ascii_text, binary, exact_text

revision = "core_0015"
down_revision = "core_0014"

STATE = sa.table("strongroom_binding_state", sa.column("key_check"))
AUDIT = sa.table("strongroom_audit", *(sa.column(name) for name in ("sequence", "at_ms", "action")))


def upgrade() -> None:
    op.add_column(
        "strongroom_binding", sa.Column("key_version", sa.Integer, nullable=False, server_default="1")
    )
    keys = op.create_table(
        "strongroom_key",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", ascii_text(16), nullable=False),
        sa.Column("key_check", binary(32), nullable=False),
        sa.Column("backend", exact_text(190)),
        sa.Column("wrapped", binary(4096)),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "strongroom_secret",
        sa.Column("purpose", ascii_text(64), primary_key=True),
        sa.Column("key_version", sa.Integer, nullable=False),
        sa.Column("sealed", binary(60), nullable=False),
    )
    op.create_table(
        "strongroom_replica",
        sa.Column("holder", ascii_text(64), primary_key=True),
        sa.Column("name", exact_text(190), nullable=False),
        sa.Column("versions", ascii_text(190), nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "strongroom_seal",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("is_sealed", sa.Boolean, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("tag", binary(32)),
        sa.Column("key_version", sa.Integer),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("attempted_at_ms", sa.BigInteger, nullable=False),
    )
    connection = op.get_bind()
    bound = connection.execute(sa.select(STATE.c.key_check).where(STATE.c.key_check.is_not(None))).first()
    if bound is None or connection.execute(sa.select(keys.c.version)).first() is not None:
        return
    since = connection.execute(
        sa.select(AUDIT.c.at_ms).where(AUDIT.c.action == "vault.bind").order_by(AUDIT.c.sequence)
    ).scalar()
    first = {"version": 1, "state": "active", "key_check": bound.key_check, "created_at_ms": since or 0}
    connection.execute(keys.insert(), first)
