"""Two processes serve wallets, a third follows the node, Redis comes and goes."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from websockets.asyncio.client import ClientConnection, connect

from strongroom.core.storage.database import Database
from strongroom.hathor.notifications.devices import Device, register_device
from strongroom.hathor.protocol.addresses import PRIVATENET
from strongroom.hathor.protocol.keys import address_chain
from support.hathor.fcm import running_fcm
from support.hathor.processes import NodeProgram, WalletProgram, database_variables
from support.hathor.running import until
from support.hathor.sockets import ending, hear, join
from support.hathor.wallets import WALLET, XPUB, insert_wallet
from support.mariadb import MariaDB
from support.redis import running_redis
from support.sql import execute
from support.waiting import eventually

pytestmark = pytest.mark.anyio

PATIENCE_S = 30.0
PHONE = Device(id="phone", wallet_id=WALLET, provider="android", enable_push=True, show_amounts=False)


def is_loaded(connection: Connection) -> bool:
    sql = "SELECT 1 FROM wallet WHERE id = {} AND status = 'ready'"
    return bool(execute(connection, sql, WALLET))


async def redis_status(program: WalletProgram, status: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await program.health())["components"]["redis"]["status"] != status:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def heard_of(client: ClientConnection, tx_id: str) -> dict[str, Any]:
    """The first message about the transaction."""
    while (message := await hear(client))["data"]["tx_id"] != tx_id:
        pass
    return message


async def test_every_process_tells_its_own_connections(mariadb: MariaDB, tmp_path: Path) -> None:
    url = mariadb.new_database()
    own = [address_chain(XPUB).child_address(index).encode(PRIVATENET) for index in range(3)]
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(running_redis())
        fcm = await stack.enter_async_context(running_fcm())
        node = await stack.enter_async_context(NodeProgram(tmp_path / "node"))
        variables = database_variables(url) | {"STRONGROOM_DATA": str(tmp_path), "REDIS_URL": redis.url}
        push = {"FCM_SERVICE_ACCOUNT": fcm.account_file(), "FCM_BASE_URL": fcm.url}
        daemon = await stack.enter_async_context(WalletProgram(node, variables | push, sync=True))
        database = Database(url)
        stack.push_async_callback(database.close)
        await database.write(insert_wallet)
        await database.write(lambda connection: register_device(connection, PHONE))
        await until(database, is_loaded)
        serving = [await stack.enter_async_context(WalletProgram(node, variables)) for _ in range(2)]
        clients = [await stack.enter_async_context(connect(program.socket_url)) for program in serving]
        for client in clients:
            await join(client, WALLET)
        for program in (daemon, *serving):
            await redis_status(program, "UP")

        async def pay(address: str) -> None:
            tx_id = await node.fund(address, 700)
            for client in clients:
                message = await heard_of(client, tx_id)
                assert message["type"] == "new-tx"
                assert address in message["data"]["addresses"]

        await pay(own[0])
        await eventually(lambda: [message["token"] for message in fcm.sent] == [PHONE.id])
        redis.stop()
        await pay(own[1])
        for program in (daemon, *serving):
            await redis_status(program, "DEGRADED")
        redis.start()
        for program in (daemon, *serving):
            await redis_status(program, "UP")
        await pay(own[2])
        assert await serving[0].terminate() == 0
        assert (await ending(clients[0]))[0] == 1012
        serving[1].kill()
        await serving[1].start()
        clients[:] = [await stack.enter_async_context(connect(serving[1].socket_url))]
        await join(clients[0], WALLET)
        await pay(own[0])
