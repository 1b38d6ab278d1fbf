"""A ledger whose database is gone in the middle of the day: its part says so, and the others go on."""

from pathlib import Path

import pytest

from support.admin_office import running_office
from support.cable import Cable
from support.clock import ManualClock
from support.mariadb import MariaDB

pytestmark = pytest.mark.anyio


async def test_what_concerns_a_ledger_that_is_gone_gets_503_and_the_rest_is_done(
    tmp_path: Path, clock: ManualClock, mariadb: MariaDB
) -> None:
    async with Cable(mariadb.port, b"no word") as cable:
        url = mariadb.new_database().set(port=cable.port)
        async with running_office(tmp_path, clock, databases={"hathor": url}) as office:
            token = await office.token("admin", on=("atto", "hathor"))
            assert (await office.ask(token, "GET", "/ledgers/hathor/rules")).json() == []
            await cable.pull()

            for path in ("/ledgers/hathor/rules", "/ledgers/hathor", "/ledgers/hathor/freezes"):
                away = await office.ask(token, "GET", path)
                assert (away.status_code, away.json()["code"]) == (503, "database_unavailable"), path
            assert (await office.ask(token, "GET", "/ledgers/atto/rules")).json() == []
            me = (await office.ask(token, "GET", "/me")).json()
            assert [one["ledger"] for one in me["ledgers"]] == ["atto"]
            assert [(one["ledger"], one["code"]) for one in me["away"]] == [
                ("hathor", "database_unavailable")
            ]
            page = await office.ask(token, "GET", "/payments")
            assert (page.status_code, [one["ledger"] for one in page.json()["away"]]) == (200, ["hathor"])
            frozen = await office.ask(token, "POST", "/freeze", {"reason": "a theft"})
            assert (frozen.status_code, frozen.json()["code"]) == (503, "partly_done")
            assert [(one["ledger"], one["done"]) for one in frozen.json()["ledgers"]] == [
                ("atto", True),
                ("hathor", False),
            ]

            await cable.plug()
            again = await office.ask(token, "POST", "/freeze", {"reason": "a theft"})
            assert [(one["ledger"], one.get("code")) for one in again.json()["ledgers"]] == [
                ("atto", "already_frozen"),
                ("hathor", None),
            ]


async def test_two_processes_give_one_answer(tmp_path: Path, clock: ManualClock, mariadb: MariaDB) -> None:
    """What one changes counts for the next request to another: there is nothing in memory that could differ."""
    databases = {"atto": mariadb.new_database(), "hathor": mariadb.new_database()}
    async with (
        running_office(tmp_path, clock, databases=databases) as one,
        running_office(tmp_path, clock, databases=databases) as other,
    ):
        token = await one.token("admin", on=("atto", "hathor"))
        rule = {"name": "small", "rule": {"effect": "deny", "limit": {"amount_raw": "5"}}}
        assert (await one.ask(token, "POST", "/ledgers/atto/rules", rule)).status_code == 201
        asked = await other.ask(token, "POST", "/ledgers/atto/rules/test", {"kind": "SEND", "amountRaw": "6"})
        assert (asked.json()["allowed"], asked.json()["rule"]) == (False, "small")
        made = await other.ask(token, "POST", "/ledgers/atto/tokens", {"name": "x", "scopes": ["admin:read"]})
        child = made.json()["secret"]
        assert (await one.ask(child, "GET", "/ledgers/atto/rules")).status_code == 200
        await one.ask(token, "POST", f"/ledgers/atto/tokens/{child.split('_')[1]}/revoke")
        assert (await other.ask(child, "GET", "/ledgers/atto/rules")).status_code == 401
