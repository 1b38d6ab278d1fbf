"""A fourth ledger, installed as a package of its own beside an unchanged service: it pays, is killed, and resumes."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from strongroom_toy.protocol import Key
from support.ports import free_port
from support.processes import Process, strongroom
from support.toy_chain import GENESIS_BALANCE, ToyNode, running_toy_node
from support.waiting import until_true

MAX_LINES = 2_500
RECEIVER = Key(bytes(32)).address
TIMEOUT_S = 30
UP = "UP"


class Installation:
    """The service with the toy ledger, and what an operator does with it."""

    def __init__(self, site: Path, data: Path, node: ToyNode) -> None:
        self.node = node
        self.url = f"http://127.0.0.1:{free_port()}"
        self.management = f"http://127.0.0.1:{free_port()}"
        self.variables = {
            "PYTHONPATH": str(site),
            "STRONGROOM_DATA": str(data),
            "TOY_NODE_URL": node.url,
            "TOY_PORT": self.url.rpartition(":")[2],
            "MANAGEMENT_PORT": self.management.rpartition(":")[2],
        }

    async def start(self) -> Process:
        process = await asyncio.to_thread(strongroom, "serve", "toy", environment=self.variables)
        try:
            await asyncio.to_thread(process.wait_ready)
        except BaseException:
            process.kill()
            raise
        return process

    async def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("strongroom")), *arguments]
        environment = {"PATH": "/usr/bin:/bin", "COLUMNS": "200", **self.variables, **variables}
        return await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, check=False
        )

    async def create_account(self, headers: dict[str, str] | None = None) -> str:
        async with self.client() as client:
            response = await client.post("/accounts", headers=headers)
        assert response.status_code == 201, response.text
        address: str = response.json()["address"]
        return address

    async def pay(
        self, account: str, reference: str, amount: int, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        body = {"receiver": RECEIVER, "amount": amount}
        async with self.client() as client:
            return await client.put(f"/accounts/{account}/payments/{reference}", json=body, headers=headers)

    async def find(self, account: str, reference: str) -> Any:
        async with self.client() as client:
            return (await client.get(f"/accounts/{account}/payments/{reference}")).json()

    async def health(self) -> dict[str, Any]:
        async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            components: dict[str, Any] = (await client.get(f"{self.management}/health")).json()["components"]
        return components

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, timeout=TIMEOUT_S, trust_env=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def installation(installed: Path, data: Path) -> AsyncIterator[Installation]:
    async with running_toy_node() as node:
        yield Installation(installed, data, node)


async def test_it_pays_and_refuses(installation: Installation) -> None:
    with await installation.start() as process:
        account = await installation.create_account()
        paid = await installation.pay(account, "first", 10)
        assert (paid.status_code, paid.json()["outcome"]) == (200, "ACCEPTED"), paid.text
        assert (await installation.pay(account, "first", 10)).json() == paid.json()
        assert (await installation.pay(account, "first", 11)).status_code == 409
        refused = await installation.pay(account, "large", GENESIS_BALANCE)
        assert (refused.json()["outcome"], refused.json()["reason"]) == ("REJECTED", "not enough")
        second = await installation.pay(account, "second", 20)
        assert second.json()["outcome"] == "ACCEPTED"
        assert (await installation.pay("0" * 64, "first", 1)).status_code == 404
        assert (await installation.pay(account, "none", 0)).status_code == 400
        health = await installation.health()
        assert process.terminate() == 0
    chain = installation.node.chain
    assert [one.transfer.amount for one in chain.taken] == [10, 20]
    assert chain.balance(account) == GENESIS_BALANCE - 30
    expected = {"toyDatabase", "toyKeys", "toyNode", "toyPayments"}
    assert {name for name, part in health.items() if part["status"] == UP} >= expected


@pytest.mark.parametrize("arrives", [False, True], ids=["before it left", "before the answer"])
async def test_killed_in_the_midst_it_resumes_and_pays_once(
    installation: Installation, *, arrives: bool
) -> None:
    node = installation.node
    with await installation.start() as first:
        account = await installation.create_account()
        node.fall_silent(deaf=not arrives)
        asked = asyncio.create_task(installation.pay(account, "rent", 100))
        await node.asked.wait()
        await asyncio.to_thread(first.kill)
        with pytest.raises(httpx2.TransportError):
            await asked
    assert len(node.chain.taken) == int(arrives)
    node.recover()
    with await installation.start():
        await _until_resumed(installation, account)
        again = await installation.pay(account, "rent", 100)
        assert (again.status_code, again.json()["outcome"]) == (200, "ACCEPTED"), again.text
        following = await installation.pay(account, "food", 5)
        assert following.json()["outcome"] == "ACCEPTED"
    assert [one.transfer.amount for one in node.chain.taken] == [100, 5]
    verified = await installation.run("doctor")
    assert "6 rows verified" in verified.stdout, (
        verified.stdout
    )  # tags, rules, the key, an account, two signatures


async def test_a_second_offer_refused_while_the_first_is_under_way_rejects_nothing(
    installation: Installation,
) -> None:
    node = installation.node
    node.moods.extend(["late", "refuses"])
    with await installation.start():
        account = await installation.create_account()
        paying = asyncio.create_task(installation.pay(account, "rent", 100))
        await node.asked.wait()  # the refusal of the second offer
        assert (await installation.find(account, "rent"))["outcome"] == "OPEN"
        node.deliver()
        paid = await paying
    assert (paid.status_code, paid.json()["outcome"]) == (200, "ACCEPTED"), paid.text
    assert [one.transfer.amount for one in node.chain.taken] == [100]


async def test_a_limit_that_is_over_during_the_signing_does_not_say_that_nothing_was_signed(
    installation: Installation, data: Path
) -> None:
    installation.variables["TOY_REQUEST_TIMEOUT_S"] = "1"
    with await installation.start():
        account = await installation.create_account()
        with sqlite3.connect(data / "toy.sqlite3", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            late = await installation.pay(account, "rent", 100)
            assert (late.status_code, late.json()["code"]) == (504, "outcome_unknown"), late.text
            other.execute("ROLLBACK")
        other.close()
        await _until_resumed(installation, account)
        again = await installation.pay(account, "rent", 100)
        assert again.json()["outcome"] == "ACCEPTED"
    assert [one.transfer.amount for one in installation.node.chain.taken] == [100]


async def test_after_the_restore_of_an_older_database_an_account_pays_again(
    installation: Installation, data: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    with await installation.start() as first:
        account = await installation.create_account()
        await installation.pay(account, "first", 1)
        copied = await installation.run("backup", str(backup), "--keys", str(tmp_path / "keys"))
        assert copied.returncode == 0, copied.stderr
        for number in range(3):
            await installation.pay(account, f"since{number}", 10)
        assert first.terminate() == 0
    await asyncio.to_thread(_restore, backup, data)
    with await installation.start():
        overtaken = await installation.pay(account, "rent", 100)
        assert (overtaken.json()["outcome"], overtaken.json()["reason"]) == (
            "REJECTED",
            "another transfer took its number",
        )
        paid = await installation.pay(account, "rent2", 100)
        assert paid.json()["outcome"] == "ACCEPTED", paid.text
    assert [one.transfer.amount for one in installation.node.chain.taken] == [1, 10, 10, 10, 100]


async def test_an_operator_ends_what_nobody_can_prove(installation: Installation, data: Path) -> None:
    node = installation.node
    with await installation.start() as process:
        account = await installation.create_account()
        node.fall_silent(deaf=True)
        asked = asyncio.create_task(installation.pay(account, "rent", 100))
        await node.asked.wait()
        await asyncio.to_thread(process.kill)
        with pytest.raises(httpx2.TransportError):
            await asked
    with sqlite3.connect(data / "toy.sqlite3") as database:
        ((transfer,),) = database.execute("SELECT hex(open_intent) FROM toy_account").fetchall()
    database.close()
    assert (await installation.run("toy", "abandon", "x")).returncode != 0
    given_up = await installation.run("toy", "abandon", transfer)
    assert given_up.returncode == 0, given_up.stderr
    again = await installation.run("toy", "abandon", transfer)
    assert "is known" in again.stderr
    node.recover()
    with await installation.start():
        assert (await installation.find(account, "rent"))["outcome"] == "REJECTED"
        assert (await installation.pay(account, "food", 5)).json()["outcome"] == "ACCEPTED"
    assert [one.transfer.amount for one in node.chain.taken] == [5]


async def test_two_references_never_share_a_transfer(installation: Installation) -> None:
    installation.node.moods.append("refuses")
    with await installation.start():
        account = await installation.create_account()
        refused = await installation.pay(account, "first", 10)
        paid = await installation.pay(account, "second", 10)
        assert (refused.json()["outcome"], paid.json()["outcome"]) == ("REJECTED", "ACCEPTED")
        assert (await installation.find(account, "first")) == refused.json()


async def test_tokens_open_it_and_their_scopes_hold(installation: Installation) -> None:
    migrated = await installation.run("migrate")
    assert (migrated.returncode, "toy.sqlite3 is up to date" in migrated.stdout) == (0, True)
    made = await installation.run("token", "create", "shop", "--scope", "toy:pay", "--ledger", "toy")
    assert made.returncode == 0, made.stderr
    maker = await installation.run("token", "create", "maker", "--scope", "toy:account", "--ledger", "toy")
    shop, other = ({"Authorization": f"Bearer {one.stdout.strip()}"} for one in (made, maker))
    installation.variables["TOY_REQUIRE_TOKEN"] = "true"
    with await installation.start():
        account = await installation.create_account(other)
        assert (await installation.pay(account, "one", 1)).status_code == 401
        assert (await installation.pay(account, "one", 1, other)).status_code == 403
        assert (await installation.pay(account, "one", 1, shop)).json()["outcome"] == "ACCEPTED"
    listed = await installation.run("token", "list", "--ledger", "toy")
    assert {"shop", "maker"} <= set(listed.stdout.split())


async def test_an_operator_finds_it_in_every_command(installation: Installation, tmp_path: Path) -> None:
    with await installation.start():
        await installation.create_account()
        kept = await installation.run("doctor")
        assert kept.returncode == 0, kept.stdout + kept.stderr
    checks = [line.split("│")[1].strip() for line in kept.stdout.splitlines() if line.startswith("│")]
    assert checks == ["toy database", "toy audit trail", "toy tokens", "toy keys", "toy node"]
    sealed = await installation.run("keys", "list", "toy")
    assert (sealed.returncode, "good" in sealed.stdout) == (0, True)
    folder, keys = tmp_path / "copy", tmp_path / "keys"
    copied = await installation.run("backup", str(folder), "--keys", str(keys))
    assert copied.returncode == 0, copied.stderr
    assert {path.name for path in folder.iterdir()} == {"manifest.json", "toy.sqlite3"}
    assert [path.name for path in keys.iterdir()] == ["toy.kek"]
    misspelt = await installation.run("doctor", TOY_PROT="1")
    assert (misspelt.returncode, "is TOY_PORT meant?" in misspelt.stderr) == (2, True)
    open_to_all = await installation.run("serve", "toy", STRONGROOM_HOST="0.0.0.0")  # noqa: S104 - refused
    assert (open_to_all.returncode, "TOY_REQUIRE_TOKEN=true" in open_to_all.stderr) == (2, True)


def test_it_is_small() -> None:
    package = Path(__file__).parent / "package"
    lines = sum(len(path.read_text().splitlines()) for path in package.rglob("*.py"))
    assert 0 < lines <= MAX_LINES


def _restore(backup: Path, data: Path) -> None:
    for path in data.glob("toy.sqlite3*"):
        path.unlink()
    shutil.copy(backup / "toy.sqlite3", data)


async def _until_resumed(installation: Installation, account: str) -> None:
    async def is_accepted() -> bool:
        # Until the unit of work that waited for the lock has committed, nothing is found.
        return bool((await installation.find(account, "rent")).get("outcome") == "ACCEPTED")

    await until_true(is_accepted)
