"""A session is in the database, and whoever has the database has nothing of it."""

from functools import partial

import pytest
from sqlalchemy import Connection, update

from strongroom.core.security.sessions.stored import Session, Sessions, new_session
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy

pytestmark = pytest.mark.anyio
TOKEN = "sr_0123456789abcdef_" + "a" * 52


@pytest.fixture
def sessions(database: Database, clock: ManualClock, entropy: SeededEntropy) -> Sessions:
    return Sessions(database, clock, entropy)


@pytest.fixture
async def session(sessions: Sessions, clock: ManualClock, entropy: SeededEntropy) -> Session:
    made = new_session(entropy, TOKEN, clock.now_ms() + 60_000)
    await sessions.keep(made)
    return made


async def test_who_has_the_secret_finds_it(sessions: Sessions, session: Session) -> None:
    assert await sessions.find(session.secret) == session
    assert await sessions.find(bytes(32)) is None


async def test_it_ends(sessions: Sessions, session: Session, clock: ManualClock) -> None:
    clock.advance(59.999)
    assert await sessions.find(session.secret) is not None
    clock.advance(0.001)
    assert await sessions.find(session.secret) is None


async def test_it_is_ended_by_its_id(sessions: Sessions, session: Session) -> None:
    await sessions.end(session.id)
    await sessions.end(session.id)
    assert await sessions.find(session.secret) is None


async def test_those_that_are_over_are_forgotten(
    sessions: Sessions, session: Session, database: Database, clock: ManualClock, entropy: SeededEntropy
) -> None:
    clock.advance(61)
    other = new_session(entropy, TOKEN, clock.now_ms() + 1)
    await sessions.keep(other)
    assert [row.id for row in await database.fetch_all(tables.session.select())] == [other.id]
    assert session.id != other.id


async def test_the_row_says_nothing_and_nobody_changes_it(
    sessions: Sessions, session: Session, database: Database
) -> None:
    (row,) = await database.fetch_all(tables.session.select())
    assert session.secret not in row.id + row.sealed
    assert TOKEN.encode() not in row.sealed
    assert TOKEN not in repr(session)
    for changed in ({"expires_at_ms": row.expires_at_ms + 1}, {"sealed": row.sealed[:-1] + b"\0"}):
        statement = update(tables.session).values(**changed)
        await database.write(partial(Connection.execute, statement=statement))
        assert await sessions.find(session.secret) is None


async def test_what_forms_carry_opens_nothing(sessions: Sessions, session: Session) -> None:
    assert await sessions.find(bytes.fromhex(session.form_token)) is None
    assert len({session.id, bytes.fromhex(session.form_token), session.secret}) == 3
