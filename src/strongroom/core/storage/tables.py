"""The core's tables.

Each ledger's database has its own, so that a change, its audit row and its event commit in one transaction.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary, exact_text

metadata = MetaData()

BIG_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only with INTEGER keys
# An adopted database may have another default character set, which loses characters.
LONG_TEXT = Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)

audit = Table(
    "strongroom_audit",
    metadata,
    Column("sequence", BIG_ID, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("principal", exact_text(190), nullable=False),
    Column("action", ascii_text(64), nullable=False),
    Column("subject", exact_text(255), nullable=False),
    Column("details", LONG_TEXT, nullable=False),
    Column("previous_hash", binary(32), nullable=False),
    Column("hash", binary(32), nullable=False),
    Column("lane", SmallInteger),
    Column("number", BigInteger),
    Index("strongroom_audit_subject", "subject", "sequence"),
    Index("strongroom_audit_number", "lane", "number", unique=True),
)
"""`number` counts in its lane, without gaps. Rows of before there were lanes have neither, and a SHA-256 chain in `hash`; since then
it is an HMAC (`core.security.trail`)."""

audit_lane = Table(
    "strongroom_audit_lane",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", binary(32), nullable=False),
    Column("tag", binary(32)),
    Column("at_ms", BigInteger, nullable=False),
    Column("excluded", BigInteger, nullable=False),
)
"""The last row of each lane; lane -1 is the chain of before there were lanes, which grows no more. `excluded` counts transactions
that let no signature commit beside them."""

outbox = Table(
    "strongroom_outbox",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("destination", ascii_text(64), nullable=False),
    Column("stream", ascii_text(128), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("payload", LONG_TEXT, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    # Failed ones; NULL: none.
    Column("attempts", Integer),
    Column("trouble", LONG_TEXT),
    UniqueConstraint("destination", "stream", "sequence", name="strongroom_outbox_event"),
    sqlite_autoincrement=True,  # without it SQLite reuses the id of a deleted last row, and the outbox reader would miss it
)

idempotency = Table(
    "strongroom_idempotency",
    metadata,
    Column("scope", ascii_text(190), primary_key=True),
    Column("key", exact_text(190), primary_key=True),
    Column("fingerprint", binary(32), nullable=False),
    Column("owner", ascii_text(64), nullable=False),
    Column("reference", ascii_text(128)),
    Column("status", Integer),
    Column("body", LONG_TEXT),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Index("strongroom_idempotency_expiry", "expires_at_ms"),
)

token = Table(
    "strongroom_token",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    Column("name", exact_text(190), nullable=False),
    Column("secret_hash", binary(32), nullable=False),
    Column("scopes", LONG_TEXT, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
    Column("limits", LONG_TEXT),
    Column("networks", LONG_TEXT),
    Column("rate_requests", Integer),
    Column("rate_seconds", Integer),
    Column("earlier_hash", binary(32)),
    Column("earlier_ends_at_ms", BigInteger),
    Column("certificate", binary(32)),
    Column("certificate_authority", LONG_TEXT),
    Column("certificate_title", LONG_TEXT),
    Column("certificate_use", ascii_text(16)),
    Column("makers", LONG_TEXT),
    Column("sequence", BigInteger),
    Column("tag", binary(32)),
    Index("strongroom_token_name", "name", unique=True),
    Index("strongroom_token_certificate", "certificate"),
)
"""`earlier_hash` is of the secret before the last rotation, which works until `earlier_ends_at_ms`. `makers` are the names of the
tokens that got a secret of this one. `sequence` names the audit row of the last change, and `tag` is a keyed hash of the row
(`core.security.rows`)."""

token_use = Table(
    "strongroom_token_use",
    metadata,
    Column("token", ascii_text(32), primary_key=True),
    Column("used_at_ms", BigInteger, nullable=False),
    Column("source", exact_text(64), nullable=False),
)
"""When and from where a token was last used. Apart from the tokens, so that no request waits for this row."""

session = Table(
    "strongroom_session",
    metadata,
    Column("id", binary(32), primary_key=True),
    Column("sealed", binary(1024), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Index("strongroom_session_expiry", "expires_at_ms"),
)
"""Sessions of people who signed in with a token in a browser (`core.security.sessions`). `id` is the hash of a secret that only the
browser has, and only that secret opens `sealed`."""

rate = Table(
    "strongroom_rate",
    metadata,
    Column("id", binary(32), primary_key=True),
    Column("full_at_us", BigInteger, nullable=False),
    Index("strongroom_rate_full", "full_at_us"),
)
"""When the bucket of each rate is full again (`core.coordination.rates`); a row of the past says nothing."""

guess = Table(
    "strongroom_guess",
    metadata,
    Column("id", binary(32), primary_key=True),
    Column("subject", binary(32), nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("shown_at_ms", BigInteger),
    Index("strongroom_guess_subject", "subject"),
)
"""Wrong guesses at secrets, and who has shown the right one (`core.coordination.guesses`)."""

lease = Table(
    "strongroom_lease",
    metadata,
    Column("name", ascii_text(190), primary_key=True),
    Column("holder", ascii_text(64), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("checks", BigInteger, nullable=False, server_default="0"),
)
"""`checks` counts transactions of the holder: what they write here, no other node can overtake."""

lock = Table(
    "strongroom_lock",
    metadata,
    Column("name", ascii_text(64), primary_key=True),
    Column("taken", BigInteger, nullable=False),
)
"""Locks by their names, see `core.coordination.locks`."""

binding = Table(
    "strongroom_binding",
    metadata,
    Column("id", binary(32), primary_key=True),
    Column("table_name", ascii_text(64), nullable=False),
    Column("row_name", exact_text(255), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("tag", binary(32), nullable=False),
    Column("key_version", Integer, nullable=False, server_default="1"),
)
"""The tags that bind sealed values to their rows (`core.security.bindings`). `sequence` names the audit row of the change,
`key_version` the key that opens the row and that the tag was made with."""

binding_state = Table(
    "strongroom_binding_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("key_check", binary(32)),
)
"""One row, inserted when the table is created. `key_check` belongs to the active key; NULL until the first start with one."""

key = Table(
    "strongroom_key",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", ascii_text(16), nullable=False),
    Column("key_check", binary(32), nullable=False),
    Column("backend", exact_text(190)),
    Column("wrapped", binary(4096)),
    Column("created_at_ms", BigInteger, nullable=False),
)
"""The key-encryption keys that this database knows (`core.security.keys.versions`). `wrapped` is the key as `backend` sealed it."""

secret = Table(
    "strongroom_secret",
    metadata,
    Column("purpose", ascii_text(64), primary_key=True),
    Column("key_version", Integer, nullable=False),
    Column("sealed", binary(60), nullable=False),
)
"""Secrets that stay the same when the key-encryption key is changed, each sealed under one version of it."""

replica = Table(
    "strongroom_replica",
    metadata,
    Column("holder", ascii_text(64), primary_key=True),
    Column("name", exact_text(190), nullable=False),
    Column("versions", ascii_text(190), nullable=False),
    Column("version", Integer),
    Column("seen_at_ms", BigInteger, nullable=False),
)
"""The processes that hold keys: which versions each of them has, and under which it seals; NULL while it is sealed."""

seal = Table(
    "strongroom_seal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("is_sealed", Boolean, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("tag", binary(32)),
    Column("key_version", Integer),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("attempted_at_ms", BigInteger, nullable=False),
)
"""One row when the service was ever sealed (`core.security.custody.seal`). `attempts` counts wrong keys since then."""

window = Table(
    "strongroom_window",
    metadata,
    Column("id", binary(32), primary_key=True),
    Column("rule", ascii_text(32), nullable=False),
    Column("subject", exact_text(255), nullable=False),
    Column("spent", LONG_TEXT, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Index("strongroom_window_rule", "rule"),
)
"""What passed within a rule's window (`core.coordination.windows`). It is updated by every signature that it counts."""
