"""Devices are looked up by their wallet; the original's foreign key brought such an index."""

import sqlalchemy as sa
from alembic import op

revision = "hathor_0003"
down_revision = "hathor_0002"

TABLE = "push_devices"


def upgrade() -> None:
    existing = sa.inspect(op.get_bind()).get_indexes(TABLE)
    if not any(index["column_names"][:1] == ["wallet_id"] for index in existing):
        op.create_index("push_devices_wallet_idx", TABLE, ["wallet_id"])
