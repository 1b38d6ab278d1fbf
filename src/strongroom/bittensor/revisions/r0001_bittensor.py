"""The Bittensor ledger's first tables."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import ascii_text, binary

revision = "bittensor_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "strongroom_bittensor_key",
        sa.Column("wallet", ascii_text(64), primary_key=True),
        sa.Column("kind", ascii_text(8), primary_key=True),
        sa.Column("name", ascii_text(64), primary_key=True),
        sa.Column("public_key", binary(32), nullable=False),
        sa.Column("sealed_secret", binary(92)),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
