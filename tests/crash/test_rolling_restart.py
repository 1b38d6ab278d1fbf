"""Two processes behind HAProxy are restarted in turn under load: no client sees it, and nothing is paid twice or lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.atto_payments import Books, Payment, new_payment, open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram
from support.atto_service import NOBODY, database_variables
from support.callback_sink import running_sink
from support.haproxy import Backend, running_haproxy
from support.mariadb import MariaDB
from support.seeds import seeded

pytestmark = pytest.mark.anyio

ACCOUNTS = 4
READERS = 4
DRAIN_S = 3
"""Longer than HAProxy takes to see that a process is not ready any more."""
ENOUGH = 20
"""Answers of each kind between two restarts."""


class Clients:
    """Read and pay over the proxy, each over a kept connection, until they are stopped. Nobody tries again."""

    def __init__(self, url: str, addresses: list[str]) -> None:
        self._url = url
        self._addresses = addresses
        self._stopped = asyncio.Event()
        self._answered = asyncio.Condition()
        self.outcomes: Counter[tuple[str, int | str]] = Counter()
        self.entries: dict[Payment, dict[str, Any]] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(READERS):
                group.create_task(self._read(self._addresses[number % ACCOUNTS]))
            for address in self._addresses:
                group.create_task(self._pay(address))

    def stop(self) -> None:
        self._stopped.set()

    async def until_more(self) -> None:
        """Returns after `ENOUGH` more reads and payments."""
        before = self.answers()
        async with self._answered:
            await self._answered.wait_for(
                lambda: all(self.answers()[kind] >= before[kind] + ENOUGH for kind in ("read", "paid"))
            )

    def answers(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for (kind, _), number in self.outcomes.items():
            found[kind] += number
        return found

    async def _read(self, address: str) -> None:
        async with self._client() as client:
            while not self._stopped.is_set():
                for path in ("/wallets/crash/totals", f"/wallets/accounts/{address}"):
                    await self._note("read", client.get(path))

    async def _pay(self, address: str) -> None:
        async with self._client() as client:
            while not self._stopped.is_set():
                payment = new_payment(address, NOBODY)
                sent = client.post(
                    f"/wallets/accounts/{address}/transactions/SEND",
                    json={"receiverAddress": NOBODY, "amount": payment.amount_raw},
                    headers={"Idempotency-Key": payment.key},
                )
                response = await self._note("paid", sent)
                if response is not None and response.status_code == httpx2.codes.OK:
                    self.entries[payment] = response.json()

    async def _note(self, kind: str, asked: Awaitable[httpx2.Response]) -> httpx2.Response | None:
        outcome: int | str
        try:
            response: httpx2.Response | None = (answer := await asked)
            outcome = answer.status_code
        except httpx2.HTTPError as error:
            response, outcome = None, type(error).__name__
        self.outcomes[kind, outcome] += 1
        async with self._answered:
            self._answered.notify_all()
        return response

    def _client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self._url, trust_env=False, timeout=60)


async def test_nobody_notices_a_rolling_restart(
    mariadb: MariaDB, network: NetworkProgram, tmp_path: Path
) -> None:
    url = mariadb.new_database()
    async with running_sink(seeded("rolling")) as sink:
        variables = network.variables | database_variables(url, tmp_path)
        variables |= {"CALLBACK_URL": sink.url, "STRONGROOM_DRAIN_S": str(DRAIN_S)}
        async with ServiceProgram(variables) as first, ServiceProgram(variables) as second:
            addresses, _ = await open_accounts(second, network, ACCOUNTS)
            backends = [
                Backend(port=one.api.base_url.port or 0, management_port=one.management.base_url.port or 0)
                for one in (first, second)
            ]
            async with running_haproxy(tmp_path, backends) as proxy:
                clients = Clients(proxy.url, addresses)
                async with asyncio.TaskGroup() as group:
                    group.create_task(clients.run())
                    for number, one in enumerate((first, second)):
                        await clients.until_more()
                        assert await one.terminate() == 0
                        await clients.until_more()
                        await one.start()
                        await proxy.until_up(number)
                    await clients.until_more()
                    clients.stop()
            assert set(clients.outcomes) == {("read", 200), ("paid", 200)}, clients.outcomes
            books = Books(service=second, network=network, database_url=url, addresses=addresses, sink=sink)
            await books.assert_agree(clients.entries)
