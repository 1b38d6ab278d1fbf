"""Converts the columns for the node's reasons and the problems of receivables, so that they store any text."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import exact_text
from strongroom.core.storage.foreign_text import describe, narrow_columns, widen_texts

revision = "atto_0003"
down_revision = "atto_0002"


# The columns that must take any text.
WIDE = sa.MetaData()
sa.Table(
    "strongroom_atto_account",
    WIDE,
    sa.Column("wallet_name", exact_text(255)),
    sa.Column("label", exact_text(255)),
)
sa.Table(
    "strongroom_atto_entry",
    WIDE,
    sa.Column("wallet_name", exact_text(255)),
)
sa.Table(
    "strongroom_atto_receivable",
    WIDE,
    sa.Column("problem", mysql.TEXT(charset="utf8mb4", collation="utf8mb4_bin")),
)


def upgrade() -> None:
    widen_texts(op.get_bind(), WIDE)


def plan(connection: sa.Connection) -> list[str]:
    """Describes in sentences what `upgrade` would do; it only reads."""
    return describe(narrow_columns(connection, WIDE))
