"""Rules, the counters of their windows, and freezes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary, exact_text, insert_ignore

revision = "core_0006"
down_revision = "core_0005"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    guard = op.create_table(
        "strongroom_guard",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "strongroom_rule",
        sa.Column("id", ascii_text(32), primary_key=True),
        sa.Column("name", exact_text(190), nullable=False),
        sa.Column("document", LONG_TEXT, nullable=False),
        sa.Column("added_at_ms", sa.BigInteger, nullable=False),
        sa.Column("added_by", exact_text(190), nullable=False),
        sa.Column("starts_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ends_at_ms", sa.BigInteger),
        sa.Column("removed_by", exact_text(190)),
        sa.Index("strongroom_rule_name", "name", "added_at_ms"),
    )
    op.create_table(
        "strongroom_window",
        sa.Column("id", binary(32), primary_key=True),
        sa.Column("rule", ascii_text(32), nullable=False),
        sa.Column("subject", exact_text(255), nullable=False),
        sa.Column("spent", LONG_TEXT, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.Index("strongroom_window_rule", "rule"),
    )
    op.create_table(
        "strongroom_freeze",
        sa.Column("id", ascii_text(32), primary_key=True),
        sa.Column("scope", ascii_text(16), nullable=False),
        sa.Column("subject", exact_text(255), nullable=False),
        sa.Column("reason", LONG_TEXT, nullable=False),
        sa.Column("frozen_at_ms", sa.BigInteger, nullable=False),
        sa.Column("frozen_by", exact_text(190), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("ended_by", exact_text(190)),
    )
    insert_ignore(op.get_bind(), guard, [{"id": 1, "generation": 0}])
