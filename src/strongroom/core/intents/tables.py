"""The table of signed intents, which each ledger's database has."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary, exact_text
from strongroom.core.storage.tables import LONG_TEXT, metadata

PAYLOAD = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")

intent = Table(
    "strongroom_intent",
    metadata,
    Column("id", binary(32), primary_key=True),
    Column("account", ascii_text(128), nullable=False),
    # NULL once the intent is REJECTED. A unique column allows many NULLs, so the slot is free for another payload.
    Column("slot", binary(64), unique=True),
    Column("kind", ascii_text(128), nullable=False),
    Column("payload", PAYLOAD, nullable=False),
    Column("principal", exact_text(190), nullable=False),
    Column("request", LONG_TEXT, nullable=False),
    Column("stage", ascii_text(32), nullable=False),
    Column("outcome", ascii_text(8), nullable=False),
    Column("reason", LONG_TEXT),
    Column("attempts", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("resolved_at_ms", BigInteger),
    # NULL in rows of earlier versions of this service.
    Column("wallet", exact_text(255)),
    Column("token", ascii_text(32)),
    Column("rule", exact_text(190)),
    # NULL also once it can never be given back, see `core.intents.store`.
    Column("counted", LONG_TEXT),
    # NULL where nobody's request had it signed.
    Column("request_id", ascii_text(128)),
    # What this service knows of its offers; NULL: nothing yet.
    Column("first_offered_at_ms", BigInteger),
    Column("last_offered_at_ms", BigInteger),
    Column("last_answer", LONG_TEXT),
    Column("last_answer_at_ms", BigInteger),
    # What its client called the request, for example its Idempotency-Key.
    Column("client_key", exact_text(190)),
    # When the ledger's own receiver took it, and at which attempt; NULL: it did not, or there is none.
    Column("told_at_ms", BigInteger),
    Column("told_attempts", Integer),
    Index("strongroom_intent_outcome", "outcome", "created_at_ms"),
    Index("strongroom_intent_account", "account", "created_at_ms"),
    Index("strongroom_intent_wallet", "wallet", "created_at_ms"),
    Index("strongroom_intent_time", "created_at_ms"),
    Index("strongroom_intent_request", "request_id"),
    Index("strongroom_intent_client_key", "client_key"),
    Index("strongroom_intent_principal", "principal", "created_at_ms"),
    Index("strongroom_intent_token", "token", "created_at_ms"),
    Index("strongroom_intent_rule", "rule", "created_at_ms"),
    Index("strongroom_intent_kind", "kind", "created_at_ms"),
)
