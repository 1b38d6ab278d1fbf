"""Statements: compiled once, arguments in the caller's order, lists and pairs of any length."""

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, select, update

from strongroom.core.storage.database import Database, UnsignedBig
from strongroom.core.storage.statements import (
    MAX_IN,
    MAX_PAIRS,
    Statement,
    arg,
    delete_by_key,
    execute,
    execute_many,
    listed,
    paired,
    select_in,
    select_pairs,
    select_value,
    upsert_rows,
)

pytestmark = pytest.mark.anyio

metadata = MetaData()
thing = Table(
    "thing",
    metadata,
    Column("owner", String(10), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("amount", UnsignedBig, nullable=False),
    Column("kind", String(10), nullable=False),
)
COLUMNS = ("owner", "place", "amount", "kind")
HUGE = 2**64 - 1
IN_LIST = Statement(select(thing.c.place).where(listed(thing.c.place), thing.c.kind == arg("kind")), "kind")
IN_PAIRS = Statement(select(thing.c.place).where(paired(thing.c.owner, thing.c.place)))
ABOVE = Statement(
    select(thing.c.place)
    .where(thing.c.kind.in_(("a", "b")), thing.c.owner == arg("owner"), thing.c.amount > arg("amount"))
    .order_by(thing.c.place)
    .limit(arg("most")),
    "most",
    "amount",
    "owner",
)
MOVE = Statement(
    update(thing).where(thing.c.place == arg("place")).values(kind=arg("new_kind")), "place", "new_kind"
)


def fill(connection: Connection, count: int) -> None:
    metadata.create_all(connection)
    rows = [(f"o{place % 2}", place, HUGE - place, "a") for place in range(count)]
    upsert_rows(connection, thing, COLUMNS, rows, ("amount", "kind"))


async def test_lists_and_pairs_longer_than_a_chunk_are_found_whole(database: Database) -> None:
    count = MAX_IN + 5

    def work(connection: Connection) -> None:
        fill(connection, count)
        found = [row[0] for row in select_in(connection, IN_LIST, range(count), "a")]
        assert sorted(found) == list(range(count))
        assert list(select_in(connection, IN_LIST, range(count), "b")) == []
        pairs = [(f"o{place % 2}", place) for place in range(MAX_PAIRS + 5)]
        pairs.append(("o0", 1))  # both columns must match
        found = [row[0] for row in select_pairs(connection, IN_PAIRS, pairs)]
        assert sorted(found) == list(range(MAX_PAIRS + 5))

    await database.write(work)


async def test_arguments_come_in_the_callers_order_and_in_the_databases_form(database: Database) -> None:
    def work(connection: Connection) -> None:
        fill(connection, 10)
        # On SQLite the amount is compared as twenty digits.
        assert [row[0] for row in execute(connection, ABOVE, 2, HUGE - 7, "o0")] == [0, 2]
        execute_many(connection, MOVE, [(0, "c"), (2, "b")])
        assert [row[0] for row in execute(connection, ABOVE, 9, HUGE - 7, "o0")] == [2, 4, 6]

    await database.write(work)
    rows = await database.query(ABOVE, 1, HUGE - 7, "o0")
    assert [row[0] for row in rows] == [2]


@pytest.mark.parametrize("dialect", ["sqlite", "mysql"])
def test_constants_are_written_into_the_statement(dialect: str) -> None:
    text = ABOVE.compiled(dialect).text
    assert "IN ('a', 'b')" in text
    assert text.count("?" if dialect == "sqlite" else "%s") == 3


async def test_one_value(database: Database) -> None:
    kind = Statement(select(thing.c.kind).where(thing.c.place == arg("place")), "place")

    def work(connection: Connection) -> None:
        fill(connection, 2)
        assert select_value(connection, kind, 1) == "a"
        assert select_value(connection, kind, 2) is None

    await database.write(work)


async def test_an_upsert_changes_only_what_it_names(database: Database) -> None:
    def work(connection: Connection) -> None:
        fill(connection, 1)
        swapped = ("kind", "amount", "place", "owner")
        upsert_rows(connection, thing, swapped, [("b", 5, 0, "o0")], ("kind",))
        row = connection.execute(select(thing)).one()
        assert tuple(row) == ("o0", 0, HUGE, "b")

    await database.write(work)


async def test_a_row_is_deleted_by_all_columns_of_its_key(database: Database) -> None:
    def work(connection: Connection) -> None:
        fill(connection, 2)
        upsert_rows(connection, thing, COLUMNS, [("o0", 1, 1, "a")], ("kind",))
        execute_many(connection, delete_by_key(thing), [("o0", 1), ("o1", 0)])
        kept = select(thing.c.owner, thing.c.place).order_by(thing.c.owner)
        assert list(map(tuple, connection.execute(kept))) == [("o0", 0), ("o1", 1)]

    await database.write(work)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (Statement(select(thing).where(thing.c.kind == arg("kind")), "kind", "more"), "are named"),
        (
            Statement(
                select(thing).where(
                    thing.c.kind == arg("kind"), listed(thing.c.place), thing.c.owner == arg("owner")
                ),
                "kind",
                "owner",
            ),
            "stands between",
        ),
        (Statement(select(thing).where(thing.c.kind == arg("kind"))), "are named"),
        (Statement(select(thing).where(listed(thing.c.amount))), "form of its own"),
    ],
)
def test_a_statement_that_cannot_be_bound_is_an_error(statement: Statement, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        statement.compiled("sqlite")
