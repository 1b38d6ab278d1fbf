"""Two processes on one MariaDB behind HAProxy, with a stop-watch: what a restart, a crash and an outage cost, against stated limits.

    .venv/bin/python benchmarks/replicas.py [atto | hathor | bittensor] [--engine mariadb | galera]

Two Atto services share a durable MariaDB of their own. Clients read and pay over the proxy on kept connections and try nothing
again. Then, in turn: each process gets SIGTERM and starts again; the leader is killed (SIGKILL); the leader stands still (SIGSTOP);
the database is away. The limits are those of docs/scale.md. Hathor (with its daemon) and Bittensor go through the drills of
tests/crash/replicas, with Redis: restarted, killed, stopped, and without database and Redis for five seconds.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from crash.test_rolling_restart import Clients
from support.atto_payments import Books, open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram, running_network
from support.atto_service import database_variables
from support.haproxy import Backend, Proxy, running_haproxy
from support.mariadb import MariaDB, running_mariadb
from support.replicas.clients import HURRIED_S
from support.replicas.databases import Databases, running_databases
from support.replicas.drill import Bar
from support.replicas.houses import bittensor_house, hathor_house
from support.waiting import eventually

ACCOUNTS = 4
DRAIN_S = 3
AWAY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    server: MariaDB
    network: NetworkProgram
    services: tuple[ServiceProgram, ServiceProgram]
    proxy: Proxy
    addresses: list[str]

    async def restart(self) -> tuple[list[Bar], Clients]:
        """Both, one after the other, under load."""
        clients, bars = Clients(self.proxy.url, self.addresses), list[Bar]()
        async with asyncio.TaskGroup() as group:
            group.create_task(clients.run())
            for number, one in enumerate(self.services):
                await clients.until_more()
                started_s = time.monotonic()
                ending = asyncio.create_task(one.terminate())
                await self._until_not_ready(one)
                bars.append(
                    Bar(what="from SIGTERM until it is not ready", seconds=since(started_s), limit_s=1)
                )
                await ending
                bars.append(Bar(what="from SIGTERM until it has ended", seconds=since(started_s), limit_s=30))
                await one.start()
                await self.proxy.until_up(number)
            await clients.until_more()
            clients.stop()
        return bars, clients

    async def follow(self, *, kill: bool) -> Bar:
        """The time until another process receives what arrives after the leader died."""
        leader, other = self._leader_first()
        started_s = time.monotonic()
        if kill:
            leader.kill()
        else:
            leader.process.pause()
        await self._until_received(other)
        taken_s = since(started_s)
        if kill:
            await leader.start()
        else:
            leader.process.resume()
        what = "killed" if kill else "stopped (SIGSTOP)"
        return Bar(what=f"from the leader {what} until the other one leads", seconds=taken_s, limit_s=10)

    async def outage(self) -> Bar:
        self.server.kill()
        await asyncio.sleep(AWAY_S)
        self.server.start()
        started_s = time.monotonic()
        await asyncio.gather(*(self._until_ready(one) for one in self.services))
        await self._until_received(self.services[0])
        return Bar(
            what="from the database until both are ready and one receives",
            seconds=since(started_s),
            limit_s=10,
        )

    def _leader_first(self) -> tuple[ServiceProgram, ServiceProgram]:
        """The one that said last that it took the lease leads."""
        first, second = self.services
        return (second, first) if moment_of_lease(second) > moment_of_lease(first) else (first, second)

    async def _until_received(self, service: ServiceProgram) -> None:
        """Sends something to an account; returns when the account has taken it, and the service knows it."""
        address = self.addresses[0]
        before = await self._height(address)
        await self.network.fund(address, 1)
        while await self._height(address) == before:
            await asyncio.sleep(0.02)
        while True:
            own = await service.api.get(f"/wallets/accounts/{address}/details")
            if own.status_code == httpx2.codes.OK and own.json()["height"] > before:
                return
            await asyncio.sleep(0.02)

    async def _height(self, address: str) -> int:
        state = await self.network.state(address)
        return 0 if state is None else int(state["height"])

    @staticmethod
    async def _until_not_ready(service: ServiceProgram) -> None:
        while (await service.management.get("/health/readiness")).status_code == httpx2.codes.OK:
            await asyncio.sleep(0.01)

    @staticmethod
    async def _until_ready(service: ServiceProgram) -> None:
        while (await service.management.get("/health/readiness")).status_code != httpx2.codes.OK:
            await asyncio.sleep(0.05)


def since(started_s: float) -> float:
    return time.monotonic() - started_s


def moment_of_lease(service: ServiceProgram) -> str:
    """The time of its last line on the lease of the workers; empty: it has none."""
    lines = [line for line in service.process.stderr if '"atto.workers"' in line and "lease taken" in line]
    return lines[-1].partition('"timestamp":')[2] or lines[-1] if lines else ""


async def measure(server: MariaDB, folder: Path) -> bool:
    url = server.new_database()
    async with running_network(folder) as network:
        variables = network.variables | database_variables(url, folder)
        variables |= {"STRONGROOM_DRAIN_S": str(DRAIN_S)}
        async with ServiceProgram(variables) as first, ServiceProgram(variables) as second:
            addresses, _ = await open_accounts(second, network, ACCOUNTS)
            backends = [
                Backend(port=one.api.base_url.port or 0, management_port=one.management.base_url.port or 0)
                for one in (first, second)
            ]
            async with running_haproxy(folder, backends) as proxy:
                estate = Estate(
                    server=server,
                    network=network,
                    services=(first, second),
                    proxy=proxy,
                    addresses=addresses,
                )
                bars, clients = await estate.restart()
                bars += [await estate.follow(kill=True), await estate.follow(kill=False)]
                await eventually(lambda: first.process.running and second.process.running)
                bars.append(await estate.outage())
            books = Books(service=second, network=network, database_url=url, addresses=addresses)
            await books.assert_agree(clients.entries)
    failed = sum(number for (_, outcome), number in clients.outcomes.items() if outcome != httpx2.codes.OK)
    print(
        f"rolling restart: {clients.outcomes.total()} requests, {failed} failed; nothing was paid twice or lost"
    )
    for bar in bars:
        print(bar)
    return not failed and all(bar.holds for bar in bars)


async def drill(ledger: str, databases: Databases, folder: Path) -> bool:
    opening = hathor_house if ledger == "hathor" else bittensor_house
    async with opening(databases, folder) as house:
        async with house.drill.load():
            await house.drill.restart_each()
            failed, asked = house.drill.clients.failed, house.drill.clients.outcomes.total()
            house.drill.clients.answer_s = HURRIED_S
            await house.drill.kill_each()
            await house.drill.pause_each()
            if databases.server is not None:
                await house.drill.without("the database", databases.server.kill, databases.server.start)
            await house.drill.without("Redis", house.redis.stop, house.redis.start)
        await house.settle()
    print(f"rolling restart: {asked} requests, failed: {failed or 0}; nothing was lost or doubled")
    for bar in house.drill.bars:
        print(bar)
    return not failed and all(bar.holds for bar in house.drill.bars)


async def main(options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        if options.ledger != "atto":
            with running_databases(options.engine) as databases:
                return await drill(options.ledger, databases, Path(folder))
        with running_mariadb(durable=True) as server:
            return await measure(server, Path(folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("ledger", nargs="?", choices=["atto", "hathor", "bittensor"], default="atto")
    parser.add_argument("--engine", choices=["mariadb", "galera"], default="mariadb", help="not for atto")
    sys.exit(not asyncio.run(main(parser.parse_args())))
