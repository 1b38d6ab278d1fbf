"""What narrows a token's scopes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "core_0002"
down_revision = "core_0001"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    op.add_column("strongroom_token", sa.Column("limits", LONG_TEXT))
