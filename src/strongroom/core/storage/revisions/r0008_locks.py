"""Locks that are written, so that they hold on several database nodes."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import ascii_text

revision = "core_0008"
down_revision = "core_0007"


def upgrade() -> None:
    op.create_table(
        "strongroom_lock",
        sa.Column("name", ascii_text(64), primary_key=True),
        sa.Column("taken", sa.BigInteger, nullable=False),
    )
    op.add_column("strongroom_lease", sa.Column("checks", sa.BigInteger, nullable=False, server_default="0"))
