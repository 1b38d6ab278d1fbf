"""What binds sealed values to their rows."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import ascii_text, binary, exact_text, insert_ignore

revision = "core_0003"
down_revision = "core_0002"


def upgrade() -> None:
    op.create_table(
        "strongroom_binding",
        sa.Column("id", binary(32), primary_key=True),
        sa.Column("table_name", ascii_text(64), nullable=False),
        sa.Column("row_name", exact_text(255), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("tag", binary(32), nullable=False),
    )
    state = op.create_table(
        "strongroom_binding_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key_check", binary(32)),
    )
    insert_ignore(op.get_bind(), state, [{"id": 1, "key_check": None}])
