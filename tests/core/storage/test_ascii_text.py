"""A column of ASCII text is compared with any text of a client, and never holds another one, on both engines."""

from collections.abc import Callable

import pytest
from sqlalchemy import Column, Connection, Executable, Integer, MetaData, Table, bindparam, select, update

from strongroom.core.storage.database import Database, ascii_text
from strongroom.core.storage.errors import UnfitValue
from strongroom.core.storage.statements import Statement, arg, listed, paired

pytestmark = pytest.mark.anyio

metadata = MetaData()
thing = Table(
    "ascii_thing",
    metadata,
    Column("name", ascii_text(8), primary_key=True),
    Column("place", Integer, nullable=False),
)
ODD = [
    "ä",
    "\N{CLAPPING HANDS SIGN}",
    "a\N{COMBINING DIAERESIS}",
    "\N{FULLWIDTH LATIN SMALL LETTER A}",
    "a\0",
    "x" * 999,
    "",
]
COMPARISONS: dict[str, Callable[[str], Executable]] = {
    "equal": lambda text: select(thing.c.place).where(thing.c.name == text),
    "in": lambda text: select(thing.c.place).where(thing.c.name.in_([text, "b"])),
    "a bound parameter": lambda text: (
        select(thing.c.place).where(thing.c.name == bindparam("name")).params(name=text)
    ),
}


@pytest.fixture
async def filled(database: Database) -> Database:
    def work(connection: Connection) -> None:
        metadata.create_all(connection)
        connection.execute(thing.insert(), [{"name": "a", "place": 1}, {"name": "A", "place": 2}])

    await database.write(work)
    return database


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("comparison", COMPARISONS)
async def test_a_text_that_it_cannot_hold_matches_nothing(
    filled: Database, comparison: str, text: str
) -> None:
    assert await filled.fetch_all(COMPARISONS[comparison](text)) == []
    there = await filled.fetch_all(select(thing.c.place).where(thing.c.name != text))
    assert len(there) == 2


@pytest.mark.parametrize("text", ODD)
async def test_a_change_of_no_row_changes_none(filled: Database, text: str) -> None:
    change = update(thing).where(thing.c.name == text).values(place=9)
    assert await filled.write(lambda connection: connection.execute(change).rowcount) == 0


@pytest.mark.parametrize("text", ODD)
async def test_compiled_statements_match_nothing_either(filled: Database, text: str) -> None:
    equal = Statement(select(thing.c.place).where(thing.c.name == arg("name")), "name")
    assert list(await filled.query(equal, text)) == []
    one_of = Statement(select(thing.c.place).where(listed(thing.c.name)))
    assert [tuple(row) for row in await filled.query(one_of, [text, "a"])] == [(1,)]
    pair = Statement(select(thing.c.place).where(paired(thing.c.name, thing.c.place)))
    assert [tuple(row) for row in await filled.query(pair, [(text, 1), ("A", 2)])] == [(2,)]


async def test_what_it_holds_is_found_byte_for_byte(filled: Database) -> None:
    assert [row.place for row in await filled.fetch_all(COMPARISONS["equal"]("A"))] == [2]
    assert [row.place for row in await filled.fetch_all(COMPARISONS["a bound parameter"]("a"))] == [1]


@pytest.mark.parametrize("text", ["ä", "\N{CLAPPING HANDS SIGN}", "x" * 9])
@pytest.mark.parametrize("is_new", [True, False])
async def test_what_it_cannot_hold_is_refused_and_nothing_is_changed(
    filled: Database, text: str, *, is_new: bool
) -> None:
    statement = thing.insert().values(name=text, place=3) if is_new else update(thing).values(name=text)
    with pytest.raises(UnfitValue):
        await filled.write(lambda connection: connection.execute(statement))
    assert sorted(row.name for row in await filled.fetch_all(select(thing.c.name))) == ["A", "a"]
