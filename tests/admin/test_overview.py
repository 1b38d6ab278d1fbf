"""How all ledgers stand, in one answer."""

from pathlib import Path

import httpx2
import pytest

from admin.test_payments import store
from strongroom.admin.api.overview import COUNTED
from strongroom.core.guard.state import FreezeScope
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR
from support.admin_office import Json, Office, running_office
from support.clock import ManualClock

pytestmark = pytest.mark.anyio
ALL = ("atto", "hathor")


async def overview(office: Office, token: str, **query: int) -> Json:
    answer = await office.ask(token, "GET", "/overview", **query)
    assert answer.status_code == httpx2.codes.OK, answer.text
    return answer.json()


async def test_it_tells_of_each_ledger_what_the_caller_may_see(office: Office) -> None:
    now_ms = office.clock.now_ms()
    office.health.report("attoNode", Status.DEGRADED, "it is behind")
    await office.ledgers["atto"].rules.freeze(OPERATOR, FreezeScope.WALLET, "hot", "a lost laptop")
    await store(office, "atto", 1, created_at_ms=now_ms - 120_000)
    await store(office, "atto", 2, created_at_ms=now_ms)
    whole = await overview(office, await office.token("admin", on=ALL), minutes=5, lately=1)
    atto, hathor = whole["ledgers"]
    assert {"name": "attoNode", "status": "DEGRADED", "detail": "it is behind"} in atto["components"]
    assert [one["subject"] for one in atto["freezes"]] == ["hot"]
    assert (atto["inFlight"], atto["stuck"], atto["waiting"]) == (2, 1, 0)
    assert (len(atto["signed"]), sum(atto["signed"]), atto["signed"][-1]) == (5, 2, 1)
    assert (atto["away"], atto["isSealed"]) == (None, False)
    assert (hathor["inFlight"], hathor["stuck"], hathor["freezes"]) == (0, 0, [])
    assert [int(one["id"], 16) for one in whole["payments"]] == [2]
    assert whole["counted"] == COUNTED


async def test_each_scope_opens_its_part_on_its_ledger_alone(office: Office) -> None:
    await store(office, "atto", 1, created_at_ms=office.clock.now_ms())
    payments = await overview(office, await office.token("admin:payments"))
    (atto,) = payments["ledgers"]
    assert (atto["inFlight"], len(payments["payments"])) == (1, 1)
    assert [atto[one] for one in ("components", "isSealed", "freezes", "waiting")] == [None] * 4
    read = await overview(office, await office.token("admin:read"))
    (atto,) = read["ledgers"]
    assert [atto[one] for one in ("inFlight", "stuck", "waiting", "signed")] == [None] * 4
    assert (atto["freezes"], read["payments"]) == ([], None)
    (atto,) = (await overview(office, await office.token("atto:approve")))["ledgers"]
    assert (atto["waiting"], atto["freezes"]) == (0, None)


async def test_a_ledger_that_is_away_says_so_and_the_other_goes_on(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with running_office(tmp_path, clock, unprepared=["hathor"]) as office:
        atto, hathor = (await overview(office, await office.token("admin")))["ledgers"]
        assert (atto["away"], atto["inFlight"]) == (None, 0)
        assert (hathor["away"]["code"], hathor["inFlight"]) == ("ledger_away", None)


@pytest.mark.parametrize("query", [{"minutes": 0}, {"minutes": 61}, {"lately": 51}, {"ledger": 1}])
async def test_an_odd_query_is_refused(office: Office, query: dict[str, int]) -> None:
    answer = await office.ask(await office.token("admin"), "GET", "/overview", **query)
    assert answer.status_code == httpx2.codes.BAD_REQUEST
