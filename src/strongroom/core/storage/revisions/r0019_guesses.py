"""Wrong guesses at secrets, counted over all processes."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import binary

revision = "core_0019"
down_revision = "core_0018"


def upgrade() -> None:
    op.create_table(
        "strongroom_guess",
        sa.Column("id", binary(32), primary_key=True),
        sa.Column("subject", binary(32), nullable=False),
        sa.Column("wrong", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("shown_at_ms", sa.BigInteger),
    )
    op.create_index("strongroom_guess_subject", "strongroom_guess", ["subject"])
