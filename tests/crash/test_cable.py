"""The cable is pulled in the middle of payments: between service and node, or service and work server.

One service and one network a database; every test leaves them whole, and its books must agree.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL

from strongroom.core.storage.database import sqlite_url
from support.atto_payments import Books, Payers, new_payment, open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram, running_network
from support.atto_service import NOBODY, SQLITE_NAME, database_variables, until
from support.callback_sink import running_sink
from support.mariadb import MariaDB
from support.seeds import seeded

pytestmark = pytest.mark.anyio

ACCOUNTS = 4
REQUEST_TIMEOUT_S = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cable:
    """What is connected, and its books."""

    service: ServiceProgram
    network: NetworkProgram
    payers: Payers
    books: Books

    @property
    def addresses(self) -> list[str]:
        return list(self.books.addresses)

    @property
    def quiet(self) -> str:
        """An account that does not pay in lanes, whose next work is therefore prepared and whose chain is free."""
        return self.addresses[ACCOUNTS]

    async def pay_from_all(self, payments_each: int = 4) -> None:
        """Every account pays the next one and another one, in its own tasks; all are answered at the end."""
        lanes = []
        for number, sender in enumerate(self.addresses[:ACCOUNTS]):
            receiver = self.addresses[(number + 1) % ACCOUNTS]
            lanes.append([new_payment(sender, receiver) for _ in range(payments_each // 2)])
            lanes.append([new_payment(sender, NOBODY) for _ in range(payments_each // 2)])
        await asyncio.gather(*(self.payers.pay_in_turn(lane) for lane in lanes))

    async def component(self, name: str) -> str:
        """The status of a part in /health."""
        status: str = (await self.service.health())["components"][name]["status"]
        return status

    async def until_component(self, name: str, status: str) -> None:
        await until(lambda: self.component(name), lambda found: found == status)

    async def assert_reads_ask_no_node(self) -> None:
        """Who waited for a node that is silent would get a 504 in the end."""
        for path in (
            "/wallets",
            "/wallets/crash/totals",
            "/wallets/crash/entries",
            f"/wallets/accounts/{self.addresses[0]}/details",
            f"/wallets/accounts/{self.addresses[0]}/entries",
            f"/wallets/accounts/{self.addresses[0]}/receivables",
        ):
            await self.service.call("GET", path)

    async def assert_whole(self) -> None:
        """Each account pays once more, with no unlock and no restart; then everything is compared."""
        await asyncio.gather(*(self.payers.pay(new_payment(address, NOBODY)) for address in self.addresses))
        await self.books.assert_agree(self.payers.answers)
        for payment, hashes in self.payers.unknown.items():
            assert hashes == {self.payers.answers[payment]["hash"]}, (
                "the block of a 504 was not the one that paid"
            )
        health = await self.service.health()
        assert health["components"]["attoPendingBlocks"]["details"]["message"] == "0 blocks are open"


@asynccontextmanager
async def payments_under_way(cable: Cable) -> AsyncIterator[asyncio.Task[None]]:
    """Payments go on around the block, which starts when the first are through, and end after it."""
    answered = len(cable.payers.answers)
    async with asyncio.TaskGroup() as group:
        paying = group.create_task(cable.pay_from_all())
        while len(cable.payers.answers) < answered + ACCOUNTS:  # noqa: ASYNC110 - clients tell nobody
            await asyncio.sleep(0.002)
        yield paying


@pytest.fixture(scope="module", params=["sqlite", pytest.param("mariadb", marks=pytest.mark.slow)])
async def shared_cable(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cable]:
    folder = tmp_path_factory.mktemp("cable")
    url = _database(request, str(folder / SQLITE_NAME))
    source = seeded("cable")
    async with running_network(folder) as network, running_sink(source, refused=0.05) as sink:
        variables = network.variables | database_variables(url, folder)
        variables |= {"CALLBACK_URL": sink.url, "ATTO_REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S)}
        async with ServiceProgram(variables) as service:
            addresses, _ = await open_accounts(service, network, ACCOUNTS + 1)
            books = Books(service=service, network=network, database_url=url, addresses=addresses, sink=sink)
            yield Cable(service=service, network=network, payers=Payers(service), books=books)


def _database(request: pytest.FixtureRequest, path: str) -> URL:
    if request.param == "sqlite":
        return sqlite_url(path)
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.new_database()


@pytest.fixture
async def cable(shared_cable: Cable) -> AsyncIterator[Cable]:
    await shared_cable.network.heal()
    yield shared_cable
    if not shared_cable.network.process.running:
        await shared_cable.network.start()
    await shared_cable.network.heal()


@pytest.mark.parametrize(
    "faults",
    [
        {"drop_reply": 5},
        {"drop_request": 5},
        {"drop_reply": 3, "confirmation_delay_ms": 200},
        {"status": 503, "count": 10, "path": "/transactions"},
        {"status": 500, "count": 30, "path": "/"},
        {"status": 429, "count": 6, "path": "/transactions"},
        {"election_expired": 5},
        {"election_expired": 5, "then_confirm": True, "confirmation_delay_ms": 100},
        {"drop_reply": 4, "silent_duplicates": True},
        {"restart": True, "down_ms": 1500},
        {"drop_streams": True},
        {"drop_streams": True, "drop_reply": 3, "status": 503, "count": 8, "path": "/accounts"},
    ],
    ids="-".join,
)
async def test_payments_come_through(cable: Cable, faults: dict[str, object]) -> None:
    await cable.network.fault(confirmation_delay_ms=10)
    async with payments_under_way(cable):
        await cable.network.fault(**faults)
    await cable.network.heal()
    await cable.assert_whole()


async def while_the_node_is_silent(cable: Cable, heal: Callable[[], Awaitable[None]]) -> None:
    """What a service must do that gets no answer from its node."""
    lost = new_payment(cable.quiet, NOBODY)
    asked = await cable.payers.ask(lost)
    assert asked.status_code == httpx2.codes.GATEWAY_TIMEOUT, asked.text
    (block_hash,) = cable.payers.unknown[lost]
    assert (await transaction(cable, block_hash))["state"] == "SIGNED"
    await cable.assert_reads_ask_no_node()
    made = await cable.service.call("POST", "/wallets/crash/accounts")
    assert made["index"] > ACCOUNTS
    await cable.until_component("attoNode", "DOWN")
    health = await cable.service.management.get("/health")
    assert (health.status_code, health.json()["status"]) == (httpx2.codes.OK, "DEGRADED")
    await heal()
    # Nobody asks for it any more, and it is resolved all the same.
    await until(
        lambda: transaction(cable, block_hash),
        lambda found: found["state"] == "CONFIRMED" and found["entry"] is not None,
    )
    assert (await cable.payers.pay(lost))["hash"] == block_hash
    await cable.until_component("attoNode", "UP")


async def transaction(cable: Cable, block_hash: str) -> dict[str, Any]:
    document: dict[str, Any] = await cable.service.call("GET", f"/wallets/accounts/transactions/{block_hash}")
    return document


async def test_a_node_that_stands_still(cable: Cable) -> None:
    async with payments_under_way(cable):
        cable.network.process.pause()
        try:
            await while_the_node_is_silent(cable, resume(cable))
        finally:
            cable.network.process.resume()
    await cable.assert_whole()


def resume(cable: Cable) -> Callable[[], Awaitable[None]]:
    async def heal() -> None:
        cable.network.process.resume()

    return heal


async def test_a_service_that_ends_answers_clients_that_wait_for_a_silent_node(cable: Cable) -> None:
    cable.network.process.pause()
    try:
        payment = new_payment(cable.quiet, NOBODY)
        asking = asyncio.create_task(cable.payers.ask(payment))
        await until(cable.books.open_blocks, lambda found: found > 0)
        assert await asyncio.to_thread(cable.service.process.terminate) == 0
    finally:
        cable.network.process.resume()
    assert (await asking).status_code == httpx2.codes.GATEWAY_TIMEOUT
    (block_hash,) = cable.payers.unknown[payment]
    await cable.service.start()
    assert (await cable.payers.pay(payment))["hash"] == block_hash
    await cable.assert_whole()


async def test_a_node_that_is_killed_and_comes_back(cable: Cable) -> None:
    async with payments_under_way(cable):
        cable.network.kill()
        await while_the_node_is_silent(cable, cable.network.start)
    await cable.assert_whole()


async def test_a_node_that_is_slow(cable: Cable) -> None:
    async with payments_under_way(cable):
        await cable.network.fault(stall_ms=6000)
        await while_the_node_is_silent(cable, cable.network.heal)
    await cable.assert_whole()


async def test_a_work_server_that_is_away(cable: Cable) -> None:
    async with payments_under_way(cable) as paying:
        await cable.network.work_fault(restart=True, down_ms=60_000)
        await cable.until_component("attoWork", "DOWN")
        refused = await until(
            lambda: cable.payers.ask(new_payment(cable.addresses[0], NOBODY)),
            lambda found: found.status_code == httpx2.codes.SERVICE_UNAVAILABLE,
        )
        assert refused.json()["message"] == "Timed out before anything was signed; it is safe to try again"
        await cable.assert_reads_ask_no_node()
        assert not paying.done()
        await cable.network.work_fault(restart=True, down_ms=0)
    await cable.until_component("attoWork", "UP")
    await cable.assert_whole()


async def test_what_arrives_while_the_streams_are_cut_is_received(cable: Cable) -> None:
    before = await cable.service.call("GET", f"/wallets/accounts/{cable.addresses[0]}/details")
    await cable.network.fault(status=503, count=6, path="/accounts", drop_streams=True)
    await cable.network.fund(cable.addresses[0], 77)
    await until(
        lambda: cable.service.call("GET", f"/wallets/accounts/{cable.addresses[0]}/details"),
        lambda found: found["balance"] == before["balance"] + 77,
    )
    await cable.assert_whole()
