"""Keys that call for a coldkey: for which, and as what."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import ascii_text, binary

revision = "bittensor_0005"
down_revision = "bittensor_0004"
BORNE = True

TABLE = "strongroom_bittensor_key"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("proxy_for", binary(32)))
    op.add_column(TABLE, sa.Column("proxy_type", ascii_text(16)))
