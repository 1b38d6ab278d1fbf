"""The toy ledger's first tables."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import ascii_text, binary

revision = "toy_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "toy_account",
        sa.Column("address", ascii_text(64), primary_key=True),
        sa.Column("sealed_seed", binary(64)),
        sa.Column("next_number", sa.BigInteger, nullable=False),
        sa.Column("open_intent", binary(32)),
    )
    op.create_table(
        "toy_payment",
        sa.Column("account", ascii_text(64), primary_key=True),
        sa.Column("reference", ascii_text(64), primary_key=True),
        sa.Column("receiver", ascii_text(64), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("intent", binary(32), nullable=False),
    )
