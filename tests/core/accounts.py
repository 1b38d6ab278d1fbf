"""A table for the tests of the database layer."""

from sqlalchemy import Column, Connection, MetaData, Table, select

from strongroom.core.storage.database import Database, UnsignedBig, ascii_text, binary, exact_text, locking

metadata = MetaData()

account = Table(
    "account",
    metadata,
    Column("name", ascii_text(16), primary_key=True),
    Column("balance_raw", UnsignedBig, nullable=False),
    Column("note", exact_text(32)),
    Column("seal", binary(300)),
)


async def create_accounts(database: Database, *names: str) -> None:
    def work(connection: Connection) -> None:
        metadata.create_all(connection)
        for name in names:
            connection.execute(account.insert(), {"name": name, "balance_raw": 0})

    await database.write(work)


async def balances(database: Database) -> dict[str, int]:
    rows = await database.fetch_all(select(account.c.name, account.c.balance_raw))
    return {row.name: row.balance_raw for row in rows}


def add(connection: Connection, name: str, amount_raw: int) -> None:
    """Reads, then writes: two units at once must not lose an update."""
    query = locking(select(account.c.balance_raw).where(account.c.name == name))
    balance_raw = connection.execute(query).scalar_one()
    connection.execute(
        account.update().where(account.c.name == name).values(balance_raw=balance_raw + amount_raw)
    )
