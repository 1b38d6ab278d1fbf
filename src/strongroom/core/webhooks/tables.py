"""The tables of webhooks, which each ledger's database has."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, UniqueConstraint
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary, exact_text
from strongroom.core.storage.tables import BIG_ID, LONG_TEXT, metadata

SEALED = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")

webhook = Table(
    "strongroom_webhook",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    Column("name", exact_text(64), nullable=False),
    Column("shown_url", exact_text(300), nullable=False),
    Column("kinds", LONG_TEXT, nullable=False),
    Column("wallets", LONG_TEXT, nullable=False),
    Column("sealed", SEALED, nullable=False),
    Column("state", ascii_text(16), nullable=False),
    Column("reason", LONG_TEXT),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("created_by", exact_text(190), nullable=False),
    Column("version", BigInteger, nullable=False),
    UniqueConstraint("name", name="strongroom_webhook_name"),
)
"""`sealed` holds the URL and the secrets, bound to the columns before it. `version` grows with every change, so that the process
that delivers sees it."""

event = Table(
    "strongroom_webhook_event",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("endpoint", ascii_text(32), nullable=False),
    Column("event", ascii_text(40), nullable=False),
    Column("kind", ascii_text(64), nullable=False),
    Column("stream", exact_text(190), nullable=False),
    Column("payload", LONG_TEXT, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("state", ascii_text(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger),
    Column("status", Integer),
    Column("trouble", LONG_TEXT),
    Column("ended_at_ms", BigInteger),
    Column("payment", binary(32)),
    UniqueConstraint("endpoint", "event", name="strongroom_webhook_event_once"),
    Index("strongroom_webhook_event_stream", "endpoint", "state", "stream", "id"),
    Index("strongroom_webhook_event_new", "state", "id"),
    Index("strongroom_webhook_event_page", "endpoint", "state", "id"),
    Index("strongroom_webhook_event_ended", "state", "ended_at_ms"),
    Index("strongroom_webhook_event_payment", "payment"),
    sqlite_autoincrement=True,  # ids are the order of a stream, so none may be used twice
)
"""One event for one endpoint. `since_ms`: when the time began after which it is dead; NULL: it was not tried yet.
`payment`: the id of the payment that it tells of; NULL: of none."""
