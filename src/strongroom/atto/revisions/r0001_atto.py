"""Creates the original's tables if they are missing, and our own tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import UnsignedBig, ascii_text, binary, exact_text

revision = "atto_0001"
down_revision = None

MOMENT = sa.DateTime().with_variant(mysql.TIMESTAMP(fsp=6), "mysql", "mariadb")
UNSIGNED_INT = sa.BigInteger().with_variant(mysql.INTEGER(unsigned=True), "mysql", "mariadb")
UNSIGNED_LONG = sa.BigInteger().with_variant(mysql.BIGINT(unsigned=True), "mysql", "mariadb")


def upgrade() -> None:
    # Each by itself: on MySQL a run that was killed has made some of them.
    there = set(sa.inspect(op.get_bind()).get_table_names())
    for name, columns in _original().items():
        if name not in there:
            op.create_table(name, *columns)
    _accounts()
    _blocks()


def _moments() -> list[sa.Column[object]]:
    if op.get_bind().dialect.name == "sqlite":
        created = updated = sa.text("CURRENT_TIMESTAMP")
    else:
        created = sa.text("CURRENT_TIMESTAMP(6)")
        updated = sa.text("CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)")
    return [
        sa.Column("persisted_at", MOMENT, nullable=False, server_default=created),
        sa.Column("updated_at", MOMENT, nullable=False, server_default=updated),
    ]


def _original() -> dict[str, list[sa.Column[Any]]]:
    """The original's tables, in the order of what refers to what."""
    return {
        "wallet": [
            sa.Column("name", exact_text(255), primary_key=True),
            sa.Column("version", UNSIGNED_INT, nullable=False),
            sa.Column("encrypted_entropy", binary(61), nullable=False),
            sa.Column("encrypted_encryption_key", binary(60)),
            *_moments(),
        ],
        "account": [
            sa.Column("address", sa.String(61), primary_key=True),
            sa.Column("version", UNSIGNED_INT, nullable=False),
            sa.Column("account_index", UNSIGNED_INT, nullable=False),
            sa.Column(
                "wallet_name",
                exact_text(255),
                sa.ForeignKey("wallet.name", name="fk_account_wallet"),
                nullable=False,
            ),
            *_moments(),
            sa.Column("disabled_at", MOMENT, nullable=True),
        ],
        "notification_state": [
            sa.Column(
                "address",
                sa.String(61),
                sa.ForeignKey("account.address", name="fk_notification_account"),
                primary_key=True,
            ),
            sa.Column("version", UNSIGNED_LONG, nullable=False),
            sa.Column("height", UNSIGNED_LONG, nullable=False),
            *_moments(),
        ],
    }


def _accounts() -> None:
    op.create_table(
        "strongroom_atto_account",
        sa.Column("address", ascii_text(61), primary_key=True),
        sa.Column("public_key", binary(32), nullable=False),
        sa.Column("wallet_name", exact_text(255), nullable=False),
        sa.Column("account_index", sa.BigInteger, nullable=False),
        sa.Column("origin", ascii_text(16), nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("label", exact_text(255)),
        sa.Column("version", sa.SmallInteger, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("balance", UnsignedBig, nullable=False),
        sa.Column("frontier", binary(32)),
        sa.Column("timestamp_ms", sa.BigInteger, nullable=False),
        sa.Column("representative", binary(32)),
        sa.Column("pending", binary(32)),
        sa.Column("entry_height", sa.BigInteger, nullable=False),
        sa.Column("work_target", binary(32)),
        sa.Column("work", binary(8)),
        sa.UniqueConstraint("wallet_name", "account_index", name="strongroom_atto_account_index"),
    )
    op.create_table(
        "strongroom_atto_receivable",
        sa.Column("hash", binary(32), primary_key=True),
        sa.Column("address", ascii_text(61), nullable=False),
        sa.Column("amount", UnsignedBig, nullable=False),
        sa.Column("sender", binary(32), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger, nullable=False),
        sa.Column("version", sa.SmallInteger, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Index("strongroom_atto_receivable_address", "address", "timestamp_ms"),
    )


def _blocks() -> None:
    op.create_table(
        "strongroom_atto_block",
        sa.Column("hash", binary(32), primary_key=True),
        sa.Column("address", ascii_text(61), nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("slot", binary(32), unique=True),
        sa.Column("transaction", binary(206), nullable=False),
        sa.Column("sender", binary(32)),
        sa.Column("state", ascii_text(16), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("resolved_at_ms", sa.BigInteger),
        sa.Index("strongroom_atto_block_state", "state", "created_at_ms"),
        sa.Index("strongroom_atto_block_address", "address", "height"),
    )
    op.create_table(
        "strongroom_atto_entry",
        sa.Column("address", ascii_text(61), primary_key=True),
        sa.Column("height", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", binary(32), nullable=False),
        sa.Column("wallet_name", exact_text(255), nullable=False),
        sa.Column("block_type", sa.SmallInteger, nullable=False),
        sa.Column("subject", binary(32), nullable=False),
        sa.Column("previous_balance", UnsignedBig, nullable=False),
        sa.Column("balance", UnsignedBig, nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger, nullable=False),
        sa.Index("strongroom_atto_entry_hash", "hash"),
        sa.Index("strongroom_atto_entry_wallet", "wallet_name", "timestamp_ms", "address", "height"),
    )
