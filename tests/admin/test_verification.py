"""The audit trail is verified by a call, which says how far it is."""

import asyncio
from functools import partial
from typing import Any

import pytest
from sqlalchemy import update

from strongroom.core.errors import Unavailable
from strongroom.core.security.access import Principal
from strongroom.core.storage import tables
from strongroom.core.transparency.inspection import Inspection, Report
from support.admin_office import Office

pytestmark = pytest.mark.anyio

PATH = "/ledgers/atto/audit/verification"
ANN = Principal(name="token:ann", scopes=frozenset())


async def record(office: Office, subject: str) -> None:
    atto = office.ledgers["atto"]
    append = partial(atto.audit.append, principal=ANN, action="sign", subject=subject)
    await atto.database.write(append)


async def test_a_trail_is_whole_until_somebody_changes_it(office: Office) -> None:
    token = await office.token("admin:audit")
    none = await office.ask(token, "GET", PATH)
    assert (none.status_code, none.json()["code"]) == (404, "verification_not_found")
    for number in range(3):
        await record(office, f"s{number}")
    (kept,) = (await office.ask(token, "POST", "/ledgers/atto/audit/checkpoints")).json()
    whole = await office.ask(token, "POST", PATH, {"since": [kept]})
    assert whole.status_code == 200, whole.text
    found = whole.json()
    assert (found["state"], found["findings"], found["notices"]) == ("whole", [], [])
    assert found["done"] == found["total"] == kept["rows"]
    assert found["summary"].startswith(f"{kept['rows']} rows verified")
    assert (await office.ask(token, "GET", PATH)).json() == found

    changed = update(tables.audit).where(tables.audit.c.subject == "s1").values(subject="s9")
    await office.ledgers["atto"].database.write(lambda connection: connection.execute(changed))
    wrong = (await office.ask(token, "POST", PATH, {})).json()
    assert (wrong["state"], wrong["summary"]) == ("wrong", None)
    assert {one["code"] for one in wrong["findings"]} == {"chain_broken", "rows_altered"}


async def test_what_was_kept_elsewhere_finds_an_older_copy(office: Office) -> None:
    token = await office.token("admin:audit")
    await record(office, "s")
    (kept,) = (await office.ask(token, "POST", "/ledgers/atto/audit/checkpoints")).json()
    later = kept | {"checkpoint": 2}
    codes = [
        one["code"] for one in (await office.ask(token, "POST", PATH, {"since": [later]})).json()["findings"]
    ]
    assert codes == ["checkpoint_forged"]
    bad = await office.ask(token, "POST", PATH, {"since": [{"ledger": "atto"}]})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_checkpoint")


class Slow:
    """An inspection that goes on until the test lets it end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.error: Exception | None = None
        run, slow = Inspection.run, self

        async def slowly(inspection: Inspection, kept: Any = (), progress: Any = None) -> Report:
            progress(3, 7)
            slow.begun.set()
            await slow.go_on.wait()
            if slow.error is not None:
                raise slow.error
            return await run(inspection, kept, progress)

        monkeypatch.setattr(Inspection, "run", slowly)


async def test_what_takes_longer_than_a_second_says_how_far_it_is(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, slow = await office.token("admin:audit"), Slow(monkeypatch)
    await record(office, "s")
    (kept,) = (await office.ask(token, "POST", "/ledgers/atto/audit/checkpoints")).json()
    asking = asyncio.ensure_future(office.ask(token, "POST", PATH, {}))
    await slow.begun.wait()
    await office.clock.sleeping_for(1)
    office.clock.advance(1)
    answer = await asking
    assert answer.status_code == 202
    running = answer.json()
    assert (running["state"], running["done"], running["total"]) == ("running", 3, 7)
    assert (await office.ask(token, "GET", PATH)).json() == running
    other = await office.ask(token, "POST", PATH, {"since": [kept]})
    assert (other.status_code, other.json()["code"]) == (409, "verification_running")
    joining = asyncio.ensure_future(office.ask(token, "POST", PATH, {}))
    slow.go_on.set()
    assert (await joining).json()["state"] == "whole"


async def test_one_that_fails_says_why(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    token, slow = await office.token("admin:audit"), Slow(monkeypatch)
    slow.error = Unavailable("The database does not answer")
    slow.go_on.set()
    failed = (await office.ask(token, "POST", PATH, {})).json()
    assert failed["state"] == "failed"
    assert [one["detail"] for one in failed["findings"]] == ["The database does not answer"]
