"""What a signature counts in the windows of rules, so that it can be given back; windows whose sums are stored."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.json_decoder import decode_json

revision = "core_0009"
down_revision = "core_0008"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)

WINDOW = sa.table("strongroom_window", sa.column("id"), sa.column("spent"))


def upgrade() -> None:
    op.add_column("strongroom_intent", sa.Column("counted", LONG_TEXT))
    connection = op.get_bind()
    for row in connection.execute(sa.select(WINDOW)).all():
        buckets = decode_json(row.spent)
        connection.execute(
            sa.update(WINDOW).where(WINDOW.c.id == row.id).values(spent=_with_sums(sorted(buckets)))
        )


def _with_sums(buckets: list[list[Any]]) -> str:
    """From `[[27, 1, "40"], [28, 1, "10"]]` to `2 50|28 1 10|27 1 40|`."""
    newest_first = [*buckets[-1:], *buckets[:-1]] or [[0, 0, "0"]]
    sums = f"{sum(each[1] for each in buckets)} {sum(int(each[2]) for each in buckets)}|"
    return sums + "".join(f"{number} {signatures} {amount}|" for number, signatures, amount in newest_first)
