"""Two replicas of the service on one MariaDB, or each on its node of a cluster: both serve, one leads, either may die."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.engine import URL

from support.atto_network import running_network as running_sandbox
from support.atto_payments import ATTO, Books, Payers, Payment, new_payment, open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram
from support.atto_service import NOBODY, database_variables, entry, running_service, until
from support.callback_sink import running_sink
from support.databases import execute_elsewhere
from support.galera import Galera, Lag
from support.mariadb import MariaDB
from support.running import running
from support.seeds import seeded
from support.waiting import eventually

pytestmark = pytest.mark.anyio

ACCOUNTS = 4
PAYMENTS = 80
LANES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """`first` was started first, so its workers lead."""

    first: ServiceProgram
    second: ServiceProgram
    network: NetworkProgram
    books: Books
    encryption_key: str
    cluster: Galera | None
    """Where each has a node of its own."""

    @property
    def addresses(self) -> list[str]:
        return list(self.books.addresses)

    def payments(self, number: int) -> list[Payment]:
        receivers = [*self.addresses, NOBODY]
        return [
            new_payment(self.addresses[one % ACCOUNTS], receivers[(one + 1 + one // 5 % 3) % (ACCOUNTS + 1)])
            for one in range(number)
        ]


@pytest.fixture(params=["mariadb", "galera"])
def cluster(request: pytest.FixtureRequest) -> Galera | None:
    return request.getfixturevalue("galera") if request.param == "galera" else None


@pytest.fixture
def urls(request: pytest.FixtureRequest, cluster: Galera | None) -> tuple[URL, URL]:
    """An empty database, as each of the two is connected to it."""
    if cluster is None:
        server: MariaDB = request.getfixturevalue("mariadb")
        url = server.new_database()
        return url, url
    name = cluster.new_database()
    cluster.catch_up()
    return cluster.first.url(name), cluster.second.url(name)


@asynccontextmanager
async def late_second_node(cluster: Galera | None) -> AsyncIterator[None]:
    """What the first one commits arrives late at the second one, if it has a node of its own."""
    if cluster is None:
        yield
        return
    lag = Lag(cluster)
    async with running(lag.keep_up()):
        yield
    await lag.close()


@pytest.fixture
async def replicas(
    cluster: Galera | None, urls: tuple[URL, URL], network: NetworkProgram, tmp_path: Path
) -> AsyncIterator[Replicas]:
    async with running_sink(seeded("replicas"), refused=0.05) as sink:
        variables = network.variables | {"CALLBACK_URL": sink.url}
        async with ServiceProgram(variables | database_variables(urls[0], tmp_path)) as first:
            await asyncio.to_thread(first.process.wait_for, '"atto.workers"')
            async with ServiceProgram(variables | database_variables(urls[1], tmp_path)) as second:
                addresses, key = await open_accounts(second, network, ACCOUNTS)
                await network.fault(confirmation_delay_ms=15)
                books = Books(
                    service=second, network=network, database_url=urls[1], addresses=addresses, sink=sink
                )
                yield Replicas(
                    first=first,
                    second=second,
                    network=network,
                    books=books,
                    encryption_key=key,
                    cluster=cluster,
                )


async def pay_all(payments: list[Payment], payers: Payers) -> None:
    await asyncio.gather(*(payers.pay_in_turn(payments[lane::LANES]) for lane in range(LANES)))


async def until_answered(payers: Payers, number: int) -> None:
    while len(payers.answers) < number:  # noqa: ASYNC110 - clients tell nobody
        await asyncio.sleep(0.002)


async def assert_whole(replicas: Replicas, payers: Payers) -> None:
    await asyncio.gather(*(payers.pay(new_payment(address, NOBODY)) for address in replicas.addresses))
    await replicas.books.assert_agree(payers.answers)


async def test_both_pay_from_the_same_accounts_and_the_leader_is_killed(replicas: Replicas) -> None:
    payers = Payers(replicas.first, replicas.second)
    other_way = Payers(replicas.second, replicas.first)
    payments = [payment for payment in replicas.payments(PAYMENTS) if payment.sender != payment.receiver]
    half = len(payments) // 2
    async with asyncio.TaskGroup() as group:
        group.create_task(pay_all(payments[:half], payers))
        group.create_task(pay_all(payments[half:], other_way))
        await until_answered(payers, half // 2)
        replicas.first.kill()
    payers.answers |= other_way.answers
    assert len(payers.answers) == len(payments)
    # The second takes over the first one's workers: what was left open, and what arrives now.
    await replicas.network.fund(replicas.addresses[0], 5)
    await until(
        lambda: replicas.second.call("GET", f"/wallets/accounts/{replicas.addresses[0]}/receivables"),
        lambda found: found == [],
    )
    await assert_whole(replicas, payers)


async def test_a_leader_that_was_paused_past_its_term_does_no_harm(replicas: Replicas) -> None:
    payers = Payers(replicas.second)
    payments = [payment for payment in replicas.payments(PAYMENTS) if payment.sender != payment.receiver]
    async with asyncio.TaskGroup() as group:
        group.create_task(pay_all(payments, payers))
        await until_answered(payers, 10)
        replicas.first.process.pause()
        try:
            await asyncio.to_thread(replicas.second.process.wait_for, '"atto.workers"')
            await until_answered(payers, len(payments) // 2)
        finally:
            replicas.first.process.resume()
    await asyncio.to_thread(replicas.first.process.wait_for, "lease lost")
    payers_of_both = Payers(replicas.first, replicas.second)
    await asyncio.gather(
        *(payers_of_both.pay(new_payment(address, NOBODY)) for address in replicas.addresses)
    )
    await assert_whole(replicas, _joined(payers, payers_of_both))


def _joined(one: Payers, other: Payers) -> Payers:
    one.answers |= other.answers
    return one


async def test_one_key_pays_once_though_both_are_asked_at_the_same_time(replicas: Replicas) -> None:
    one, other = Payers(replicas.first), Payers(replicas.second)
    payments = [payment for payment in replicas.payments(40) if payment.sender != payment.receiver]
    async with late_second_node(replicas.cluster):
        await asyncio.gather(pay_all(payments, one), pay_all(payments, other))
    assert one.answers == other.answers
    await assert_whole(replicas, one)


async def test_an_account_made_on_one_is_received_for_by_the_leader_and_pays_on_the_other(
    replicas: Replicas,
) -> None:
    made = await replicas.second.call("POST", "/wallets/crash/accounts")
    await replicas.network.fund(made["address"], ATTO)
    await until(
        lambda: replicas.second.call("GET", "/wallets/crash/totals"),
        lambda found: found["openedAccounts"] == ACCOUNTS + 1,
    )
    await Payers(replicas.first).pay(new_payment(made["address"], NOBODY))
    await Payers(replicas.second).pay(new_payment(made["address"], NOBODY))


async def test_a_wallet_locked_on_one_is_locked_on_the_other_at_once(replicas: Replicas) -> None:
    """No signature is stored after the lock, whichever replica made it: the audit trail has the order."""
    stop = asyncio.Event()
    statuses: Counter[int] = Counter()

    async def send_on(service: ServiceProgram, address: str) -> None:
        while not stop.is_set():
            response = await service.api.post(
                f"/wallets/accounts/{address}/transactions/SEND",
                json={"receiverAddress": NOBODY, "amount": 1},
            )
            statuses[response.status_code] += 1

    async with late_second_node(replicas.cluster), asyncio.TaskGroup() as group:
        for address in replicas.addresses:
            group.create_task(send_on(replicas.first, address))
            group.create_task(send_on(replicas.second, address))
        for _ in range(10):
            paid = statuses[httpx2.codes.OK]
            await eventually(lambda: statuses[httpx2.codes.OK] > paid)  # noqa: B023 - waited for here
            await replicas.first.call("PUT", "/wallets/crash/locks/LOCKED")
            refused = await replicas.second.api.post(
                f"/wallets/accounts/{replicas.addresses[0]}/transactions/SEND",
                json={"receiverAddress": NOBODY, "amount": 1},
            )
            assert refused.status_code == httpx2.codes.BAD_REQUEST, refused.text
            assert refused.json()["message"] == "Wallet crash is locked"
            await replicas.second.call(
                "PUT", "/wallets/crash/locks/UNLOCKED", {"encryptionKey": replicas.encryption_key}
            )
        stop.set()
    assert statuses.keys() <= {200, 400, 503, 504}, statuses  # those of a busy machine say what is so
    assert statuses[400]
    assert locked_signatures(await trail(replicas)) == []


async def trail(replicas: Replicas) -> list[str]:
    query = "SELECT action FROM strongroom_audit ORDER BY sequence"
    rows = await asyncio.to_thread(execute_elsewhere, replicas.books.database_url, query)
    return [row[0] for row in rows]


def locked_signatures(actions: list[str]) -> list[int]:
    """Positions of signatures between a lock and the next unlock."""
    found, locked = [], False
    for position, action in enumerate(actions):
        locked = action == "wallet.lock" or (locked and action != "wallet.unlock")
        if locked and action == "sign":
            found.append(position)
    return found


async def test_an_entry_that_a_follower_stored_without_a_callback_url_is_not_delivered_later(
    database_url: URL, tmp_path: Path
) -> None:
    """Without a URL nothing is delivered; the process that stores a block's outcome advances the progress."""
    variables = database_variables(database_url, tmp_path)
    async with (
        running_sandbox() as network,
        running_service(network, variables) as leader,
        running_service(network, variables) as follower,
    ):
        address = await leader.open_account(network)
        sent = entry(await follower.send(address, NOBODY, 1))

        async def progress() -> list[list[str]]:
            return await asyncio.to_thread(
                execute_elsewhere, database_url, "SELECT height FROM notification_state"
            )

        await until(progress, lambda rows: rows == [[str(sent["height"])]])
