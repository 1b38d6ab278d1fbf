"""Transactions that are being sent become intents."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.intents.signing import encode_notes
from strongroom.core.intents.tables import intent

revision = "hathor_0007"
down_revision = "hathor_0006"

PROPOSAL = sa.table(
    "strongroom_hathor_proposal",
    *(sa.column(name) for name in ("id", "signed", "tx_id", "sending_since_ms", "attempts")),
)
ORIGINAL = sa.table("tx_proposal", sa.column("id"), sa.column("wallet_id"))


def upgrade() -> None:
    connection = op.get_bind()
    tables = set(sa.inspect(connection).get_table_names())
    if not {PROPOSAL.name, ORIGINAL.name} <= tables:
        return  # a plan, which makes no table: on what earlier revisions are yet to make, nothing is being sent
    rows = sa.select(PROPOSAL, ORIGINAL.c.wallet_id).where(
        PROPOSAL.c.id == ORIGINAL.c.id, PROPOSAL.c.sending_since_ms.is_not(None)
    )
    there = set(connection.execute(sa.select(intent.c.id)).scalars()) if intent.name in tables else set()
    for row in connection.execute(rows).all():
        tx_id = bytes.fromhex(row.tx_id)
        if tx_id not in there:  # MySQL keeps what a run that was killed has done
            op.execute(sa.insert(intent).values(**_intent(tx_id, row)))


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
