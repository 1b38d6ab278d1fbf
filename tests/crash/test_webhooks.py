"""kill -9 of a service that tells of its payments: each event arrives, in the order of its account, with the id that it had."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from support.atto_payments import Books, Payers, Payment, new_payment, open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram
from support.atto_service import NOBODY, database_variables
from support.databases import execute_elsewhere
from support.galera import Galera
from support.keys import KEY
from support.mariadb import MariaDB
from support.processes import strongroom
from support.seeds import seeded
from support.waiting import until_true
from support.webhooks.house import Delivery, WebhookReceiver, judge, receiving

pytestmark = pytest.mark.anyio

ACCOUNTS = 3
PAYMENTS = 30
LANES = 6
KILLS = 3
REFUSALS = 4
LOCAL = {"STRONGROOM_WEBHOOK_NETWORKS": "127.0.0.1/32", "STRONGROOM_WEBHOOK_HTTP": "true"}
EVENTS = "SELECT COUNT(*) FROM strongroom_webhook_event"
UNDELIVERED = "SELECT COUNT(*) FROM strongroom_webhook_event WHERE state <> 'delivered'"
LEASE = '"atto.webhooks"'
"""In the log of the process that delivers."""


@asynccontextmanager
async def reluctant_receiver(source: random.Random) -> AsyncIterator[WebhookReceiver]:
    """It refuses a few deliveries, which must come again."""
    refused = {source.randrange(60) for _ in range(REFUSALS)}
    asked = iter(range(10**9))
    async with receiving(lambda _: 503 if next(asked) in refused else 204) as receiver:
        yield receiver


async def add_endpoint(variables: dict[str, str], url: str) -> str:
    """As an operator does, before the service runs; returns the secret."""

    def add() -> str:
        given = {"CHA_CHA20_KEY_ENCRYPTION_KEY": KEY, **variables}
        with strongroom("webhook", "add", "shop", url, environment=given) as process:
            assert process.wait_end() == 0, process.logs()
            return process.stdout[-1]

    return await asyncio.to_thread(add)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the receiver took, beside what is so."""

    receiver: WebhookReceiver
    secret: str
    books: Books

    async def settle(self) -> None:
        """Waits until nothing happens any more, and every event was taken and recorded."""
        await self.books.settle()
        await until_true(self._is_delivered)

    async def _is_delivered(self) -> bool:
        return await self._count(UNDELIVERED) == 0

    async def _count(self, query: str) -> int:
        ((count,),) = await asyncio.to_thread(execute_elsewhere, self.books.database_url, query)
        return int(count)

    async def assert_complete(self) -> None:
        """Every entry, signature and outcome of each account was told, in its order, and signed."""
        for address in self.books.addresses:
            entries = await self.books.network.entries(address)
            hashes = [entry.hash.hex().upper() for entry in entries]
            told = [one["hash"] for one in self._data("account.entry", "address", address)]
            assert firsts(told) == hashes
            signed, confirmed, rejected = (
                firsts([one["id"] for one in self._data(f"payment.{kind}", "account", address)])
                for kind in ("signed", "confirmed", "rejected")
            )
            assert confirmed == hashes
            assert [one for one in signed if one not in rejected] == hashes
            assert len(signed) == len(hashes) + len(rejected), "every signature has its outcome"
            self._assert_outcomes_follow(address)
        bodies: defaultdict[str, set[bytes]] = defaultdict(set)
        for one in self.receiver.taken:
            judge(self.secret, one)
            bodies[one.id].add(one.body)
        assert all(len(each) == 1 for each in bodies.values()), "an event is the same each time"
        assert await self._count(EVENTS) == len(bodies)

    def assert_nothing_older_again(self) -> None:
        """What comes again is what was told last: the next event goes when the one before it is recorded."""
        for address in self.books.addresses:
            ids = [one.id for one in self.receiver.taken if account_of(one) == address]
            places = {each: place for place, each in enumerate(firsts(ids))}
            for before, after in pairwise(places[each] for each in ids):
                assert after in {before, before + 1}

    def again(self) -> int:
        """How many deliveries were not the first of their event."""
        ids = [one.id for one in self.receiver.taken]
        return len(ids) - len(set(ids))

    def _assert_outcomes_follow(self, address: str) -> None:
        signed: set[str] = set()
        for one in self.receiver.taken:
            if account_of(one) == address:
                document = one.document
                if document["type"] == "payment.signed":
                    signed.add(document["data"]["id"])
                else:
                    assert document["data"].get("id", document["data"].get("hash")) in signed

    def _data(self, kind: str, name: str, account: str) -> list[dict[str, Any]]:
        documents = (one.document for one in self.receiver.taken)
        return [each["data"] for each in documents if each["type"] == kind and each["data"][name] == account]


def account_of(one: Delivery) -> str:
    data = one.document["data"]
    return str(data.get("account") or data.get("address") or "")


def firsts(found: Sequence[str]) -> list[str]:
    """Each once, where it came first."""
    return list(dict.fromkeys(found))


def payments_between(source: random.Random, addresses: Sequence[str]) -> list[Payment]:
    found = []
    for number in range(PAYMENTS):
        sender = addresses[number % len(addresses)]
        found.append(new_payment(sender, source.choice([NOBODY, *(set(addresses) - {sender})])))
    return found


async def until_taken(receiver: WebhookReceiver, number: int) -> None:
    while len(receiver.taken) < number:  # noqa: ASYNC110 - the receiver tells nobody
        await asyncio.sleep(0.002)


async def pay_all(payers: Payers, payments: Sequence[Payment]) -> None:
    async with asyncio.TaskGroup() as group:
        for lane in range(LANES):
            group.create_task(payers.pay_in_turn(payments[lane::LANES]))


async def test_no_event_is_lost_and_none_overtakes_another_when_the_service_is_killed(
    network: NetworkProgram, database_url: URL, tmp_path: Path
) -> None:
    source = seeded("webhooks")
    variables = network.variables | database_variables(database_url, tmp_path) | LOCAL
    async with reluctant_receiver(source) as receiver:
        secret = await add_endpoint(variables, receiver.url)
        async with ServiceProgram(variables) as service:
            addresses, _ = await open_accounts(service, network, ACCOUNTS)
            books = Books(service=service, network=network, database_url=database_url, addresses=addresses)
            told = Told(receiver=receiver, secret=secret, books=books)
            payers, begun = Payers(service), len(receiver.taken)
            async with asyncio.TaskGroup() as group:
                group.create_task(pay_all(payers, payments_between(source, addresses)))
                for threshold in sorted(source.sample(range(begun, begun + PAYMENTS), KILLS)):
                    await until_taken(receiver, threshold)
                    service.kill()
                    await service.start()
            assert len(payers.answers) == PAYMENTS
            await told.settle()
    await told.assert_complete()
    told.assert_nothing_older_again()
    assert told.again() <= KILLS * ACCOUNTS, "what was not recorded when the service died, and nothing else"


@pytest.fixture(params=["mariadb", pytest.param("galera", marks=pytest.mark.slow)])
def urls(request: pytest.FixtureRequest) -> tuple[URL, URL]:
    """An empty database, as each of two replicas is connected to it: on the cluster each has a node of its own."""
    if request.param == "mariadb":
        server: MariaDB = request.getfixturevalue("mariadb")
        url = server.new_database()
        return url, url
    cluster: Galera = request.getfixturevalue("galera")
    name = cluster.new_database()
    cluster.catch_up()
    return cluster.first.url(name), cluster.second.url(name)


@pytest.mark.parametrize("way", ["killed", pytest.param("paused", marks=pytest.mark.slow)])
async def test_the_other_replica_goes_on_where_the_one_that_delivered_was_stopped(
    network: NetworkProgram, urls: tuple[URL, URL], tmp_path: Path, way: str
) -> None:
    source = seeded(f"webhooks {way}")
    own, others = (network.variables | database_variables(url, tmp_path) | LOCAL for url in urls)
    async with reluctant_receiver(source) as receiver:
        secret = await add_endpoint(own, receiver.url)
        async with ServiceProgram(own) as first:
            await asyncio.to_thread(first.process.wait_for, LEASE)
            async with ServiceProgram(others) as second:
                addresses, _ = await open_accounts(second, network, ACCOUNTS)
                books = Books(service=second, network=network, database_url=urls[1], addresses=addresses)
                told = Told(receiver=receiver, secret=secret, books=books)
                async with asyncio.TaskGroup() as group:
                    group.create_task(pay_all(Payers(second), payments_between(source, addresses)))
                    await until_taken(receiver, len(receiver.taken) + PAYMENTS // 2)
                    first.kill() if way == "killed" else first.process.pause()
                await asyncio.to_thread(second.process.wait_for, LEASE)
                await told.settle()
                if way == "paused":
                    first.process.resume()
                    await asyncio.to_thread(first.process.wait_for, "lease lost")
                    await Payers(second).pay(new_payment(addresses[0], NOBODY))
                    await told.settle()
    await told.assert_complete()
