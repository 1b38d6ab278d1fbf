"""Where tokens may be used from and how often, their earlier secrets and last uses, and rates that replicas share."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary, exact_text

revision = "core_0010"
down_revision = "core_0009"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    for column in (
        sa.Column("networks", LONG_TEXT),
        sa.Column("rate_requests", sa.Integer),
        sa.Column("rate_seconds", sa.Integer),
        sa.Column("earlier_hash", binary(32)),
        sa.Column("earlier_ends_at_ms", sa.BigInteger),
    ):
        op.add_column("strongroom_token", column)
    op.create_table(
        "strongroom_token_use",
        sa.Column("token", ascii_text(32), primary_key=True),
        sa.Column("used_at_ms", sa.BigInteger, nullable=False),
        sa.Column("source", exact_text(64), nullable=False),
    )
    op.create_table(
        "strongroom_rate",
        sa.Column("id", binary(32), primary_key=True),
        sa.Column("full_at_us", sa.BigInteger, nullable=False),
        sa.Index("strongroom_rate_full", "full_at_us"),
    )
