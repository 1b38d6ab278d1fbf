"""Column types and statements mean the same on both engines."""

from functools import partial

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import StatementError

from core.accounts import account, balances, create_accounts
from strongroom.core.storage.database import Database, insert_ignore, upsert, upsert_highest
from strongroom.core.storage.errors import DatabaseRefused

EDGES = [0, 1, 9, 10, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 10**19, 2**64 - 1]


async def test_unsigned_numbers_come_back_whole_and_sort_by_value(database: Database) -> None:
    await create_accounts(database)
    rows = [{"name": f"n{number % 97}", "balance_raw": number} for number in reversed(EDGES)]
    await database.write(lambda connection: connection.execute(account.insert(), rows))
    query = select(account.c.balance_raw)
    assert [row[0] for row in await database.fetch_all(query.order_by(account.c.balance_raw))] == EDGES
    above = query.where(account.c.balance_raw > 2**63 - 1).order_by(account.c.balance_raw)
    assert [row[0] for row in await database.fetch_all(above)] == [2**63, 10**19, 2**64 - 1]
    exact = query.where(account.c.balance_raw == 2**53 + 1)
    assert [row[0] for row in await database.fetch_all(exact)] == [2**53 + 1]


@pytest.mark.parametrize("number", [-1, 2**64])
async def test_a_number_out_of_range_is_refused(database: Database, number: int) -> None:
    await create_accounts(database)
    row = {"name": "a", "balance_raw": number}
    with pytest.raises(StatementError, match="is not from 0 to"):
        await database.write(lambda connection: connection.execute(account.insert(), row))
    assert await balances(database) == {}


async def test_text_is_compared_byte_for_byte(database: Database) -> None:
    await create_accounts(database, "a", "A", "_", "%")
    notes = {"a": "e", "A": "E", "_": "é", "%": "\N{CLAPPING HANDS SIGN}"}

    def work(connection: Connection) -> None:
        for name, note in notes.items():
            connection.execute(account.update().where(account.c.name == name).values(note=note))

    await database.write(work)
    for name, note in notes.items():
        rows = await database.fetch_all(select(account.c.name).where(account.c.note == note))
        assert [row.name for row in rows] == [name]


async def test_every_byte_comes_back(database: Database) -> None:
    await create_accounts(database)
    seal = bytes(range(256))
    row = {"name": "a", "balance_raw": 0, "seal": seal}
    await database.write(lambda connection: connection.execute(account.insert(), row))
    found = await database.fetch_one(select(account.c.seal).where(account.c.seal == seal))
    assert found is not None
    assert found.seal == seal


async def test_insert_ignore_leaves_the_row_that_was_there(database: Database) -> None:
    await create_accounts(database)
    first = [{"name": "a", "balance_raw": 1, "note": "first"}]
    second = [
        {"name": "a", "balance_raw": 2, "note": "second"},
        {"name": "b", "balance_raw": 3, "note": None},
    ]
    await database.write(lambda connection: insert_ignore(connection, account, first))
    await database.write(lambda connection: insert_ignore(connection, account, second))
    rows = await database.fetch_all(select(account.c.name, account.c.balance_raw, account.c.note))
    assert sorted(map(tuple, rows)) == [("a", 1, "first"), ("b", 3, None)]


async def test_insert_ignore_hides_no_other_mistake(database: Database) -> None:
    await create_accounts(database)
    row = [{"name": "a", "balance_raw": None, "note": None}]
    with pytest.raises(DatabaseRefused):
        await database.write(lambda connection: insert_ignore(connection, account, row))
    assert await balances(database) == {}


async def test_upsert_renews_the_named_columns_alone(database: Database) -> None:
    await create_accounts(database)
    first = [{"name": "a", "balance_raw": 1, "note": "first"}]
    second = [
        {"name": "a", "balance_raw": 2**64 - 1, "note": "second"},
        {"name": "b", "balance_raw": 3, "note": "new"},
    ]
    await database.write(lambda connection: upsert(connection, account, first, ["balance_raw"]))
    await database.write(lambda connection: upsert(connection, account, second, ["balance_raw"]))
    rows = await database.fetch_all(select(account.c.name, account.c.balance_raw, account.c.note))
    assert sorted(map(tuple, rows)) == [("a", 2**64 - 1, "first"), ("b", 3, "new")]


async def test_upsert_highest_never_lowers(database: Database) -> None:
    await create_accounts(database)
    for balances_raw in ({"a": 5}, {"a": 7, "b": 2**64 - 1}, {"a": 6, "b": 10}):
        rows = [
            {"name": name, "balance_raw": balance_raw, "note": "n"}
            for name, balance_raw in balances_raw.items()
        ]
        raised = partial(upsert_highest, table=account, rows=rows, column="balance_raw")
        await database.write(raised)
    assert await balances(database) == {"a": 7, "b": 2**64 - 1}
