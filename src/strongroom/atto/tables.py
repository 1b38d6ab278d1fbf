"""The Atto ledger's tables.

`wallet`, `account` and `notification_state` are the original server's tables. They stay as they are, so that the service
adopts an existing database in place, and the original server can use it again. Our own tables have another
collation on MySQL. They repeat the account's wallet and index, so that no statement joins across the two collations.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import UnsignedBig, ascii_text, binary, exact_text

metadata = MetaData()

MOMENT = DateTime().with_variant(mysql.TIMESTAMP(fsp=6), "mysql", "mariadb")
WORDS = Text().with_variant(mysql.TEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
UNSIGNED_INT = BigInteger().with_variant(mysql.INTEGER(unsigned=True), "mysql", "mariadb")
UNSIGNED_LONG = BigInteger().with_variant(mysql.BIGINT(unsigned=True), "mysql", "mariadb")

wallet = Table(
    "wallet",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("version", UNSIGNED_INT, nullable=False),
    Column("encrypted_entropy", binary(61), nullable=False),
    Column("encrypted_encryption_key", binary(60)),
    Column("persisted_at", MOMENT, nullable=False, server_default=func.current_timestamp()),
    Column("updated_at", MOMENT, nullable=False, server_default=func.current_timestamp()),
)

account = Table(
    "account",
    metadata,
    Column("address", String(61), primary_key=True),
    Column("version", UNSIGNED_INT, nullable=False),
    Column("account_index", UNSIGNED_INT, nullable=False),
    Column("wallet_name", String(255), ForeignKey("wallet.name", name="fk_account_wallet"), nullable=False),
    Column("persisted_at", MOMENT, nullable=False, server_default=func.current_timestamp()),
    Column("updated_at", MOMENT, nullable=False, server_default=func.current_timestamp()),
    Column("disabled_at", MOMENT),
)

notification_state = Table(
    "notification_state",
    metadata,
    Column(
        "address", String(61), ForeignKey("account.address", name="fk_notification_account"), primary_key=True
    ),
    Column("version", UNSIGNED_LONG, nullable=False),
    Column("height", UNSIGNED_LONG, nullable=False),
    Column("persisted_at", MOMENT, nullable=False, server_default=func.current_timestamp()),
    Column("updated_at", MOMENT, nullable=False, server_default=func.current_timestamp()),
)

chain = Table(
    "strongroom_atto_account",
    metadata,
    Column("address", ascii_text(61), primary_key=True),
    Column("public_key", binary(32), nullable=False),
    Column("wallet_name", exact_text(255), nullable=False),
    Column("account_index", BigInteger, nullable=False),
    Column("origin", ascii_text(16), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("label", exact_text(255)),
    # The account's last confirmed state; height 0 means that the account is not open yet.
    Column("version", SmallInteger, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("balance", UnsignedBig, nullable=False),
    Column("frontier", binary(32)),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("representative", binary(32)),
    # The hash of the open block. The account signs nothing else until its outcome is known.
    Column("pending", binary(32)),
    # All entries up to this height are in strongroom_atto_entry.
    Column("entry_height", BigInteger, nullable=False),
    Column("work_target", binary(32)),
    Column("work", binary(8)),
    UniqueConstraint("wallet_name", "account_index", name="strongroom_atto_account_index"),
)

entry = Table(
    "strongroom_atto_entry",
    metadata,
    Column("address", ascii_text(61), primary_key=True),
    Column("height", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", binary(32), nullable=False),
    Column("wallet_name", exact_text(255), nullable=False),
    Column("block_type", SmallInteger, nullable=False),
    Column("subject", binary(32), nullable=False),
    Column("previous_balance", UnsignedBig, nullable=False),
    Column("balance", UnsignedBig, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Index("strongroom_atto_entry_hash", "hash"),
    Index("strongroom_atto_entry_wallet", "wallet_name", "timestamp_ms", "address", "height"),
)

receivable = Table(
    "strongroom_atto_receivable",
    metadata,
    Column("hash", binary(32), primary_key=True),
    Column("address", ascii_text(61), nullable=False),
    Column("amount", UnsignedBig, nullable=False),
    Column("sender", binary(32), nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("version", SmallInteger, nullable=False),
    Column("problem", WORDS),
    Index("strongroom_atto_receivable_address", "address", "timestamp_ms"),
)
