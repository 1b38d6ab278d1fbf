"""Names of tokens, ids of devices and the node's words take any text, whatever character set the original's tables had."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import exact_text
from strongroom.core.storage.foreign_text import describe, narrow_columns, widen_texts

revision = "hathor_0004"
down_revision = "hathor_0003"


# The columns that must take any text.
WIDE = sa.MetaData()
sa.Table(
    "token",
    WIDE,
    sa.Column("name", exact_text(30)),
    sa.Column("symbol", exact_text(5)),
)
sa.Table(
    "version_data",
    WIDE,
    sa.Column("data", mysql.TEXT(charset="utf8mb4", collation="utf8mb4_bin")),
)
sa.Table(
    "push_devices",
    WIDE,
    sa.Column("device_id", exact_text(256), primary_key=True),
)
sa.Table(
    "strongroom_hathor_source",
    WIDE,
    sa.Column("network", exact_text(64)),
    sa.Column("stream_id", exact_text(128)),
)


def upgrade() -> None:
    widen_texts(op.get_bind(), WIDE)


def plan(connection: sa.Connection) -> list[str]:
    """What `upgrade` would do, in sentences. It only reads."""
    return describe(narrow_columns(connection, WIDE))
