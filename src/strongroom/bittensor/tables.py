"""What the Bittensor ledger stores."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)

from strongroom.core.storage.database import ascii_text, binary, exact_text
from strongroom.core.storage.tables import LONG_TEXT

metadata = MetaData()

key = Table(
    "strongroom_bittensor_key",
    metadata,
    Column("wallet", ascii_text(64), primary_key=True),
    Column("kind", ascii_text(8), primary_key=True),
    Column("name", ascii_text(64), primary_key=True),
    Column("public_key", binary(32), nullable=False),
    Column("sealed_secret", binary(92)),
    Column("created_at_ms", BigInteger, nullable=False),
)
"""`kind` is coldkey or hotkey; the name of a coldkey is empty. Without a sealed secret only the address is known."""

chain = Table(
    "strongroom_bittensor_chain",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("network", ascii_text(16), nullable=False),
    Column("genesis_hash", binary(32), nullable=False),
    Column("seen_at_ms", BigInteger, nullable=False),
)
"""One row: the chain that this installation is for, as it was at the first contact."""

account = Table(
    "strongroom_bittensor_account",
    metadata,
    Column("public_key", binary(32), primary_key=True),
    Column("lowest_nonce", BigInteger, nullable=False),
)
"""Locked while its owner's next nonce is given out. No nonce below `lowest_nonce` is free."""

extrinsic = Table(
    "strongroom_bittensor_extrinsic",
    metadata,
    Column("hash", binary(32), primary_key=True),
    Column("job", ascii_text(32), nullable=False),
    Column("public_key", binary(32), nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("live_nonce", BigInteger),
    Column("unheard", binary(32)),
    Column("bytes", LargeBinary(1_000_000), nullable=False),
    Column("call_name", ascii_text(128), nullable=False),
    Column("spec_version", BigInteger, nullable=False),
    Column("first_block", BigInteger, nullable=False),
    Column("last_block", BigInteger, nullable=False),
    Column("state", ascii_text(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("block_number", BigInteger),
    Column("block_hash", binary(32)),
    Column("block_index", Integer),
    Column("fee", BigInteger),
    Column("success", Boolean),
    Column("failure", LONG_TEXT),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("public_key", "live_nonce", name="strongroom_bittensor_extrinsic_nonce"),
    UniqueConstraint("unheard", name="strongroom_bittensor_extrinsic_unheard"),
    Index("strongroom_bittensor_extrinsic_state", "state"),
    Index("strongroom_bittensor_extrinsic_job", "job"),
    Index("strongroom_bittensor_extrinsic_age", "created_at_ms"),
)
"""Every extrinsic that was signed, until it is old and settled. `live_nonce` is NULL when it can never be included; `unheard` is the public key
until a pool has answered: an account has one such extrinsic at most."""

job = Table(
    "strongroom_bittensor_job",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    Column("principal", exact_text(190), nullable=False),
    Column("idempotency_key", exact_text(190)),
    Column("fingerprint", binary(32), nullable=False),
    Column("kind", ascii_text(64), nullable=False),
    Column("subject", binary(32)),
    Column("slot", binary(32)),
    Column("document", LONG_TEXT, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("in_background", Boolean, nullable=False),
    Column("wait_for", ascii_text(16), nullable=False),
    Column("extrinsic", binary(32)),
    Column("result", LONG_TEXT),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("principal", "idempotency_key", name="strongroom_bittensor_job_key"),
    UniqueConstraint("slot", name="strongroom_bittensor_job_slot"),
    Index("strongroom_bittensor_job_open", "is_open", "in_background"),
    Index("strongroom_bittensor_job_subject", "subject", "created_at_ms"),
    Index("strongroom_bittensor_job_age", "is_open", "created_at_ms"),
)
"""What was asked for. `subject` is the hash of what it changes (a hotkey's weights in a subnet), `slot` the same while the
job is open: there is one such job at most. `extrinsic` is the one that carries it out, or did last."""
