"""`push_devices.updated_at` is a date that the database keeps, as in the original's tables; ours counted seconds."""

import sqlalchemy as sa
from alembic import op

from strongroom.hathor.revisions.frozen import tables

revision = "hathor_0005"
down_revision = "hathor_0004"

TABLE = "push_devices"
COLUMNS = "device_id, push_provider, wallet_id, enable_push, enable_show_amounts"
REPLACE = """
ALTER TABLE push_devices DROP COLUMN updated_at,
 ADD COLUMN updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
"""


def upgrade() -> None:
    connection = op.get_bind()
    if not _counts_seconds(connection):
        return
    if connection.dialect.name != "sqlite":
        connection.execute(sa.text(REPLACE))
        return
    op.drop_index("push_devices_wallet_idx", TABLE)
    op.rename_table(TABLE, "strongroom_devices_before")
    tables.push_devices.create(connection)
    connection.execute(
        sa.text(f"INSERT INTO {TABLE} ({COLUMNS}) SELECT {COLUMNS} FROM strongroom_devices_before")  # noqa: S608 - our own names
    )
    op.drop_table("strongroom_devices_before")
    op.create_index("push_devices_wallet_idx", TABLE, ["wallet_id"])


def plan(connection: sa.Connection) -> list[str]:
    """What `upgrade` would do, in sentences. It only reads."""
    if not sa.inspect(connection).has_table(TABLE) or not _counts_seconds(connection):
        return []
    return [f"{TABLE}: updated_at becomes a date; its seconds, which nothing reads, go"]


def _counts_seconds(connection: sa.Connection) -> bool:
    (column,) = (one for one in sa.inspect(connection).get_columns(TABLE) if one["name"] == "updated_at")
    return isinstance(column["type"], sa.Integer)
