"""Client certificates that API tokens are bound to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary

revision = "core_0012"
down_revision = "core_0011"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    for column in (
        sa.Column("certificate", binary(32)),
        sa.Column("certificate_authority", LONG_TEXT),
        sa.Column("certificate_title", LONG_TEXT),
        sa.Column("certificate_use", ascii_text(16)),
    ):
        op.add_column("strongroom_token", column)
    op.create_index("strongroom_token_certificate", "strongroom_token", ["certificate"])
