"""Converts between history entries and database rows."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from strongroom.atto import tables
from strongroom.atto.protocol import AccountEntry, Address, BlockType
from strongroom.core.storage.database import insert_ignore


def insert_entries(connection: Connection, wallet_name: str, entries: Sequence[AccountEntry]) -> None:
    """Inserts entries; an entry that is stored already stays as it is."""
    rows = [
        {
            "address": Address(public_key=entry.public_key).path,
            "height": entry.height,
            "hash": entry.hash,
            "wallet_name": wallet_name,
            "block_type": int(entry.block_type),
            "subject": entry.subject_public_key,
            "previous_balance": entry.previous_balance,
            "balance": entry.balance,
            "timestamp_ms": entry.timestamp_ms,
        }
        for entry in entries
    ]
    insert_ignore(connection, tables.entry, rows)


def load_entry(row: Row[Any], public_key: bytes) -> AccountEntry:
    return AccountEntry(
        hash=row.hash,
        public_key=public_key,
        height=row.height,
        block_type=BlockType(row.block_type),
        subject_public_key=row.subject,
        previous_balance=row.previous_balance,
        balance=row.balance,
        timestamp_ms=row.timestamp_ms,
    )
