"""The WebSocket while the database is away: connections stay, and hear of everything afterwards."""

import pytest

from strongroom.core.storage.database import Database
from support.hathor.sockets import ask, hear, house, join, tell
from support.hathor.wallets import WALLET
from support.mariadb import running_mariadb

pytestmark = pytest.mark.anyio


async def test_connections_outlive_the_database() -> None:
    with running_mariadb() as server:
        database = Database(server.new_database())
        async with house(database) as sockets, sockets.client() as client:
            await join(client, WALLET)
            server.kill()
            refused = await ask(client, {"action": "join", "id": WALLET})
            assert refused == {"type": "error", "message": "Try again later"}
            assert await ask(client, {"action": "ping"}) == {"type": "pong", "message": "pong"}
            server.start()
            await tell(database, 1, '{"number":1}')
            assert await hear(client) == {"number": 1}
            await join(client, WALLET)
        await database.close()
