"""Names of tokens, ids of devices and the node's words take any text, whatever character set the original's tables had."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.foreign_text import describe, narrow_columns, widen_texts
from strongroom.hathor import tables

revision = "hathor_0004"
down_revision = "hathor_0003"


def upgrade() -> None:
    widen_texts(op.get_bind(), tables.metadata)


def plan(connection: sa.Connection) -> list[str]:
    """What `upgrade` would do, in sentences. It only reads."""
    return describe(narrow_columns(connection, tables.metadata))
