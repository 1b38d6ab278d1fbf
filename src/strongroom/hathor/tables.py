"""What the Hathor ledger stores: the tables of hathor-wallet-service, with their meaning, and ours beside them.

`transaction`, `tx_output` and `caller` are the record of the chain; everything from `address` to `miner` follows
from them and can be rebuilt (`verify`). Two rules keep amounts exact:

* an amount is computed in Python and stored whole; no SQL statement ever adds two amounts;
* sums may pass 2^63 and 2^64: they are DECIMAL(40) on MySQL and text on SQLite (`Amount`).

No foreign keys of our own: an adopted table may have another character set than a new one that would refer to it.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Enum,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from strongroom.core.storage.database import UnsignedBig, ascii_text, binary, exact_text

ADDRESS = ascii_text(34)
ID = ascii_text(64)
XPUB = ascii_text(120)
COUNT = Integer().with_variant(mysql.INTEGER(unsigned=True), "mysql", "mariadb")
SMALL = SmallInteger().with_variant(mysql.SMALLINT(unsigned=True), "mysql", "mariadb")
TINY = SmallInteger().with_variant(mysql.TINYINT(unsigned=True), "mysql", "mariadb")
RAW = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
NOW = text("CURRENT_TIMESTAMP")

metadata = MetaData()


class Amount(TypeDecorator[int]):
    """A sum of amounts, or a signed change of one: an int of up to 40 digits."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(41))
        return dialect.type_descriptor(mysql.DECIMAL(40, 0))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> int | None:
        del dialect
        return None if value is None else int(value)


def _amount(name: str) -> Column[int]:
    return Column(name, Amount, nullable=False, server_default="0")


def _balance_columns() -> list[Column[Any]]:
    return [
        _amount("unlocked_balance"),
        _amount("locked_balance"),
        Column("unlocked_authorities", TINY, nullable=False, server_default="0"),
        Column("locked_authorities", TINY, nullable=False, server_default="0"),
        Column("timelock_expires", COUNT),
        Column("transactions", COUNT, nullable=False),
        _amount("total_received"),
        _amount("unlocked_shielded_balance"),
        _amount("locked_shielded_balance"),
        _amount("total_shielded_received"),
    ]


def _dates() -> list[Column[Any]]:
    touched = mysql.TIMESTAMP()
    return [
        Column("created_at", DateTime().with_variant(touched, "mysql", "mariadb"), server_default=NOW),
        Column("updated_at", DateTime().with_variant(touched, "mysql", "mariadb"), server_default=NOW),
    ]


transaction = Table(
    "transaction",
    metadata,
    Column("tx_id", ID, primary_key=True),
    Column("timestamp", COUNT, nullable=False),
    Column("version", TINY, nullable=False),
    Column("voided", Boolean, nullable=False, server_default="0"),
    Column("height", COUNT),
    Column("weight", Float),
    Column("first_block", ID),
    *_dates(),
    Index("transaction_height_idx", "height"),
)

tx_output = Table(
    "tx_output",
    metadata,
    Column("tx_id", ID, primary_key=True),
    Column("index", SMALL, primary_key=True, autoincrement=False),
    Column("token_id", ID),
    Column("address", ADDRESS, nullable=False),
    Column("value", UnsignedBig),
    Column("authorities", TINY),
    Column("timelock", COUNT),
    Column("heightlock", COUNT),
    Column("locked", Boolean, nullable=False, server_default="0"),
    Column("tx_proposal", ascii_text(36)),
    Column("tx_proposal_index", TINY),
    Column("spent_by", ID),
    Column("voided", Boolean, nullable=False, server_default="0"),
    Column("mode", TINY, nullable=False, server_default="0"),
    Column("recovery_state", Enum("unowned", "recovered", "recovery_failed", name="recovery_state")),
    Index("tx_output_owner_idx", "address", "token_id", "spent_by", "voided", "locked", "authorities"),
    Index("tx_output_spent_by_idx", "spent_by"),
    Index("tx_output_tx_proposal_idx", "tx_proposal"),
    Index("tx_output_heightlock_idx", "locked", "heightlock"),
    Index("tx_output_timelock_idx", "locked", "timelock"),
)

shielded_tx_output_data = Table(
    "shielded_tx_output_data",
    metadata,
    Column("tx_id", ID, primary_key=True),
    Column("index", SMALL, primary_key=True, autoincrement=False),
    Column("commitment", binary(33)),
    Column("range_proof", LargeBinary),
    Column("script", binary(1024)),
    Column("ephemeral_pubkey", binary(33)),
    Column("token_data", TINY),
    Column("asset_commitment", binary(33)),
    Column("surjection_proof", LargeBinary),
)

caller = Table(
    "strongroom_hathor_caller",
    metadata,
    Column("tx_id", ID, primary_key=True),
    Column("address", ADDRESS, nullable=False),
    Column("seqnum", Integer, nullable=False),
    Index("strongroom_hathor_caller_address", "address"),
    comment="who called the nano contract of a transaction; with outputs and spendings, all an address does",
)

address = Table(
    "address",
    metadata,
    Column("address", ADDRESS, primary_key=True),
    Column("index", COUNT),
    Column("wallet_id", ID),
    Column("transactions", COUNT, nullable=False),
    Column("seqnum", Integer, nullable=False, server_default="0"),
    Column("bip32_account", TINY),
    Column("scan_privkey", binary(32)),
    Column("catchup_state", Enum("pending", "running", "done", name="catchup_state")),
    Column("ct_address", ascii_text(100)),
    Index("address_wallet_id_index_idx", "wallet_id", "bip32_account", "index", unique=True),
)

address_balance = Table(
    "address_balance",
    metadata,
    Column("address", ADDRESS, primary_key=True),
    Column("token_id", ID, primary_key=True),
    *_balance_columns(),
    *_dates(),
)

address_tx_history = Table(
    "address_tx_history",
    metadata,
    Column("address", ADDRESS, primary_key=True),
    Column("tx_id", ID, primary_key=True),
    Column("token_id", ID, primary_key=True),
    Column("balance", Amount, nullable=False),
    _amount("shielded_balance_delta"),
    Column("timestamp", COUNT, nullable=False),
    Column("voided", Boolean, nullable=False, server_default="0"),
    Index("address_tx_history_tx_id_idx", "tx_id"),
    Index("address_tx_history_token_id_idx", "token_id"),
)

wallet = Table(
    "wallet",
    metadata,
    Column("id", ID, primary_key=True),
    Column("xpubkey", XPUB, nullable=False),
    Column("auth_xpubkey", XPUB, nullable=False),
    Column("status", Enum("creating", "ready", "error", name="wallet_status"), nullable=False),
    Column("max_gap", SMALL, nullable=False, server_default="20"),
    Column("created_at", COUNT, nullable=False),
    Column("ready_at", COUNT),
    Column("retry_count", SMALL, nullable=False, server_default="0"),
    Column("last_used_address_index", Integer, nullable=False, server_default="-1"),
    Column("scan_xpriv", LargeBinary),
    Column("spend_xpub", XPUB),
    Column("shielded_max_gap", SMALL, server_default="20"),
    Column("last_used_shielded_index", COUNT),
    Column(
        "ct_status",
        Enum("none", "creating", "ready", "error", name="ct_status"),
        nullable=False,
        server_default="none",
    ),
    Index("wallet_status_idx", "status"),
)

wallet_balance = Table(
    "wallet_balance",
    metadata,
    Column("wallet_id", ID, primary_key=True),
    Column("token_id", ID, primary_key=True),
    *_balance_columns(),
)

wallet_tx_history = Table(
    "wallet_tx_history",
    metadata,
    Column("wallet_id", ID, primary_key=True),
    Column("token_id", ID, primary_key=True),
    Column("tx_id", ID, primary_key=True),
    Column("balance", Amount, nullable=False),
    _amount("shielded_balance_delta"),
    Column("timestamp", COUNT, nullable=False),
    Column("voided", Boolean, nullable=False, server_default="0"),
    Index("wallet_tx_history_page_idx", "wallet_id", "token_id", "timestamp", "tx_id"),
    Index("wallet_tx_history_tx_idx", "tx_id"),
)

token = Table(
    "token",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", exact_text(30), nullable=False),
    Column("symbol", exact_text(5), nullable=False),
    Column("version", COUNT, nullable=False, server_default="1"),
    Column("transactions", COUNT, nullable=False, server_default="0"),
    *_dates(),
)

token_creation = Table(
    "token_creation",
    metadata,
    Column("token_id", ID, primary_key=True),
    Column("tx_id", ID, nullable=False),
    Column("first_block", ID),
    Column("created_at", DateTime().with_variant(mysql.TIMESTAMP(), "mysql", "mariadb"), server_default=NOW),
    Index("token_creation_tx_id_idx", "tx_id"),
    Index("token_creation_first_block_idx", "first_block"),
)

miner = Table(
    "miner",
    metadata,
    Column("address", ADDRESS, primary_key=True),
    Column("first_block", ID, nullable=False),
    Column("last_block", ID, nullable=False),
    Column("count", Integer().with_variant(mysql.BIGINT(unsigned=True), "mysql", "mariadb"), nullable=False),
)

# In the original's words, which its database and its API know.
PROPOSAL_STATUSES = OPEN, SENT, SEND_ERROR, CANCELLED = ("open", "sent", "send_error", "cancelled")
SENDABLE_STATUSES = (OPEN, SEND_ERROR)
"""A proposal of these may still be sent."""

tx_proposal = Table(
    "tx_proposal",
    metadata,
    Column("id", ascii_text(36), primary_key=True),
    Column("wallet_id", ID, nullable=False),
    Column("status", Enum(*PROPOSAL_STATUSES, name="proposal_status"), nullable=False),
    Column("created_at", COUNT, nullable=False),
    Column("updated_at", COUNT),
    Index("tx_proposal_status_idx", "status", "created_at"),
)

proposal = Table(
    "strongroom_hathor_proposal",
    metadata,
    Column("id", ascii_text(36), primary_key=True),
    Column("proposed", RAW, nullable=False, comment="the transaction as it was proposed"),
    Column("signed", RAW, comment="what is sent, stored before it is"),
    Column("tx_id", ID, comment="of what is sent"),
    Column("sending_since_ms", BigInteger, comment="not null: its fate is unknown"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="how often its sending failed"),
    Column("caller", ADDRESS, comment="whose nano sequence the proposal raised"),
    Column("seqnum_before", Integer),
    Index("strongroom_hathor_proposal_sending", "sending_since_ms"),
    comment="what tx_proposal has no room for",
)

sent_proposal = Table(
    "strongroom_hathor_sent_proposal",
    metadata,
    Column("id", ascii_text(36), primary_key=True),
    Column("signed", RAW, nullable=False, comment="the bytes that went out"),
    Column("sent_at", BigInteger, nullable=False),
    Index("strongroom_hathor_sent_proposal_age", "sent_at"),
    comment="so that the same bytes get the same answer",
)

held_output = Table(
    "strongroom_hathor_held_output",
    metadata,
    Column("tx_id", ID, primary_key=True),
    Column("index", SMALL, primary_key=True, autoincrement=False),
    Column("proposal_id", ascii_text(36), nullable=False),
    Index("strongroom_hathor_held_output_proposal", "proposal_id"),
    comment="one proposal an output: the last defence behind tx_output.tx_proposal",
)

version_data = Table(
    "version_data",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column(
        "timestamp", Integer().with_variant(mysql.BIGINT(unsigned=True), "mysql", "mariadb"), nullable=False
    ),
    Column(
        "data",
        Text().with_variant(mysql.TEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"),
        nullable=False,
    ),
)

push_devices = Table(
    "push_devices",
    metadata,
    Column("device_id", exact_text(256), primary_key=True),
    Column("push_provider", Enum("ios", "android", name="push_provider"), nullable=False),
    Column("wallet_id", ID, nullable=False),
    Column("enable_push", Boolean, nullable=False, server_default="0"),
    Column("enable_show_amounts", Boolean, nullable=False, server_default="0"),
    Column(
        "updated_at",
        DateTime().with_variant(mysql.TIMESTAMP(), "mysql", "mariadb"),
        nullable=False,
        server_default=NOW,
        comment="kept by the database",
    ),
    Index("push_devices_wallet_idx", "wallet_id"),
)

sync_metadata = Table(
    "sync_metadata",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_event_id", Integer().with_variant(mysql.BIGINT(), "mysql", "mariadb"), nullable=False),
    Column("updated_at", ascii_text(64), nullable=False),
)

source = Table(
    "strongroom_hathor_source",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("network", exact_text(64), nullable=False),
    Column("stream_id", exact_text(128), nullable=False),
    comment="the node's event database that last_event_id counts in",
)
