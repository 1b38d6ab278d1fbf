"""Keeps for a week what was sent: a caller that lost the answer sends the same bytes again and gets the same answer."""

from sqlalchemy import Connection, delete, false, select, true

from strongroom.core.storage.statements import (
    Statement,
    arg,
    delete_by_key,
    execute,
    select_value,
    upsert_rows,
)
from strongroom.hathor import tables

KEPT_S = 7 * 86_400
_sent, _transaction = tables.sent_proposal.c, tables.transaction.c
BYTES = Statement(select(_sent.signed).where(_sent.id == arg("proposal_id")), "proposal_id")
FORGET = delete_by_key(tables.sent_proposal)
FORGET_OLD = Statement(delete(tables.sent_proposal).where(_sent.sent_at < arg("before_s")), "before_s")
ON_CHAIN = Statement(
    select(_transaction.tx_id).where(_transaction.tx_id == arg("tx_id"), _transaction.voided == false()),
    "tx_id",
)
VOIDED = Statement(
    select(_transaction.tx_id).where(_transaction.tx_id == arg("tx_id"), _transaction.voided == true()),
    "tx_id",
)


def remember_sent(connection: Connection, proposal_id: str, raw: bytes, now_s: int) -> None:
    columns = ("id", "signed", "sent_at")
    upsert_rows(connection, tables.sent_proposal, columns, [(proposal_id, raw, now_s)], ("signed",))


def find_sent(connection: Connection, proposal_id: str) -> bytes | None:
    """Returns the bytes that went out for a proposal; None: none did, or it was more than a week ago."""
    return select_value(connection, BYTES, proposal_id)


def forget_sent(connection: Connection, now_s: int) -> None:
    """Drops what was sent more than a week ago."""
    execute(connection, FORGET_OLD, now_s - KEPT_S)


def unsay_sent(connection: Connection, proposal_id: str) -> None:
    """Forgets that a transaction was sent, because the network lost it."""
    execute(connection, FORGET, proposal_id)


def is_on_chain(connection: Connection, tx_id: str) -> bool:
    return bool(execute(connection, ON_CHAIN, tx_id))


def is_voided(connection: Connection, tx_id: str) -> bool:
    """Whether the chain had it and has it no more; it may come back."""
    return bool(execute(connection, VOIDED, tx_id))
