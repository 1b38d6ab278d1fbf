"""The core's first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary, exact_text, insert_ignore

revision = "core_0001"
down_revision = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    _audit()
    _events()
    _access()


def _audit() -> None:
    op.create_table(
        "strongroom_audit",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("principal", exact_text(190), nullable=False),
        sa.Column("action", ascii_text(64), nullable=False),
        sa.Column("subject", exact_text(255), nullable=False),
        sa.Column("details", LONG_TEXT, nullable=False),
        sa.Column("previous_hash", binary(32), nullable=False),
        sa.Column("hash", binary(32), nullable=False),
        sa.Index("strongroom_audit_subject", "subject", "sequence"),
    )
    head = op.create_table(
        "strongroom_audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", binary(32), nullable=False),
    )
    insert_ignore(op.get_bind(), head, [{"id": 1, "sequence": 0, "hash": bytes(32)}])


def _events() -> None:
    op.create_table(
        "strongroom_outbox",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("destination", ascii_text(64), nullable=False),
        sa.Column("stream", ascii_text(128), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("payload", LONG_TEXT, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("destination", "stream", "sequence", name="strongroom_outbox_event"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "strongroom_idempotency",
        sa.Column("scope", ascii_text(190), primary_key=True),
        sa.Column("key", exact_text(190), primary_key=True),
        sa.Column("fingerprint", binary(32), nullable=False),
        sa.Column("owner", ascii_text(64), nullable=False),
        sa.Column("reference", ascii_text(128)),
        sa.Column("status", sa.Integer),
        sa.Column("body", LONG_TEXT),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Index("strongroom_idempotency_expiry", "expires_at_ms"),
    )


def _access() -> None:
    op.create_table(
        "strongroom_token",
        sa.Column("id", ascii_text(32), primary_key=True),
        sa.Column("name", exact_text(190), nullable=False),
        sa.Column("secret_hash", binary(32), nullable=False),
        sa.Column("scopes", LONG_TEXT, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.Column("revoked_at_ms", sa.BigInteger),
    )
    op.create_table(
        "strongroom_lease",
        sa.Column("name", ascii_text(190), primary_key=True),
        sa.Column("holder", ascii_text(64), nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
    )
