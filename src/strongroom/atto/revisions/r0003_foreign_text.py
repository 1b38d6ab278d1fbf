"""Converts the columns for the node's reasons and the problems of receivables, so that they store any text."""

import sqlalchemy as sa
from alembic import op

from strongroom.atto import tables
from strongroom.core.storage.foreign_text import describe, narrow_columns, widen_texts

revision = "atto_0003"
down_revision = "atto_0002"


def upgrade() -> None:
    widen_texts(op.get_bind(), tables.metadata)


def plan(connection: sa.Connection) -> list[str]:
    """Describes in sentences what `upgrade` would do; it only reads."""
    return describe(narrow_columns(connection, tables.metadata))
