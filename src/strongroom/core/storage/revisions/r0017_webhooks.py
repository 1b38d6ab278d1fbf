"""Endpoints that are told of events, and the events that wait for them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, exact_text

revision = "core_0017"
down_revision = "core_0019"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
SEALED = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "strongroom_webhook",
        sa.Column("id", ascii_text(32), primary_key=True),
        sa.Column("name", exact_text(64), nullable=False),
        sa.Column("shown_url", exact_text(300), nullable=False),
        sa.Column("kinds", LONG_TEXT, nullable=False),
        sa.Column("wallets", LONG_TEXT, nullable=False),
        sa.Column("sealed", SEALED, nullable=False),
        sa.Column("state", ascii_text(16), nullable=False),
        sa.Column("reason", LONG_TEXT),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("created_by", exact_text(190), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("name", name="strongroom_webhook_name"),
    )
    op.create_table(
        "strongroom_webhook_event",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("endpoint", ascii_text(32), nullable=False),
        sa.Column("event", ascii_text(40), nullable=False),
        sa.Column("kind", ascii_text(64), nullable=False),
        sa.Column("stream", exact_text(190), nullable=False),
        sa.Column("payload", LONG_TEXT, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("state", ascii_text(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at_ms", sa.BigInteger, nullable=False),
        sa.Column("since_ms", sa.BigInteger),
        sa.Column("status", sa.Integer),
        sa.Column("trouble", LONG_TEXT),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.UniqueConstraint("endpoint", "event", name="strongroom_webhook_event_once"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "strongroom_webhook_event_stream", "strongroom_webhook_event", ["endpoint", "state", "stream", "id"]
    )
    op.create_index("strongroom_webhook_event_new", "strongroom_webhook_event", ["state", "id"])
    op.create_index("strongroom_webhook_event_ended", "strongroom_webhook_event", ["state", "ended_at_ms"])
