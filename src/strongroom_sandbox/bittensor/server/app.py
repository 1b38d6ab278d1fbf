"""Serves the node on a port: JSON-RPC over WebSocket and HTTP, and the sandbox's own routes."""

import asyncio
import contextlib
from typing import Any

from litestar import Litestar, MediaType, Request, Response, WebSocket, post, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.types import ASGIApp

from strongroom.core.clock import Entropy
from strongroom_sandbox.bittensor.node.node import Node
from strongroom_sandbox.bittensor.server import methods
from strongroom_sandbox.bittensor.server.connections import Connections
from strongroom_sandbox.bittensor.server.control import control_routes
from strongroom_sandbox.bittensor.server.rpc import ConnectionCut, Session

REGISTERED = (methods,)
"""Imported for what they register."""
AnyWebSocket = WebSocket[Any, Any, Any]
AnyRequest = Request[Any, Any, Any]


def create_node_app(node: Node, entropy: Entropy) -> ASGIApp:
    """Answers all requests of clients and tests to the node, on one port."""
    connections = Connections(node.clock)

    @websocket("/")
    async def serve(socket: AnyWebSocket) -> None:
        await socket.accept()
        await _Conversation(node, entropy, socket).run()

    @post("/", status_code=200)
    async def answer(request: AnyRequest) -> Response[bytes]:
        answers: list[bytes] = []
        session = Session(node, entropy, answers.append)
        body = await request.body()
        await _delay(node)
        try:
            session.answer(body)
        except ConnectionCut:
            return Response(b"", status_code=500)
        finally:
            session.close()
        return Response(answers[0], media_type=MediaType.JSON)

    application = Litestar(
        route_handlers=[serve, answer, *control_routes(node, connections)],
        openapi_config=None,
        logging_config=None,
    )
    return connections.in_front_of(application)


class _Conversation:
    """Serves one WebSocket: it answers requests in turn, and sends notifications as they come."""

    def __init__(self, node: Node, entropy: Entropy, socket: AnyWebSocket) -> None:
        self._node = node
        self._socket = socket
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._session = Session(node, entropy, self._frames.put_nowait)

    async def run(self) -> None:
        sender = asyncio.ensure_future(self._send())
        try:
            await self._receive()
        except ConnectionCut:
            Connections.abort(self._socket.scope)
        finally:
            self._session.close()
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _receive(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                frame = await self._socket.receive_text()
                await _delay(self._node)
                self._session.answer(frame)

    async def _send(self) -> None:
        while True:
            frame = await self._frames.get()
            if not self._node.faults.silent:
                await self._socket.send_data(frame.decode(), mode="text")


async def _delay(node: Node) -> None:
    if node.faults.stall_ms:
        await node.clock.sleep(node.faults.stall_ms / 1000)
