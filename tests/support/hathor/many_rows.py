"""Tables as large as a public network's."""

from sqlalchemy import Connection

from strongroom.core.storage.statements import upsert_rows
from strongroom.hathor import tables
from support.sql import execute

LOADED_AT_ONCE = 100_000


def load_rows(connection: Connection, count: int, first: int) -> None:
    """Addresses spread evenly over the key space, in order, so that loading is quick."""
    last = min(first + LOADED_AT_ONCE, count)
    if connection.dialect.name != "sqlite":
        name = f"CONCAT('H', LPAD(seq * {10**8} DIV {count}, 8, '0'), LPAD(seq, 25, '0'))"
        numbers = f"seq_{first}_to_{last - 1}"
        sql = f"INSERT INTO address (address, transactions) SELECT {name}, 1 FROM {numbers}"  # noqa: S608 - numbers
        execute(connection, sql)
        names = "address, token_id, unlocked_balance, transactions, total_received"
        sql = f"INSERT INTO address_balance ({names}) SELECT {name}, '00', 5, 1, 5 FROM {numbers}"  # noqa: S608 - see above
        execute(connection, sql)
        return
    made = [f"H{number * 10**8 // count:08d}{number:025d}" for number in range(first, last)]
    owners = [(name, 1) for name in made]
    upsert_rows(connection, tables.address, ("address", "transactions"), owners, ("transactions",))
    columns = ("address", "token_id", "unlocked_balance", "transactions", "total_received")
    balances = [(name, "00", 5, 1, 5) for name in made]
    upsert_rows(connection, tables.address_balance, columns, balances, ("transactions",))
