"""Requests that wait for approvals, and the votes for them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary, exact_text

revision = "core_0011"
down_revision = "core_0010"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    op.create_table(
        "strongroom_approval",
        sa.Column("id", ascii_text(32), primary_key=True),
        sa.Column("slot", binary(32), unique=True),
        sa.Column("purpose", ascii_text(16), nullable=False),
        sa.Column("state", ascii_text(16), nullable=False),
        sa.Column("terms_hash", binary(32), nullable=False),
        sa.Column("terms", LONG_TEXT, nullable=False),
        sa.Column("principal", exact_text(190), nullable=False),
        sa.Column("requester", LONG_TEXT, nullable=False),
        sa.Column("idempotency_key", exact_text(190)),
        sa.Column("document", LONG_TEXT),
        sa.Column("requirements", LONG_TEXT, nullable=False),
        sa.Column("votes", sa.Integer, nullable=False),
        sa.Column("asked_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("payload_id", binary(64)),
        sa.Column("reason", LONG_TEXT),
        sa.Index("strongroom_approval_state", "state", "asked_at_ms"),
    )
    op.create_table(
        "strongroom_approval_vote",
        sa.Column("approval", ascii_text(32), primary_key=True),
        sa.Column("principal", exact_text(190), primary_key=True),
        sa.Column("token", ascii_text(32)),
        sa.Column("has_scope", sa.Boolean, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("source", exact_text(190), nullable=False),
    )
