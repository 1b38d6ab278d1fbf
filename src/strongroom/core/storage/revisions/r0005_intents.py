"""Signed intents of every ledger."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary, exact_text

revision = "core_0005"
down_revision = "core_0004"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)

PAYLOAD = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "strongroom_intent",
        sa.Column("id", binary(32), primary_key=True),
        sa.Column("account", ascii_text(128), nullable=False),
        sa.Column("slot", binary(64), unique=True),
        sa.Column("kind", ascii_text(128), nullable=False),
        sa.Column("payload", PAYLOAD, nullable=False),
        sa.Column("principal", exact_text(190), nullable=False),
        sa.Column("request", LONG_TEXT, nullable=False),
        sa.Column("stage", ascii_text(32), nullable=False),
        sa.Column("outcome", ascii_text(8), nullable=False),
        sa.Column("reason", LONG_TEXT),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("resolved_at_ms", sa.BigInteger),
        sa.Index("strongroom_intent_outcome", "outcome", "created_at_ms"),
        sa.Index("strongroom_intent_account", "account", "created_at_ms"),
    )
