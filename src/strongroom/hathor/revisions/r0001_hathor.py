"""The original's tables where they are missing, and ours beside them; an existing database is adopted in place.

In a database of hathor-wallet-service the rows stay as they are. What changes: columns of sums become DECIMAL(40),
indexes that our queries need are added, and the callers of nano contracts are read out of the history.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.resume import create_missing
from strongroom.hathor.revisions.frozen import tables

revision = "hathor_0001"
down_revision = None

SUMS = {
    "address_balance": tables.address_balance,
    "address_tx_history": tables.address_tx_history,
    "wallet_balance": tables.wallet_balance,
    "wallet_tx_history": tables.wallet_tx_history,
}
DIGITS = 40
CALLERS = """
INSERT INTO strongroom_hathor_caller (tx_id, address, seqnum)
SELECT h.tx_id, MIN(h.address), 0 FROM address_tx_history h
WHERE h.token_id = '00' AND h.balance = 0 AND NOT h.voided
AND NOT EXISTS (SELECT 1 FROM tx_output o WHERE o.tx_id = h.tx_id AND o.address = h.address)
AND NOT EXISTS (SELECT 1 FROM tx_output o WHERE o.spent_by = h.tx_id AND o.address = h.address)
GROUP BY h.tx_id
"""


def upgrade() -> None:
    connection = op.get_bind()
    existing = set(sa.inspect(connection).get_table_names())
    for name in SUMS.keys() & existing:
        _widen(connection, SUMS[name])
    for table in tables.metadata.sorted_tables:
        create_missing(connection, table)
    if "address_tx_history" in existing:
        connection.execute(sa.text(CALLERS))
    if connection.scalar(sa.select(tables.token.c.id).where(tables.token.c.id == "00")) is None:
        connection.execute(
            tables.token.insert(), {"id": "00", "name": "Hathor", "symbol": "HTR", "version": 0}
        )


def _widen(connection: sa.Connection, table: sa.Table) -> None:
    if connection.dialect.name == "sqlite":
        return  # only this service has ever written SQLite
    there = {column["name"]: column["type"] for column in sa.inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.type is tables.AMOUNT and getattr(there[column.name], "precision", 0) != DIGITS:
            default = column.server_default is not None
            op.alter_column(
                table.name,
                column.name,
                type_=mysql.DECIMAL(DIGITS, 0),
                existing_nullable=False,
                nullable=False,
                server_default="0" if default else None,
            )
