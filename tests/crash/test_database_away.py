"""MariaDB goes away in the middle of payments and comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from support.atto_payments import Books, Payers, new_payment, open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram
from support.atto_service import NOBODY, database_variables, until
from support.callback_sink import running_sink
from support.mariadb import MariaDB, running_mariadb
from support.seeds import seeded

pytestmark = pytest.mark.anyio

ACCOUNTS = 4
PAYMENTS = 60
LANES = 8
ENDS_S = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    """A server of its own, whose commits are on disk."""
    with running_mariadb(durable=True) as server:
        yield server


@pytest.fixture
async def books(server: MariaDB, network: NetworkProgram, tmp_path: Path) -> AsyncIterator[Books]:
    url = server.new_database()
    async with running_sink(seeded("database"), refused=0.0) as sink:
        variables = network.variables | database_variables(url, tmp_path) | {"CALLBACK_URL": sink.url}
        async with ServiceProgram(variables) as service:
            addresses, _ = await open_accounts(service, network, ACCOUNTS)
            await network.fault(confirmation_delay_ms=20)
            yield Books(service=service, network=network, database_url=url, addresses=addresses, sink=sink)


async def pay_all(books: Books, payers: Payers) -> None:
    addresses = books.addresses
    payments = [
        new_payment(addresses[number % ACCOUNTS], [*addresses, NOBODY][(number + 1) % (ACCOUNTS + 1)])
        for number in range(PAYMENTS)
    ]
    payments = [one for one in payments if one.sender != one.receiver]
    await asyncio.gather(*(payers.pay_in_turn(payments[lane::LANES]) for lane in range(LANES)))


async def until_answered(payers: Payers, number: int) -> None:
    while len(payers.answers) < number:  # noqa: ASYNC110 - clients tell nobody
        await asyncio.sleep(0.002)


async def assert_whole(books: Books, payers: Payers) -> None:
    await asyncio.gather(*(payers.pay(new_payment(address, NOBODY)) for address in books.addresses))
    await books.assert_agree(payers.answers)


@pytest.mark.parametrize("end", [MariaDB.kill, MariaDB.stop], ids=["killed", "stopped"])
async def test_payments_come_through_when_the_database_is_started_again(
    books: Books, server: MariaDB, end: Callable[[MariaDB], None]
) -> None:
    payers = Payers(books.service)
    async with asyncio.TaskGroup() as group:
        group.create_task(pay_all(books, payers))
        for number in (5, 25, 45):
            await until_answered(payers, number)
            await asyncio.to_thread(end, server)
            await asyncio.to_thread(server.start)
    await assert_whole(books, payers)
    assert 500 not in payers.statuses, books.service.process.logs()


async def test_while_the_database_is_away_every_answer_says_so(books: Books, server: MariaDB) -> None:
    payers, api = Payers(books.service), books.service.api
    async with asyncio.TaskGroup() as group:
        group.create_task(pay_all(books, payers))
        await until_answered(payers, 10)
        await asyncio.to_thread(server.kill)
        for path in ("/wallets", f"/wallets/accounts/{books.addresses[0]}/details", "/wallets/crash/entries"):
            response = await api.get(path)
            assert response.status_code == httpx2.codes.SERVICE_UNAVAILABLE, response.text
            assert response.json()["code"] == "database_unavailable"
        health = await until(
            lambda: books.service.management.get("/health"),
            lambda found: found.status_code == httpx2.codes.SERVICE_UNAVAILABLE,
        )
        assert health.json()["components"]["attoDatabase"]["status"] == "DOWN"
        await asyncio.to_thread(server.start)
    await until(books.service.health, lambda found: found["status"] == "UP")
    await assert_whole(books, payers)
    assert 500 not in payers.statuses, books.service.process.logs()


async def test_a_database_that_stands_still_is_down_until_it_goes_on(books: Books, server: MariaDB) -> None:
    payers = Payers(books.service)
    async with asyncio.TaskGroup() as group:
        group.create_task(pay_all(books, payers))
        await until_answered(payers, 10)
        server.pause()
        try:
            await until(
                books.service.health,
                lambda found: found["components"]["attoDatabase"]["status"] == "DOWN",
            )
        finally:
            server.resume()
    await until(books.service.health, lambda found: found["status"] == "UP")
    await assert_whole(books, payers)
    assert 500 not in payers.statuses, books.service.process.logs()


@pytest.mark.slow
async def test_the_service_ends_when_asked_though_the_database_stands_still(
    books: Books, server: MariaDB
) -> None:
    payers = Payers(books.service)
    lost = asyncio.gather(
        *(payers.ask(new_payment(address, NOBODY)) for address in books.addresses), return_exceptions=True
    )
    server.pause()
    try:
        assert await asyncio.to_thread(books.service.process.terminate, ENDS_S) == 0
    finally:
        server.resume()
    await lost
    await books.service.start()
    await payers.pay_in_turn(payers.asked.copy())
    await assert_whole(books, payers)


async def test_accounts_go_on_being_created_and_receive_after_the_database_was_away(
    books: Books, server: MariaDB, network: NetworkProgram
) -> None:
    await asyncio.to_thread(server.restart)
    made = await until(
        lambda: books.service.api.post("/wallets/crash/accounts"),
        lambda found: found.status_code == httpx2.codes.OK,
    )
    address = made.json()["address"]
    await network.fund(address, 5)
    await until(
        lambda: books.service.call("GET", "/wallets/crash/totals"),
        lambda found: found["openedAccounts"] == ACCOUNTS + 1,
    )
