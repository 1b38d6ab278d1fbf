"""Signed extrinsics become intents with receipts."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom.core.intents.signing import encode_notes
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import binary, insert_ignore

revision = "bittensor_0004"
down_revision = "bittensor_0003"

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)

AT_ONCE = 500
NAMES = sa.MetaData()


def _named(table: str, *columns: str) -> sa.Table:
    """`columns` begins with the primary key."""
    key, *others = columns
    return sa.Table(table, NAMES, sa.Column(key, primary_key=True), *(sa.Column(name) for name in others))


# As strongroom.core.intents has the table at core_0005.
INTENT = _named(
    "strongroom_intent",
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
RECEIPT = _named(
    "strongroom_bittensor_receipt",
    "id",
    "block_number",
    "block_hash",
    "block_index",
    "fee",
    "success",
    "failure",
)
ACCOUNT = _named("strongroom_bittensor_account", "public_key", "final_number", "final_hash")
JOB = _named("strongroom_bittensor_job", "id", "principal")
EXTRINSIC = _named(
    "strongroom_bittensor_extrinsic",
    "hash",
    "job",
    "public_key",
    "nonce",
    "live_nonce",
    "bytes",
    "call_name",
    "spec_version",
    "first_block",
    "last_block",
    "state",
    "attempts",
    "block_number",
    "block_hash",
    "block_index",
    "fee",
    "success",
    "failure",
    "created_at_ms",
)
OUTCOMES = {"signed": "OPEN", "pooled": "OPEN", "in_block": "OPEN", "final": "ACCEPTED"}


def upgrade() -> None:
    """Every step may have been made already, because MySQL keeps what a run that was killed has done."""
    inspector = sa.inspect(op.get_bind())
    tables = set(inspector.get_table_names())
    if RECEIPT.name not in tables:
        op.create_table(
            RECEIPT.name,
            sa.Column("id", binary(32), primary_key=True),
            sa.Column("block_number", sa.BigInteger),
            sa.Column("block_hash", binary(32)),
            sa.Column("block_index", sa.Integer),
            sa.Column("fee", sa.BigInteger),
            sa.Column("success", sa.Boolean),
            sa.Column("failure", LONG_TEXT),
        )
    there = {column["name"] for column in inspector.get_columns(ACCOUNT.name)}
    for column in (sa.Column("final_number", sa.BigInteger), sa.Column("final_hash", binary(32))):
        if column.name not in there:
            op.add_column(ACCOUNT.name, column)
    if EXTRINSIC.name in tables:
        _carry_over(op.get_bind())
        op.drop_table(EXTRINSIC.name)


def _carry_over(connection: sa.Connection) -> None:
    hashes = connection.execute(sa.select(EXTRINSIC.c.hash)).scalars().all()
    rows = sa.select(EXTRINSIC, JOB.c.principal).outerjoin(JOB, JOB.c.id == EXTRINSIC.c.job)
    for start in range(0, len(hashes), AT_ONCE):
        some = rows.where(EXTRINSIC.c.hash.in_(hashes[start : start + AT_ONCE]))
        _carry_over_some(connection, [row._asdict() for row in connection.execute(some)])
    finals = (EXTRINSIC.c.state == "final", EXTRINSIC.c.block_number.is_not(None))
    in_order = (
        sa.select(EXTRINSIC.c.public_key, EXTRINSIC.c.block_number, EXTRINSIC.c.block_hash)
        .where(*finals)
        .order_by(EXTRINSIC.c.block_number)
    )
    newest = {row.public_key: row for row in connection.execute(in_order)}
    for row in newest.values():
        connection.execute(
            sa.update(ACCOUNT)
            .where(ACCOUNT.c.public_key == row.public_key)
            .values(final_number=row.block_number, final_hash=row.block_hash)
        )


def _carry_over_some(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    insert_ignore(connection, INTENT, [_intent(row) for row in rows])
    if told := [_receipt(row) for row in rows if row["block_hash"] is not None or row["failure"] is not None]:
        insert_ignore(connection, RECEIPT, told)


def _intent(row: Mapping[str, Any]) -> dict[str, object]:
    outcome = OUTCOMES.get(row["state"], "REJECTED")
    notes = {
        "job": row["job"],
        "nonce": row["nonce"],
        "specVersion": row["spec_version"],
        "firstBlock": row["first_block"],
        "lastBlock": row["last_block"],
    }
    nonce = row["live_nonce"]
    return {
        "id": row["hash"],
        "account": encode_address(row["public_key"]),
        "slot": None if nonce is None else row["public_key"] + nonce.to_bytes(8, "big"),
        "kind": row["call_name"],
        "payload": row["bytes"],
        "principal": row["principal"] or "",
        "request": encode_notes(
            notes
        ),  # what else there is to say of the signature stands in the audit trail
        "stage": row["state"],
        "outcome": outcome,
        "reason": _reason(row["failure"]) if outcome == "REJECTED" else None,
        "attempts": row["attempts"],
        "created_at_ms": row["created_at_ms"],
        "resolved_at_ms": None if outcome == "OPEN" else row["created_at_ms"],
    }


def _receipt(row: Mapping[str, Any]) -> dict[str, object]:
    told = {
        name: row[name] for name in ("block_number", "block_hash", "block_index", "fee", "success", "failure")
    }
    return {"id": row["hash"], **told}


def _reason(failure: str | None) -> str:
    if failure is None:
        return "It can never be included"
    told = decode_json(failure, dict[str, Any])
    return f"{told['name']}: {told['docs']}" if told.get("docs") else str(told["name"])
