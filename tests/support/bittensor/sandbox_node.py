"""A sandbox chain behind a port, and a client that speaks plain JSON-RPC to it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx2
import websockets

from strongroom.core.clock import Clock, SystemClock, SystemEntropy
from strongroom_sandbox.bittensor.chain.genesis import Genesis
from strongroom_sandbox.bittensor.node.node import Node, Production
from strongroom_sandbox.bittensor.sandbox import BittensorSandbox
from support.serving import serving

PATIENCE_S = 60.0


class RpcFailed(Exception):
    """The node answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(json.dumps(error))
        self.error = error


class Rpc:
    """One WebSocket: requests in turn, notifications by subscription."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids = 0
        self.notifications: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self.socket = await websockets.connect(self._url, max_size=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    async def call(self, method: str, *params: Any) -> Any:
        """Raises: RpcFailed."""
        self._ids += 1
        frame = {"jsonrpc": "2.0", "id": self._ids, "method": method, "params": list(params)}
        await self.socket.send(json.dumps(frame))
        while True:
            answer = await self._receive()
            if "id" not in answer:
                self.notifications.append(answer)
            elif "error" in answer:
                raise RpcFailed(answer["error"])
            else:
                assert answer["id"] == self._ids
                return answer["result"]

    async def notification(self) -> Any:
        """The next one: what its `result` says."""
        if not self.notifications:
            self.notifications.append(await self._receive())
        return self.notifications.pop(0)["params"]["result"]

    async def _receive(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            answer: dict[str, Any] = json.loads(await self.socket.recv())
        return answer


@dataclass
class SandboxNode:
    sandbox: BittensorSandbox
    url: str
    http: httpx2.AsyncClient

    @property
    def node(self) -> Node:
        return self.sandbox.node

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def rpc(self) -> Rpc:
        return Rpc(self.ws_url)

    async def command(self, path: str, **body: Any) -> Any:
        """A sandbox route's answer."""
        response = await self.http.post(path, json=body)
        assert response.status_code == 200, response.text
        return response.json()


@asynccontextmanager
async def sandbox_node(
    *,
    spec_version: int = 293,
    interval_ms: int | None = 0,
    furnished: bool = True,
    clock: Clock | None = None,
) -> AsyncIterator[SandboxNode]:
    sandbox = BittensorSandbox(
        clock or SystemClock(),
        SystemEntropy(),
        genesis=Genesis(spec_version=spec_version),
        production=Production(interval_ms=interval_ms),
        furnished=furnished,
    )
    sandbox.start()
    async with (
        serving(sandbox.application) as url,
        httpx2.AsyncClient(base_url=url, verify=False) as client,
    ):
        try:
            yield SandboxNode(sandbox, url, client)
        finally:
            await sandbox.aclose()
