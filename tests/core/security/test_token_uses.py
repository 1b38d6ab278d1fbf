"""Uses of tokens are noted in memory and written by a loop."""

import json
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.engine import Engine
from structlog.testing import capture_logs

from strongroom.core.errors import Forbidden
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.stored_tokens import NewToken
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable
from support.clock import START_MS, ManualClock, SeededEntropy
from support.tokens import TokenHouse
from support.trail import verify


@pytest.fixture
def house(database: Database, clock: ManualClock, entropy: SeededEntropy) -> TokenHouse:
    return TokenHouse(database, clock, entropy)


async def last_use(house: TokenHouse, token_id: str) -> tuple[int | None, str]:
    token = await house.tokens.find(token_id)
    return token.used_at_ms, token.used_from


async def test_a_use_is_written_once_a_minute(house: TokenHouse, clock: ManualClock) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"])
    await house.principal(new.secret, "192.0.2.1")
    assert await last_use(house, new.id) == (None, "")
    await house.uses.write()
    assert await last_use(house, new.id) == (START_MS, "192.0.2.1")
    clock.advance(59.999)
    await house.principal(new.secret, "192.0.2.2")
    await house.uses.write()
    assert await last_use(house, new.id) == (START_MS, "192.0.2.1")
    clock.advance(0.001)
    await house.uses.write()
    assert await last_use(house, new.id) == (START_MS + 59_999, "192.0.2.2")


async def test_requests_write_nothing(house: TokenHouse) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"], networks=["192.0.2.0/24"])
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for _ in range(20):
            await house.principal(new.secret, "192.0.2.1")
            with pytest.raises(Forbidden):
                await house.principal(new.secret, "192.0.3.1")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    asked = [statement for statement in statements if not statement.startswith("BEGIN")]
    assert len(asked) == 40
    assert all(statement.startswith("SELECT") for statement in asked)


async def test_uses_of_many_tokens_are_written_together(house: TokenHouse, clock: ManualClock) -> None:
    many = [await house.tokens.create(OPERATOR, f"ci-{number}", ["*"]) for number in range(20)]
    calls: list[str] = []

    def note(*of: object) -> None:
        calls.append(str(of[2]))

    for seconds in (0, 61):
        clock.advance(seconds)
        for number, each in enumerate(many):
            await house.principal(each.secret, f"192.0.2.{number}")
        event.listen(Engine, "before_cursor_execute", note)
        try:
            await house.uses.write()
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        for number, each in enumerate(many):
            assert await last_use(house, each.id) == (clock.now_ms(), f"192.0.2.{number}")
    assert len([each for each in calls if "token_use" in each]) == 4


async def test_a_process_that_ends_writes_what_it_knows(house: TokenHouse, clock: ManualClock) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"])
    await house.principal(new.secret, "192.0.2.1")
    await house.uses.write()
    clock.advance(1)
    await house.principal(new.secret, "2001:db8::/64")
    await house.uses.write(everything=True)
    assert await last_use(house, new.id) == (START_MS + 1000, "2001:db8::/64")


async def test_the_latest_use_of_all_processes_counts(
    house: TokenHouse, replica: Database, clock: ManualClock, entropy: SeededEntropy
) -> None:
    elsewhere = TokenHouse(replica, clock, entropy)
    new = await house.tokens.create(OPERATOR, "ci", ["*"])
    await house.principal(new.secret, "192.0.2.1")
    clock.advance(1)
    await elsewhere.principal(new.secret, "192.0.2.2")
    await elsewhere.uses.write()
    await house.uses.write()
    assert await last_use(house, new.id) == (START_MS + 1000, "192.0.2.2")


async def test_a_use_from_elsewhere_is_refused_and_recorded_once_a_minute(
    house: TokenHouse, database: Database, clock: ManualClock
) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"], networks=["192.0.2.0/24", "2001:db8::/48"])
    for source in ("192.0.3.1", "2001:db9::/64", "", "192.0.3.1"):
        with pytest.raises(Forbidden, match="may not be used from this address") as raised:
            await house.principal(new.secret, source)
        assert raised.value.instance_code == "address_not_allowed"
    with capture_logs() as logs:
        await house.uses.write()
    assert [(each["event"], each["token"], each["times"]) for each in logs] == [
        ("a token came from where it may not be used", "token:ci", 4)
    ]
    with pytest.raises(Forbidden):
        await house.principal(new.secret, "192.0.3.9")
    await house.uses.write()
    clock.advance(60)
    await house.uses.write()
    query = select(tables.audit).where(tables.audit.c.action == "token.refuse")
    rows = await database.fetch_all(query.order_by(tables.audit.c.sequence))
    assert [(row.principal, row.subject, json.loads(row.details)) for row in rows] == [
        ("token:ci", new.id, {"times": 4, "sources": ["", "192.0.3.1", "2001:db9::/64"]}),
        ("token:ci", new.id, {"times": 1, "sources": ["192.0.3.9"]}),
    ]
    assert await last_use(house, new.id) == (None, ""), "a refused use is none"
    assert await verify(database) == 3


async def test_a_wrong_secret_from_elsewhere_learns_nothing_and_records_nothing(
    house: TokenHouse, database: Database
) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"], networks=["192.0.2.0/24"])
    assert await house.refusal(f"{new.secret}x") == "The API token is not valid"
    await house.uses.write()
    assert await verify(database) == 1


async def test_what_cannot_be_written_now_is_written_later(
    house: TokenHouse, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"], networks=["192.0.2.0/24"])
    await house.principal(new.secret, "192.0.2.1")
    with pytest.raises(Forbidden):
        await house.principal(new.secret, "192.0.3.1")

    async def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("The database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", away)
        with pytest.raises(DatabaseUnavailable):
            await house.uses.write()
    with pytest.raises(Forbidden):
        await house.principal(new.secret, "192.0.3.2")
    await house.uses.write()
    assert await last_use(house, new.id) == (START_MS, "192.0.2.1")
    row = await database.fetch_one(select(tables.audit).where(tables.audit.c.action == "token.refuse"))
    assert row is not None
    assert json.loads(row.details) == {"times": 2, "sources": ["192.0.3.1", "192.0.3.2"]}


async def test_a_clock_that_is_set_back_hides_no_refusal(house: TokenHouse, clock: ManualClock) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"], networks=["192.0.2.0/24"])
    for _ in range(2):
        with pytest.raises(Forbidden):
            await house.principal(new.secret, "192.0.3.1")
        await house.uses.write()
        clock.advance(-3_600)
    actions = await house.database.fetch_all(select(tables.audit.c.action))
    assert [row.action for row in actions] == ["token.create", "token.refuse", "token.refuse"]


async def refusals(database: Database) -> list[tuple[int, list[str]]]:
    query = select(tables.audit.c.details).where(tables.audit.c.action == "token.refuse")
    rows = await database.fetch_all(query.order_by(tables.audit.c.sequence))
    return [(found["times"], found["sources"]) for found in (json.loads(row.details) for row in rows)]


async def refuse(house: TokenHouse, new: NewToken, *sources: str) -> None:
    for source in sources:
        with pytest.raises(Forbidden):
            await house.principal(new.secret, source)


async def test_refusals_are_recorded_once_a_minute_or_when_the_process_ends(
    house: TokenHouse, database: Database, clock: ManualClock
) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"], networks=["192.0.2.0/24"])
    await refuse(house, new, "192.0.3.1")
    await house.uses.write()
    await refuse(house, new, "192.0.3.2")
    await house.uses.write()
    clock.advance(59)
    await house.uses.write()
    assert await refusals(database) == [(1, ["192.0.3.1"])]
    await house.uses.write(everything=True)
    assert await refusals(database) == [(1, ["192.0.3.1"]), (1, ["192.0.3.2"])]


async def test_a_record_of_refusals_is_bounded(
    house: TokenHouse, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many addresses there are, and also when it is written later."""
    new = await house.tokens.create(OPERATOR, "ci", ["*"], networks=["192.0.2.0/24"])
    sources = [f"192.0.3.{number}" for number in range(1, 8)]
    await refuse(house, new, *sources)

    async def away(*_: object, **__: object) -> None:
        await refuse(house, new, "192.0.4.1", "192.0.4.2", "192.0.4.2")
        raise DatabaseUnavailable("The database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", away)
        with pytest.raises(DatabaseUnavailable):
            await house.uses.write()
    await house.uses.write()
    ((times, found),) = await refusals(database)
    assert (times, len(found)) == (10, 8)
    assert {"192.0.4.1", "192.0.4.2"} < {*found}
    other = await house.tokens.create(OPERATOR, "cd", ["*"], networks=["192.0.2.0/24"])
    await refuse(house, other, *sources, "192.0.4.1", "192.0.4.2", "x" * 65)
    await house.uses.write()
    assert (await refusals(database))[-1] == (10, [*sources, "192.0.4.1"])


async def test_a_use_that_comes_while_one_is_written_is_written_next(
    house: TokenHouse, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, other = [await house.tokens.create(OPERATOR, name, ["*"]) for name in ("ci", "cd")]
    await house.principal(new.secret, "192.0.2.1")
    await house.principal(other.secret, "192.0.2.7")
    write = database.write

    async def later(*arguments: Any, **options: Any) -> Any:
        done = await write(*arguments, **options)
        clock.advance(1)
        await house.principal(new.secret, "192.0.2.2")
        return done

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", later)
        await house.uses.write()
    assert await last_use(house, new.id) == (START_MS, "192.0.2.1")
    await house.uses.write(everything=True)
    assert await last_use(house, new.id) == (START_MS + 1000, "192.0.2.2")
    assert await last_use(house, other.id) == (START_MS, "192.0.2.7")


async def test_who_has_no_token_uses_none(house: TokenHouse, database: Database) -> None:
    for _ in range(2):
        house.uses.note(OPERATOR)
        house.uses.note_refusal(OPERATOR)
        await house.uses.write(everything=True)
    assert await database.fetch_all(select(tables.token_use)) == []
    assert await refusals(database) == []
