"""What the Bittensor ledger stores."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
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
    Column("proxy_for", binary(32)),
    Column("proxy_type", ascii_text(16)),
)
"""`kind` is coldkey, hotkey or proxy; only hotkeys have a name. Without a sealed secret only the address is known. `proxy_for` is the
public key of the account that a proxy calls for."""

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
    Column("final_number", BigInteger),
    Column("final_hash", binary(32)),
)
"""Locked while its owner's next nonce is given out. No nonce below `lowest_nonce` is free. `final_number` and `final_hash` are of the
newest final block that was seen to hold an extrinsic of the account: they stay when the extrinsic is forgotten."""

receipt = Table(
    "strongroom_bittensor_receipt",
    metadata,
    Column("id", binary(32), primary_key=True),
    Column("block_number", BigInteger),
    Column("block_hash", binary(32)),
    Column("block_index", Integer),
    Column("fee", BigInteger),
    Column("success", Boolean),
    Column("failure", LONG_TEXT),
)
"""What became of an extrinsic, by its hash, which is the intent's id: the block that holds it, or why none ever will."""

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
