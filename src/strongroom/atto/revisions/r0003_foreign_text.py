"""What a node says of a block, and what is wrong with a receivable, take any text, whatever the server's character set."""

import sqlalchemy as sa
from alembic import op

from strongroom.atto import tables
from strongroom.core.storage.foreign_text import describe, narrow_columns, widen_texts

revision = "atto_0003"
down_revision = "atto_0002"


def upgrade() -> None:
    widen_texts(op.get_bind(), tables.metadata)


def plan(connection: sa.Connection) -> list[str]:
    """What `upgrade` would do, in sentences. It only reads."""
    return describe(narrow_columns(connection, tables.metadata))
