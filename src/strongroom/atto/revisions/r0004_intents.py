"""Moves signed blocks into the table of intents."""

import sqlalchemy as sa
from alembic import op

revision = "atto_0004"
down_revision = "atto_0003"

# The table as strongroom.core.intents defines it at core_0005.
INTENT = sa.table(
    "strongroom_intent",
    *(
        sa.column(name)
        for name in (
            "id",
            "account",
            "slot",
            "kind",
            "payload",
            "principal",
            "request",
            "stage",
            "outcome",
            "reason",
            "attempts",
            "created_at_ms",
            "resolved_at_ms",
        )
    ),
)
BLOCK = sa.table(
    "strongroom_atto_block",
    *(
        sa.column(name)
        for name in (
            "hash",
            "address",
            "slot",
            "transaction",
            "sender",
            "state",
            "reason",
            "cause",
            "created_at_ms",
            "resolved_at_ms",
        )
    ),
)
KINDS = ("OPEN", "RECEIVE", "SEND", "CHANGE")
OUTCOMES = {"SIGNED": "OPEN", "CONFIRMED": "ACCEPTED", "REJECTED": "REJECTED"}


def upgrade() -> None:
    tables = set(sa.inspect(op.get_bind()).get_table_names())
    if INTENT.name in tables and BLOCK.name not in tables:
        return  # on MySQL, if a run was killed after its last statement
    block = BLOCK.c
    # The audit trail has the principal who asked for it.
    request = sa.case(
        (block.sender.is_(None), "{}"),
        else_=sa.literal('{"sender":"')
        + sa.cast(sa.func.hex(block.sender), sa.String(64))
        + sa.literal('"}'),
    )
    kind = sa.case(
        {format(number, "02X"): kind for number, kind in enumerate(KINDS)},
        value=sa.func.hex(sa.func.substr(block.transaction, 1, 1)),
    )
    rows = sa.select(
        block.hash,
        block.address,
        block.slot,
        kind,
        block.transaction,
        sa.literal(""),
        request,
        sa.func.coalesce(block.cause, block.state),
        sa.case(OUTCOMES, value=block.state),
        block.reason,
        sa.literal_column("1"),
        block.created_at_ms,
        block.resolved_at_ms,
    ).where(
        block.hash.not_in(sa.select(INTENT.c.id))
    )  # on MySQL an interrupted run may have moved some already
    op.execute(sa.insert(INTENT).from_select(INTENT.c.keys(), rows))
    op.drop_table(BLOCK.name)
