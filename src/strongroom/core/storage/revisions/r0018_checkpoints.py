"""Signed checkpoints of the audit trail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import binary, insert_ignore

revision = "core_0018"
down_revision = "core_0015"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    op.create_table(
        "strongroom_checkpoint",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("batch_rows", sa.Integer, nullable=False),
        sa.Column("batch_root", binary(32), nullable=False),
        sa.Column("root", binary(32), nullable=False),
        sa.Column("previous", binary(32), nullable=False),
        sa.Column("signature", binary(64), nullable=False),
        sa.Column("ranges", LONG_TEXT, nullable=False),
        sa.Index("strongroom_checkpoint_time", "at_ms"),
    )
    state = op.create_table(
        "strongroom_checkpoint_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("positions", LONG_TEXT, nullable=False),
        sa.Column("peaks", binary(2016), nullable=False),
    )
    first = {"id": 1, "number": 0, "positions": "[]", "peaks": b""}
    insert_ignore(op.get_bind(), state, [first])
