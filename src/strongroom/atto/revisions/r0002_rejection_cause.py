"""Adds the cause of a rejection as a stable word, on which code may depend, in addition to the text for people."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import ascii_text

revision = "atto_0002"
down_revision = "atto_0001"

REPLACED = "The account's chain went on with another block"
GONE = "The node rejected the transaction: RECEIVABLE_NOT_FOUND"


TABLE = "strongroom_atto_block"


def upgrade() -> None:
    columns = sa.inspect(op.get_bind()).get_columns(TABLE)
    if all(
        column["name"] != "cause" for column in columns
    ):  # on MySQL an interrupted run may have done this already
        op.add_column(TABLE, sa.Column("cause", ascii_text(32)))
    block = sa.table(TABLE, sa.column("state"), sa.column("reason"), sa.column("cause"))
    rejected = block.c.state == "REJECTED"
    cause = sa.case(
        (block.c.reason == REPLACED, "SLOT_TAKEN"),
        (block.c.reason == GONE, "RECEIVABLE_NOT_FOUND"),
        else_="RULE",
    )
    op.execute(sa.update(block).where(rejected).values(cause=cause))
