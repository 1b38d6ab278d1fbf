"""The WebSocket for wallets over a test's database, in the test's loop, and clients of it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NoReturn

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from strongroom.core.clock import Clock, SystemClock, SystemEntropy
from strongroom.core.environment import Secret
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.messaging.bus import Bus
from strongroom.core.messaging.outbox import Event, Outbox
from strongroom.core.messaging.outbox_reader import OutboxReader
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.security.attempts import Attempts
from strongroom.core.storage.database import Database
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.live.delivery import Realtime
from strongroom.hathor.api.live.rights import SocketRights
from strongroom.hathor.api.live.sockets import MAX_FRAME, SocketApplication, SocketRules
from strongroom.hathor.api.live.subscriptions import SocketMetrics, Subscriptions
from strongroom.hathor.notifications.messages import DESTINATION
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Tokens
from support.hathor.streams import prepare
from support.hathor.wallets import WALLET, insert_wallet
from support.unslowed import UNSLOWED
from support.waiting import PATIENCE_S

CLOCK = SystemClock()
TOKENS = Tokens([Secret("foobar")], CLOCK, SystemEntropy())
OUTBOX = Outbox(SystemClock())
RULES = SocketRules(require_token=False, max_connections=100, max_subscriptions=3)


class Sockets:
    """A running WebSocket surface and what carries messages to it."""

    def __init__(
        self, listener: Listener, metrics: Metrics, bus: Bus, rights: SocketRights, attempts: Attempts
    ) -> None:
        self.listener = listener
        self.rights = rights
        self.bus = bus
        self.attempts = attempts
        self._metrics = metrics
        self.url = listener.url.replace("http", "ws", 1)

    def value(self, name: str, **labels: str) -> float:
        return self._metrics.registry.get_sample_value(name, labels) or 0.0

    @property
    def transports(self) -> int:
        """Connections that still cost something, told to end or not."""
        return len(self.listener._server.server_state.connections)

    def client(self, query: str = "") -> connect:
        return connect(self.url + query, compression=None, max_size=None)


@asynccontextmanager
async def serving_sockets(
    database: Database,
    tokens: Tokens,
    *,
    rules: SocketRules = RULES,
    messages_a_minute: int | None = None,
    ping_s: float = 20.0,
    amounts: AmountForm = AmountForm.NUMBER,
    times: Clock = CLOCK,
) -> AsyncGenerator[Sockets]:
    """`times`: when tokens end."""
    metrics, bus = Metrics("test"), Bus()
    socket_metrics = SocketMetrics(metrics)
    subscriptions = Subscriptions(socket_metrics)
    clock, outbox_reader = SystemClock(), OutboxReader(database, DESTINATION)
    await outbox_reader.begin()
    realtime = Realtime(
        outbox_reader=outbox_reader,
        bus=bus,
        clock=clock,
        subscriptions=subscriptions,
        metrics=socket_metrics,
        amounts=amounts,
    )
    reader = WalletReader(database, times, MAINNET)
    rights = SocketRights(reader, tokens)
    attempts = Attempts("hathor", clock, SystemEntropy(), metrics, free=UNSLOWED)
    application = SocketApplication(
        reader=reader,
        rights=rights,
        subscriptions=subscriptions,
        attempts=attempts,
        metrics=socket_metrics,
        rules=rules,
    )
    surface = Surface(
        name="sockets",
        application=application,
        host="127.0.0.1",
        port=0,
        access=Access.PUBLIC,
        max_frame=MAX_FRAME,
        compresses_frames=False,
        ping_s=ping_s,
        messages_a_minute=messages_a_minute,
    )
    listener = Listener(surface)
    health = WorkHealth("realtime", SystemClock(), metrics)
    tasks = [asyncio.ensure_future(work) for work in (listener.serve(), realtime.run(health))]
    await listener.started()
    try:
        yield Sockets(listener, metrics, bus, rights, attempts)
    finally:
        tasks[1].cancel()
        listener.stop()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def house(database: Database, tokens: Tokens = TOKENS, **options: Any) -> AsyncGenerator[Sockets]:
    """Sockets over a database with one wallet."""
    await prepare(database)
    await database.write(insert_wallet)
    async with serving_sockets(database, tokens, **options) as sockets:
        yield sockets


async def tell(database: Database, sequence: int, payload: str, wallet_id: str = WALLET) -> None:
    event = Event(stream=wallet_id, sequence=sequence, payload=payload)
    await database.write(partial(OUTBOX.append, destination=DESTINATION, events=[event]))


async def ask(client: ClientConnection, message: object) -> dict[str, Any]:
    """Sends a message and returns the next one that comes."""
    await client.send(message if isinstance(message, str | bytes) else json.dumps(message))
    return await hear(client)


async def join(client: ClientConnection, wallet_id: str) -> None:
    answer = await ask(client, {"action": "join", "id": wallet_id})
    assert answer == {"type": "join-success", "message": "Listening", "id": wallet_id}


async def hear(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        message: dict[str, Any] = json.loads(await client.recv())
    return message


async def ending(client: ClientConnection) -> tuple[int, str]:
    """The code and reason with which the connection ends; what comes before it is read."""
    with pytest.raises(ConnectionClosed) as closed:
        await _read_on(client)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def _read_on(client: ClientConnection) -> NoReturn:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await client.recv()
