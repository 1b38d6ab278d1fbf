"""Sessions of people who signed in with a token in a browser."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import binary

revision = "core_0022"
down_revision = "core_0021"
BORNE = True


def upgrade() -> None:
    op.create_table(
        "strongroom_session",
        sa.Column("id", binary(32), primary_key=True),
        sa.Column("sealed", binary(1024), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("strongroom_session_expiry", "strongroom_session", ["expires_at_ms"])
