"""Tags of tokens, rules, freezes and approvals, so that another program's changes of them count for nothing."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import binary

revision = "core_0016"
down_revision = "core_0017"


def upgrade() -> None:
    for table in ("strongroom_token", "strongroom_guard", "strongroom_approval"):
        op.add_column(table, sa.Column("sequence", sa.BigInteger))
        op.add_column(table, sa.Column("tag", binary(32)))
