"""What is wrong with tagged rows is told once, and again when it comes back."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Executable, delete, insert, select, update

from strongroom.core.errors import Sealed
from strongroom.core.guard import tables as guard_tables
from strongroom.core.guard.approvals.tagged import ApprovalAltered, ApprovalRows
from strongroom.core.guard.rows.accepting import AlteredRows
from strongroom.core.guard.rows.watch import RowWatch
from strongroom.core.guard.state import FreezeScope
from strongroom.core.guard.tagged_state import read_stored, require_unaltered
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.guarding import ADMIN, ANN, Guarded, asks, code, request
from support.tokens import TokenHouse
from support.trail import open_trail

pytestmark = pytest.mark.anyio
COLD = {"effect": "deny", "when": {"wallets": ["cold"]}}


@pytest.fixture
def audit(clock: ManualClock) -> Audit:
    return Audit(clock, open_trail())


@pytest.fixture
def watch(database: Database, audit: Audit) -> RowWatch:
    return RowWatch(database, audit)


@pytest.fixture
def rows(database: Database, audit: Audit) -> AlteredRows:
    return AlteredRows(database, audit, SeededEntropy(9))


async def told(database: Database, action: str = "rows.refuse") -> Sequence[tuple[str, dict[str, str]]]:
    columns = tables.audit.c
    query = select(columns.subject, columns.details).where(columns.action == action)
    return [
        (row.subject, json.loads(row.details))
        for row in await database.fetch_all(query.order_by(columns.sequence))
    ]


async def change(database: Database, statement: Executable) -> None:
    """Past the service."""
    await database.write(lambda connection: connection.execute(statement))


async def test_rules_that_were_altered_are_told_under_their_own_name(
    guarded: Guarded, watch: RowWatch, rows: AlteredRows
) -> None:
    await guarded.add("cold", COLD)
    removed = delete(guard_tables.rule)
    await guarded.database.write(lambda connection: connection.execute(removed))
    await watch.look()
    why = "Rules or freezes were altered in the database"
    assert await told(guarded.database) == [("rules", {"row": "rules", "why": why})]
    assert (watch.check().status, watch.check().detail) == (Status.DEGRADED, why)
    (taken,) = await rows.accept(ADMIN, None)
    assert (taken.name, taken.words) == ("rules", why)
    assert await told(guarded.database, "rows.accept") == [("strongroom_guard", {"row": "rules", "why": why})]
    await watch.look()
    assert watch.check().status is Status.UP


async def test_what_comes_back_is_told_again(
    database: Database, clock: ManualClock, watch: RowWatch, rows: AlteredRows
) -> None:
    house = TokenHouse(database, clock, SeededEntropy(3))
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    for times, scopes in ((1, '["*"]'), (2, "[]")):
        wider = update(tables.token).values(scopes=scopes)
        await change(database, wider)
        await watch.look()
        assert [subject for subject, _ in await told(database)] == [new.id] * times
        await rows.accept(ADMIN, [f"token:{new.id}"])
        await watch.look()


async def test_only_what_is_wrong_can_be_accepted_and_only_what_is_named_is(
    database: Database, clock: ManualClock, rows: AlteredRows
) -> None:
    house = TokenHouse(database, clock, SeededEntropy(3))
    names = [f"token:{(await house.tokens.create(OPERATOR, name, ['atto:send'])).id}" for name in "abc"]
    wider = update(tables.token).where(tables.token.c.name != "c").values(scopes='["*"]')
    await database.write(lambda connection: connection.execute(wider))
    found = [one.name for one in await rows.look()]
    assert sorted(found) == sorted(names[:2])
    assert [one.name for one in await rows.accept(ADMIN, [names[1]])] == [names[1]]
    assert [one.name for one in await rows.look()] == [names[0]]


async def test_a_request_that_was_removed_is_found_until_it_is_accepted(
    guarded: Guarded, rows: AlteredRows, watch: RowWatch
) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    await guarded.database.write(lambda connection: connection.execute(delete(guard_tables.approval)))
    (found,) = await rows.look()
    assert (found.name, found.title) == (f"approval:{waiting}", waiting)
    assert "was removed from the database" in found.words
    assert [one.name for one in await rows.accept(ADMIN, None)] == [found.name]
    assert await rows.look() == []
    await watch.look()
    assert watch.check().status is Status.UP, "the watch reads no whole trail"


async def test_a_request_that_has_ended_is_looked_at_by_who_looks_at_all(
    guarded: Guarded, rows: AlteredRows, watch: RowWatch
) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    await guarded.approvals.refuse(ANN, waiting, "no")
    altered = update(guard_tables.approval).values(asked_at_ms=1)
    await guarded.database.write(lambda connection: connection.execute(altered))
    await watch.look()
    assert watch.check().status is Status.UP
    (found,) = await rows.look()
    assert found.words == f"The approval {waiting} was altered in the database"


async def test_a_row_with_half_a_tag_is_not_ours(guarded: Guarded, clock: ManualClock) -> None:
    """Nobody but a thief leaves a tag without the number of its audit row."""
    house = TokenHouse(guarded.database, clock, SeededEntropy(3))
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    for table in (tables.token, guard_tables.approval):
        halved = update(table).values(sequence=None)
        await change(guarded.database, halved)
    assert await house.refusal(new.secret) == "The API token is not valid"
    approval = await guarded.approvals.show(waiting)
    why = f"The request {waiting} was not written by this service"
    with pytest.raises(ApprovalAltered, match=why):
        ApprovalRows(open_trail()).require_good(approval)


async def test_rules_whose_tag_was_removed_after_the_last_of_them_ended_are_not_new(
    guarded: Guarded, clock: ManualClock
) -> None:
    await guarded.add("cold", COLD)
    await guarded.rules.remove(ADMIN, "cold")
    await guarded.authorize(request())
    removed = update(guard_tables.guard).values(tag=None, generation=guard_tables.guard.c.generation + 1)
    await guarded.database.write(lambda connection: connection.execute(removed))
    assert await code(guarded, request()) == "rules_altered"
    await change(guarded.database, delete(guard_tables.rule))
    assert await code(Guarded(guarded.database, clock, seed=2), request()) == "rules_altered"


async def test_a_sealed_service_takes_no_rules_for_right(guarded: Guarded) -> None:
    stored = await guarded.database.read(read_stored)
    require_unaltered(open_trail(), stored)
    with pytest.raises(Sealed):
        require_unaltered(TrailKey(), stored)


async def test_a_rule_does_not_pass_for_a_freeze(guarded: Guarded) -> None:
    """What is tagged says where the rules end and the freezes begin, and is the same in whatever order it was read."""
    await guarded.add("cold", COLD)
    await guarded.add("no", COLD)
    stored = await guarded.database.read(read_stored)
    rows = list(stored.rules)
    ways = [(rows, ()), ((), rows), (rows[:1], rows[1:]), (rows[1:], rows[:1])]
    contents = {replace(stored, rules=rules, freezes=freezes).content for rules, freezes in ways}
    assert len(contents) == len(ways)
    assert replace(stored, rules=rows[::-1]).content == stored.content


async def test_a_freeze_that_somebody_put_in_before_there_was_any_rule_is_not_new(guarded: Guarded) -> None:
    row = {
        "id": "f0",
        "scope": "wallet",
        "subject": "cold",
        "reason": "",
        "frozen_at_ms": 1,
        "frozen_by": ADMIN.name,
    }
    await guarded.database.write(lambda connection: connection.execute(insert(guard_tables.freeze), row))
    assert await code(guarded, request()) == "rules_altered"


async def test_rules_and_freezes_are_read_in_the_order_in_which_people_wrote_them(
    guarded: Guarded, clock: ManualClock
) -> None:
    names = [f"rule-{number}" for number in (3, 1, 5, 2, 4)]
    for name in names:
        clock.advance(1)
        await guarded.add(name, COLD)
        await guarded.rules.freeze(ADMIN, FreezeScope.WALLET, name, "a theft")
    stored = await guarded.database.read(read_stored)
    assert [row.name for row in stored.rules] == names
    assert [row.subject for row in stored.freezes] == names


async def test_rules_that_were_accepted_hold_at_once_for_who_runs(
    guarded: Guarded, rows: AlteredRows, clock: ManualClock
) -> None:
    await guarded.add("no", {"effect": "deny", "when": {"wallets": ["hot"]}})
    running = Guarded(guarded.database, clock, seed=2)
    assert await code(running, request()) == "rule_denied"
    await change(guarded.database, delete(guard_tables.rule))
    await rows.accept(ADMIN, ["rules"])
    await running.authorize(request())
