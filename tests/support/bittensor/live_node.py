"""A sandbox chain behind a real WebSocket in the test's own process, so that the test makes its blocks and its faults."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from strongroom.core.clock import Clock, SystemClock, SystemEntropy
from strongroom_sandbox.bittensor.chain.genesis import Genesis
from strongroom_sandbox.bittensor.execution.dispatch import Context
from strongroom_sandbox.bittensor.node.node import Node, Production
from strongroom_sandbox.bittensor.server import methods
from strongroom_sandbox.bittensor.server.rpc import ConnectionCut, Session

REGISTERED = (methods,)
"""Imported for what they register."""
NETUID = 2
SUBTENSOR = "SubtensorModule"


class LiveNode:
    """`node` is the chain; `url` is where clients find it."""

    def __init__(self, node: Node, port: int = 0) -> None:
        self.node = node
        self.port = port
        self.silent = False
        """Takes requests and answers nothing."""
        self.deaf_to = ""
        """A method whose requests arrive and are not looked at."""
        self.requests: list[str] = []
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await serve(self._talk, "127.0.0.1", self.port, max_size=None)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        """Ends every connection, and refuses new ones."""
        if self._server is not None:
            self._server.close(close_connections=True)
            await self._server.wait_closed()
            self._server = None

    def produce(self, count: int = 1) -> None:
        for _ in range(count):
            self.node.produce()

    def change(self, **values: Any) -> None:
        """Sets hyperparameters of the subnet, in a block of their own."""

        def write(ctx: Context) -> None:
            for name, value in values.items():
                ctx.put(SUBTENSOR, name, NETUID, value=value)

        self.node.produce(write, empty=True)

    def weights(self, uid: int, index: int = NETUID) -> list[tuple[int, int]]:
        found = self.node.chain.storage.get(SUBTENSOR, "Weights", index, uid)
        return [tuple(pair) for pair in found or ()]

    async def _talk(self, socket: ServerConnection) -> None:
        frames: asyncio.Queue[bytes] = asyncio.Queue()
        session = Session(self.node, SystemEntropy(), frames.put_nowait)
        try:
            async for text in socket:
                if self.silent:
                    continue
                self.requests.append(str(text)[:200])
                if self.deaf_to and self.deaf_to in str(text):
                    continue
                session.answer(text)
                while not frames.empty():
                    await socket.send(frames.get_nowait(), text=True)
        except ConnectionCut:
            socket.transport.abort()
        except ConnectionClosed:
            pass
        finally:
            session.close()


def new_node(
    spec_version: int, hotkeys: Sequence[bytes], interval_ms: int | None = None, clock: Clock | None = None
) -> Node:
    """A chain with subnet 2, whose validators the hotkeys are, with uids from 0 on. Blocks come on command."""
    chain = Genesis(spec_version=spec_version).chain()
    node = Node(chain, clock or SystemClock(), Production(interval_ms=interval_ms))
    node.produce(_subnet(hotkeys), empty=True)
    return node


def _subnet(hotkeys: Sequence[bytes]) -> Callable[[Context], None]:
    values = {
        "NetworksAdded": True,
        "SubnetworkN": len(hotkeys),
        "Tempo": 360,
        "MaxAllowedUids": 4096,
        "MinAllowedWeights": 1,
        "MaxWeightsLimit": 65535,
        "WeightsSetRateLimit": 100,
        "CommitRevealWeightsEnabled": False,
        "LastUpdate": [0] * len(hotkeys),
        "ValidatorPermit": [True] * len(hotkeys),
        "Active": [True] * len(hotkeys),
    }

    def write(ctx: Context) -> None:
        for name, value in values.items():
            ctx.put(SUBTENSOR, name, NETUID, value=value)
        for uid, hotkey in enumerate(hotkeys):
            ctx.put(SUBTENSOR, "Uids", NETUID, hotkey, value=uid)
            ctx.put(SUBTENSOR, "Keys", NETUID, uid, value=hotkey)
            ctx.put(SUBTENSOR, "IsNetworkMember", hotkey, NETUID, value=True)

    return write


@asynccontextmanager
async def live_node(node: Node) -> AsyncIterator[LiveNode]:
    live = LiveNode(node)
    await live.open()
    try:
        yield live
    finally:
        await live.close()
