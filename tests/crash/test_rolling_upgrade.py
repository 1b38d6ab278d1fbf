"""The service of an earlier commit runs under load while the one of today migrates its database: no write is lost."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL

from commands.conftest import run
from strongroom.core.storage.schema import CORE
from strongroom.registry import OWN
from support.atto_payments import Books, Payers, new_payment, open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram
from support.atto_service import NOBODY, database_variables, until
from support.callback_sink import running_sink
from support.databases import execute_elsewhere
from support.mariadb import MariaDB
from support.old_source import BEFORE_TAGS, LaterProgram, old_source
from support.ports import own_ports
from support.processes import strongroom
from support.seeds import seeded

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ACCOUNTS = 4
ENOUGH = 40
"""Payments in each stage of the upgrade."""
VERSIONS = "SELECT version_num FROM strongroom_version_core"


class Load:
    """Clients that pay without a pause, each from an account of its own; they know several services."""

    def __init__(self, addresses: list[str], *services: ServiceProgram) -> None:
        self._addresses = addresses
        self.payers = Payers(*services)
        self._stopped = False
        self._paid = asyncio.Condition()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for address in self._addresses:
                group.create_task(self._pay(address))

    def stop(self) -> None:
        self._stopped = True

    async def until_more(self) -> None:
        number = len(self.payers.answers) + ENOUGH
        async with self._paid:
            await self._paid.wait_for(lambda: len(self.payers.answers) >= number)

    async def _pay(self, address: str) -> None:
        while not self._stopped:
            await self.payers.pay(new_payment(address, NOBODY))
            async with self._paid:
                self._paid.notify_all()


async def test_no_write_is_lost_while_the_schema_changes_under_running_processes(
    mariadb: MariaDB, network: NetworkProgram, tmp_path: Path
) -> None:
    url = mariadb.new_database()
    earlier = old_source(tmp_path / "earlier")
    async with running_sink(seeded("upgrade")) as sink:
        variables = network.variables | database_variables(url, tmp_path) | {"CALLBACK_URL": sink.url}
        async with (
            ServiceProgram(variables | earlier) as first,
            ServiceProgram(variables | earlier) as second,
            LaterProgram(variables) as new,
        ):
            addresses, _ = await open_accounts(first, network, ACCOUNTS)
            assert execute_elsewhere(url, VERSIONS) == [["core_0016"]]
            load = Load(addresses, second, first, new)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run())
                await load.until_more()
                await new.start()
                assert execute_elsewhere(url, VERSIONS) == [[str(CORE.script.get_current_head())]]
                await load.until_more()  # at the old processes, on the new schema
                assert set(load.payers.statuses) == {200}, load.payers.statuses
                for old in (first, second):
                    assert (await old.health())["components"]["attoDatabase"]["status"] == "UP"
                    assert await old.terminate() == 0
                    await load.until_more()
                load.stop()
            _assert_signed_by_both(load, url)
            refused = strongroom("serve", "atto", environment=variables | earlier | {"ATTO_PORT": "0"})
            assert refused.wait_end() == 1
            assert "newer than this version of Strongroom" in refused.logs()
            books = Books(service=new, network=network, database_url=url, addresses=addresses, sink=sink)
            await books.assert_agree(load.payers.answers)


@pytest.mark.parametrize("ledger", [one.name for one in OWN])
async def test_running_processes_of_every_ledger_bear_what_is_borne(ledger: str, tmp_path: Path) -> None:
    variables = {"STRONGROOM_DATA": str(tmp_path), **own_ports()}
    earlier = old_source(tmp_path / "earlier")
    with strongroom("serve", ledger, "--sandbox", environment=variables | earlier) as old:
        old.wait_ready()
        assert run("migrate", ledger, variables=variables).status == 0
        last = (await looked(variables, ledger))["details"]["lastSuccess"]
        found = await until(
            lambda: looked(variables, ledger), lambda one: one["details"]["lastSuccess"] != last
        )
        assert found["status"] == "UP"
        assert health(variables)["status"] == "UP"
        assert old.terminate() == 0
    again = run("serve", ledger, "--sandbox", variables=variables | earlier)
    assert again.status == 1
    assert "newer than this version of Strongroom" in again.stderr[-1]


@pytest.mark.parametrize("ledger", [one.name for one in OWN])
def test_running_processes_hold_off_what_they_do_not_bear(ledger: str, tmp_path: Path) -> None:
    variables = {"STRONGROOM_DATA": str(tmp_path), "COLUMNS": "500", **own_ports()}
    earlier = old_source(tmp_path / "earlier", BEFORE_TAGS)
    with strongroom("serve", ledger, "--sandbox", environment=variables | earlier) as old:
        old.wait_ready()
        others = {**variables, **own_ports()}
        for arguments in (("migrate", ledger), ("serve", ledger, "--sandbox")):
            refused = run(*arguments, variables=others)
            assert refused.status == 1
            assert "Running processes do not bear what core_0016" in refused.stderr[-1]
            assert ledger == "hathor" or f":{old.pid} (holds " in refused.stderr[-1]
        assert "core_0016" in " ".join(run("migrate", ledger, "--dry-run", variables=others).stdout)
        assert health(variables)["status"] == "UP"
        old.kill()
    assert run("migrate", ledger, variables=others).status == 0


async def looked(variables: dict[str, str], ledger: str) -> dict[str, Any]:
    """The old process's last look at its database."""
    found: dict[str, Any] = health(variables)["components"][f"{ledger}Database"]
    return found


def health(variables: dict[str, str]) -> Any:
    port = variables["MANAGEMENT_PORT"]
    return httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False, timeout=30).json()


def _assert_signed_by_both(load: Load, url: URL) -> None:
    """What the old processes signed has no id of its request, what the new one signed has one."""
    found = execute_elsewhere(url, "SELECT request_id IS NULL FROM strongroom_intent WHERE kind = 'SEND'")
    signed = Counter(row[0] for row in found)
    assert signed.total() >= len(load.payers.answers)
    assert min(signed["0"], signed["1"]) >= ENOUGH, signed
