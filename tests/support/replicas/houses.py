"""Two processes of a ledger behind HAProxy, on one database or a node each, with Redis and clients: all that a drill needs."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support.bittensor_service import database_variables as bittensor_variables
from support.haproxy import Backend, Proxy, running_haproxy
from support.hathor.processes import NodeProgram, WalletProgram, database_variables
from support.redis import Redis, running_redis
from support.replicas.bittensor import (
    BackgroundJobs,
    BittensorBooks,
    BittensorClients,
    BittensorProgram,
    Validator,
    import_validators,
    produce_on,
    validators_node,
)
from support.replicas.databases import Databases
from support.replicas.drill import Drill, Member
from support.replicas.hathor import Deposits, HathorBooks, HathorClients, open_wallet
from support.running import running

DRAIN_S = 3
WALLETS = 4
VALIDATORS = 7


@dataclass(frozen=True, kw_only=True)
class House:
    """`settle` holds the clients' books against everything else; it fails where they do not agree."""

    drill: Drill
    databases: Databases
    redis: Redis
    settle: Callable[[], Awaitable[None]]


@asynccontextmanager
async def hathor_house(databases: Databases, folder: Path) -> AsyncIterator[House]:
    """Two processes that serve, and a daemon beside them."""
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(running_redis())
        node = await stack.enter_async_context(NodeProgram(folder / "node"))
        programs = [
            WalletProgram(
                node,
                {
                    "STRONGROOM_DATA": str(folder),
                    "STRONGROOM_DRAIN_S": str(DRAIN_S),
                    "REDIS_URL": redis.url,
                    **database_variables(url),
                },
                sync=number == len(databases.urls),
            )
            for number, url in enumerate([*databases.urls, databases.urls[0]])
        ]
        for program in reversed(programs):  # the daemon follows the node first
            await stack.enter_async_context(program)
        wallets = [await open_wallet(programs[0], node, number) for number in range(WALLETS)]
        served = programs[:-1]
        proxy = await _proxy(stack, folder, served, [_port(one.url) for one in served])
        sockets = await _proxy(stack, folder, served, [_port(one.socket_url) for one in served])
        clients = HathorClients(proxy.url, sockets.url.replace("http", "ws", 1), wallets)
        deposits = Deposits(
            node=node, wallet=await open_wallet(programs[0], node, len(wallets)), url=proxy.url
        )
        drill = Drill(
            programs=programs,
            served=len(served),
            proxies=(proxy, sockets),
            clients=clients,
            lead=deposits.receive,
        )
        books = HathorBooks(node=node, services=served, database_url=databases.urls[0])
        yield House(
            drill=drill,
            databases=databases,
            redis=redis,
            settle=lambda: books.assert_agree(wallets, deposits),
        )


@asynccontextmanager
async def bittensor_house(databases: Databases, folder: Path) -> AsyncIterator[House]:
    """Two processes, and a chain in the test's own process that remembers what it is offered."""
    validators = [Validator(number) for number in range(VALIDATORS)]
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(running_redis())
        node = validators_node(validators)
        await node.open()
        stack.push_async_callback(node.close)
        node.change(WeightsSetRateLimit=0)
        shared = {
            "chain_endpoint": node.url,
            "STRONGROOM_DRAIN_S": str(DRAIN_S),
            "REDIS_URL": redis.url,
        }
        variables = [shared | bittensor_variables(url, folder) for url in databases.urls]
        await import_validators(variables[0] | {"BITTENSOR_PORT": "0", "MANAGEMENT_PORT": "0"}, validators)
        programs = [BittensorProgram(each) for each in variables]
        for program in programs:
            await stack.enter_async_context(program)
        proxy = await _proxy(stack, folder, programs, [_port(one.url) for one in programs])
        jobs = BackgroundJobs(validator=validators[-1], url=proxy.url)
        clients = BittensorClients(proxy.url, validators[:-1], folder / "clients")
        drill = Drill(
            programs=programs, served=len(programs), proxies=(proxy,), clients=clients, lead=jobs.set
        )
        books = BittensorBooks(node=node, services=programs, database_url=databases.urls[0])
        await stack.enter_async_context(running(produce_on(node)))
        yield House(
            drill=drill, databases=databases, redis=redis, settle=lambda: books.assert_agree(validators)
        )


async def _proxy(stack: AsyncExitStack, folder: Path, programs: Sequence[Member], ports: list[int]) -> Proxy:
    backends = [
        Backend(port=port, management_port=one.management.base_url.port or 0)
        for one, port in zip(programs, ports, strict=True)
    ]
    return await stack.enter_async_context(running_haproxy(folder, backends))


def _port(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])
