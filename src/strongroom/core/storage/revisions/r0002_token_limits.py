"""What narrows a token's scopes."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.tables import LONG_TEXT

revision = "core_0002"
down_revision = "core_0001"


def upgrade() -> None:
    op.add_column("strongroom_token", sa.Column("limits", LONG_TEXT))
