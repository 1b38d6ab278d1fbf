"""Transactions that are being sent become intents."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.intents.signing import encode_notes

revision = "hathor_0007"
down_revision = "hathor_0006"

# As strongroom.core.intents has the table at core_0005.
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
            "attempts",
            "created_at_ms",
        )
    ),
)
PROPOSAL = sa.table(
    "strongroom_hathor_proposal",
    *(sa.column(name) for name in ("id", "signed", "tx_id", "sending_since_ms", "attempts")),
)
ORIGINAL = sa.table("tx_proposal", sa.column("id"), sa.column("wallet_id"))


def upgrade() -> None:
    rows = sa.select(PROPOSAL, ORIGINAL.c.wallet_id).where(
        PROPOSAL.c.id == ORIGINAL.c.id, PROPOSAL.c.sending_since_ms.is_not(None)
    )
    connection = op.get_bind()
    # MySQL keeps what a run that was killed has done.
    there = set(connection.execute(sa.select(INTENT.c.id)).scalars())
    sent = [
        _intent(tx_id, row)
        for row in connection.execute(rows).all()
        if (tx_id := bytes.fromhex(row.tx_id)) not in there
    ]
    if sent:
        op.execute(sa.insert(INTENT).values(sent))


def _intent(tx_id: bytes, row: sa.Row[tuple[object, ...]]) -> dict[str, object]:
    return {
        "id": tx_id,
        "account": row.wallet_id,
        "slot": row.id.encode(),
        "kind": "TRANSACTION",
        "payload": row.signed,
        "principal": f"wallet:{row.wallet_id}",
        "request": encode_notes({"proposal": row.id}),
        "stage": "sending",
        "outcome": "OPEN",
        "attempts": max(row.attempts, 1),
        "created_at_ms": row.sending_since_ms,
    }
