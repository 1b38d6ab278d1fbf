"""Limits and freezes over two real database nodes, where a row that is only read holds nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from strongroom.core.errors import Forbidden
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import Principal
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable
from strongroom.core.storage.migrations import migrate
from support.clock import ManualClock
from support.galera import Galera
from support.guarding import ADMIN, Guarded, request
from support.waiting import until_true

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]
LIMIT = {"effect": "deny", "limit": {"amount_raw": "1000", "seconds": 86_400}}


@pytest.fixture
async def guards(galera: Galera, clock: ManualClock) -> AsyncIterator[tuple[Guarded, Guarded]]:
    """A process at each node."""
    name = galera.new_database()
    first, second = Database(galera.first.url(name)), Database(galera.second.url(name))
    await migrate(first, [])
    guarded = Guarded(first, clock), Guarded(second, clock, seed=2)

    async def has_arrived() -> bool:
        try:
            await guarded[1].rules.freezes()
        except DatabaseUnavailable:
            return False
        return True

    await until_true(has_arrived)
    yield guarded
    await first.close()
    await second.close()


async def is_refused(guarded: Guarded) -> bool:
    try:
        await guarded.authorize(request(amount_raw=0))
    except Forbidden:
        return True
    return False


async def test_two_nodes_never_pass_a_limit_together(guards: tuple[Guarded, Guarded]) -> None:
    await guards[0].add("day", LIMIT)

    async def knows_the_rule() -> bool:
        return bool(await guards[1].rules.rules())

    await until_true(knows_the_rule)

    async def pay(guarded: Guarded) -> int:
        passed = 0
        for _ in range(30):
            try:
                await guarded.authorize(request(amount_raw=23))
            except Forbidden:
                continue
            passed += 23
        return passed

    passed = await asyncio.gather(*(pay(each) for each in guards * 2))
    assert sum(passed) == 1000 // 23 * 23


async def test_a_freeze_at_one_node_holds_at_the_other(guards: tuple[Guarded, Guarded]) -> None:
    assert not await is_refused(guards[1])
    await guards[0].rules.freeze(ADMIN, FreezeScope.LEDGER, "", "a theft")
    await until_true(lambda: is_refused(guards[1]))


async def test_an_approval_is_spent_once_at_two_nodes(guards: tuple[Guarded, Guarded]) -> None:
    rule = {"effect": "approve", "approvals": {"needed": 1}}
    await guards[0].add("ask", rule)

    async def knows_the_rule() -> bool:
        return bool(await guards[1].rules.rules())

    await until_true(knows_the_rule)
    for number in range(10):
        asked = request(key=f"k{number}")
        ids = await asyncio.gather(*(each.park(asked) for each in guards * 2))
        assert len(set(ids)) == 1
        approver = Principal(name="token:ann", scopes=frozenset({"toy:approve"}))
        await guards[number % 2].approvals.approve(approver, ids[0])

        async def is_approved(approval: str = ids[0]) -> bool:
            found = [await each.approvals.show(approval) for each in guards]
            return {one.state for one in found} == {ApprovalState.APPROVED}

        await until_true(is_approved)
        signed = await asyncio.gather(*(each.sign(asked) for each in guards * 2), return_exceptions=True)
        assert sorted(type(one).__name__ for one in signed) == ["Allowed", *["Conflict"] * 3]


async def test_votes_at_two_nodes_are_all_counted(guards: tuple[Guarded, Guarded]) -> None:
    await guards[0].add("ask", {"effect": "approve", "approvals": {"needed": 4}})
    approval = await guards[0].park(request())

    async def has_arrived() -> bool:
        return bool(await guards[1].approvals.list())

    await until_true(has_arrived)
    names = ("token:ann", "token:ben", "token:cleo", "token:dan")
    people = [Principal(name=name, scopes=frozenset({"toy:approve"})) for name in names]
    votes = [guards[number % 2].approvals.approve(person, approval) for number, person in enumerate(people)]
    await asyncio.gather(*votes)

    async def is_approved() -> bool:
        return (await guards[0].approvals.show(approval)).state is ApprovalState.APPROVED

    await until_true(is_approved)
