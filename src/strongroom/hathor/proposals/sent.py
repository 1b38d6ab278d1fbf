"""What was sent, kept for a week: who lost the answer may send the same bytes again and gets the same answer."""

from sqlalchemy import Connection

from strongroom.core.storage.statements import execute, upsert_rows
from strongroom.hathor import tables

KEPT_S = 7 * 86_400


def remember_sent(connection: Connection, proposal_id: str, raw: bytes, now_s: int) -> None:
    columns = ("id", "signed", "sent_at")
    upsert_rows(connection, tables.sent_proposal, columns, [(proposal_id, raw, now_s)], ("signed",))


def find_sent(connection: Connection, proposal_id: str) -> bytes | None:
    """The bytes that went out for a proposal; None: none did, or too long ago."""
    rows = execute(
        connection, "SELECT signed FROM strongroom_hathor_sent_proposal WHERE id = {}", proposal_id
    )
    return rows[0][0] if rows else None


def forget_sent(connection: Connection, now_s: int) -> None:
    """Drops what is older than a week."""
    execute(connection, "DELETE FROM strongroom_hathor_sent_proposal WHERE sent_at < {}", now_s - KEPT_S)


def unsay_sent(connection: Connection, proposal_id: str) -> None:
    """The transaction is lost: nobody is told again that it was sent."""
    execute(connection, "DELETE FROM strongroom_hathor_sent_proposal WHERE id = {}", proposal_id)


def is_on_chain(connection: Connection, tx_id: str) -> bool:
    sql = "SELECT 1 FROM `transaction` WHERE tx_id = {} AND voided = 0"
    return bool(execute(connection, sql, tx_id))
