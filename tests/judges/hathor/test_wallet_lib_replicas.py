"""The official library at two API processes and a daemon, on MariaDB and Redis, each of which goes away for a while."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from support.hathor.js_wallet import JsClient, JsWallet
from support.hathor.processes import NodeProgram, WalletProgram, database_variables
from support.js import JsError
from support.mariadb import MariaDB
from support.redis import Redis, running_redis

pytestmark = pytest.mark.anyio


class House:
    """Everything that runs, and one client of the library at each API process."""

    def __init__(self, node: NodeProgram, redis: Redis, daemon: WalletProgram) -> None:
        self.node = node
        self.redis = redis
        self.daemon = daemon
        self.services: list[WalletProgram] = []
        self.judges: list[JsClient] = []

    async def wallets(self) -> list[JsWallet]:
        """One wallet, open in both clients and told of what happens."""
        first = await self.judges[0].started()
        wallets = [first, await self.judges[1].started(first.words)]
        for wallet in wallets:
            await wallet.connected()
        return wallets


@pytest.fixture(scope="module")
async def house(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(running_redis())
        node = await stack.enter_async_context(NodeProgram(folder / "node"))
        shared = {"REDIS_URL": redis.url, **database_variables(mariadb.new_database())}

        def program(name: str, *, sync: bool = False) -> WalletProgram:
            return WalletProgram(node, {"STRONGROOM_DATA": str(folder / name), **shared}, sync=sync)

        house = House(node, redis, await stack.enter_async_context(program("daemon", sync=True)))
        for name in ("first", "second"):
            service = await stack.enter_async_context(program(name))
            house.services.append(service)
            house.judges.append(await stack.enter_async_context(service.judge()))
        yield house


async def told(wallets: list[JsWallet], node: NodeProgram, index: int, value: int) -> None:
    """Pays one of the addresses; each of the clients hears of it."""
    tx_id = await node.fund(await wallets[0].address(index), value)
    for wallet in wallets:
        await wallet.event("new-tx", tx_id=tx_id)


async def test_what_one_process_does_the_other_tells(house: House) -> None:
    wallets = await house.wallets()
    await told(wallets, house.node, 0, 1_000)
    assert [await wallet.balance() for wallet in wallets] == [(1_000, 0)] * 2
    payee = await house.judges[1].started(realtime=False)
    tx_id = await wallets[0].send(await payee.address(0), 400)
    await wallets[1].event("new-tx", tx_id=tx_id)
    assert await wallets[1].balance() == (600, 0)
    assert await payee.balance() == (400, 0)


async def test_of_clients_that_race_at_two_processes_one_pays(house: House) -> None:
    wallets = await house.wallets()
    await told(wallets, house.node, 0, 1_000)
    payee = await house.judges[0].started(realtime=False)
    address = await payee.address(0)
    results = await asyncio.gather(
        *(wallet.send(address, 500 + number) for number in range(3) for wallet in wallets),
        return_exceptions=True,
    )
    paid = [result for result in results if isinstance(result, str)]
    assert len(paid) == 1, results
    assert all(isinstance(result, JsError | str) for result in results), results
    for wallet in wallets:
        await wallet.event("new-tx", tx_id=paid[0])
    balances = [await wallet.balance() for wallet in (*wallets, payee)]
    assert balances[0] == balances[1] == (1_000 - balances[2][0], 0)


async def test_without_redis_wallets_are_told_all_the_same(house: House) -> None:
    wallets = await house.wallets()
    house.redis.stop()
    try:
        await told(wallets, house.node, 0, 10)
        assert await wallets[1].balance() == (10, 0)
    finally:
        house.redis.start()
    await told(wallets, house.node, 1, 10)
    assert await wallets[0].balance() == (20, 0)


async def test_another_process_follows_the_node_when_the_daemon_dies(house: House) -> None:
    wallets = await house.wallets()
    house.daemon.kill()
    try:
        await told(wallets, house.node, 0, 10)
        assert await wallets[1].balance() == (10, 0)
    finally:
        await house.daemon.start()


async def test_a_device_is_registered_updated_and_forgotten(house: House) -> None:
    """At whichever process: the registration is in the database."""
    wallets = await house.wallets()
    device = {"deviceId": "phone-of-the-judge", "enablePush": True, "enableShowAmounts": False}
    answered = {"success": True}
    assert await wallets[0].push("registerDevice", {"pushProvider": "android", **device}) == answered
    assert await wallets[1].push("updateDevice", {**device, "enableShowAmounts": True}) == answered
    assert await wallets[0].push("unregisterDevice", device["deviceId"]) == answered
    with pytest.raises(JsError, match=r"404.*device-not-found"):
        await wallets[1].push("updateDevice", device)
