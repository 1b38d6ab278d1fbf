"""The chain, nonces, signed extrinsics and jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary, exact_text

revision = "bittensor_0002"
down_revision = "bittensor_0001"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    _chain()
    _extrinsics()
    _jobs()


def _chain() -> None:
    op.create_table(
        "strongroom_bittensor_chain",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("network", ascii_text(16), nullable=False),
        sa.Column("genesis_hash", binary(32), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "strongroom_bittensor_account",
        sa.Column("public_key", binary(32), primary_key=True),
        sa.Column("lowest_nonce", sa.BigInteger, nullable=False),
    )


def _extrinsics() -> None:
    op.create_table(
        "strongroom_bittensor_extrinsic",
        sa.Column("hash", binary(32), primary_key=True),
        sa.Column("job", ascii_text(32), nullable=False),
        sa.Column("public_key", binary(32), nullable=False),
        sa.Column("nonce", sa.BigInteger, nullable=False),
        sa.Column("live_nonce", sa.BigInteger),
        sa.Column("unheard", binary(32)),
        sa.Column("bytes", sa.LargeBinary(1_000_000), nullable=False),
        sa.Column("call_name", ascii_text(128), nullable=False),
        sa.Column("spec_version", sa.BigInteger, nullable=False),
        sa.Column("first_block", sa.BigInteger, nullable=False),
        sa.Column("last_block", sa.BigInteger, nullable=False),
        sa.Column("state", ascii_text(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("block_number", sa.BigInteger),
        sa.Column("block_hash", binary(32)),
        sa.Column("block_index", sa.Integer),
        sa.Column("fee", sa.BigInteger),
        sa.Column("success", sa.Boolean),
        sa.Column("failure", LONG_TEXT),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("public_key", "live_nonce", name="strongroom_bittensor_extrinsic_nonce"),
        sa.UniqueConstraint("unheard", name="strongroom_bittensor_extrinsic_unheard"),
        sa.Index("strongroom_bittensor_extrinsic_state", "state"),
        sa.Index("strongroom_bittensor_extrinsic_job", "job"),
    )


def _jobs() -> None:
    op.create_table(
        "strongroom_bittensor_job",
        sa.Column("id", ascii_text(32), primary_key=True),
        sa.Column("principal", exact_text(190), nullable=False),
        sa.Column("idempotency_key", exact_text(190)),
        sa.Column("fingerprint", binary(32), nullable=False),
        sa.Column("kind", ascii_text(64), nullable=False),
        sa.Column("subject", binary(32)),
        sa.Column("slot", binary(32)),
        sa.Column("document", LONG_TEXT, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("in_background", sa.Boolean, nullable=False),
        sa.Column("wait_for", ascii_text(16), nullable=False),
        sa.Column("extrinsic", binary(32)),
        sa.Column("result", LONG_TEXT),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("principal", "idempotency_key", name="strongroom_bittensor_job_key"),
        sa.UniqueConstraint("slot", name="strongroom_bittensor_job_slot"),
        sa.Index("strongroom_bittensor_job_open", "is_open", "in_background"),
        sa.Index("strongroom_bittensor_job_subject", "subject", "created_at_ms"),
    )
