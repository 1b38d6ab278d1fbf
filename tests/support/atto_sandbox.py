"""A sandbox node behind HTTP, and clients that watch it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx2

from strongroom.atto.protocol import (
    AccountState,
    Receivable,
    Transaction,
    decode_account_state,
    encode_transaction,
)
from strongroom_sandbox.atto import AttoSandbox
from support.atto_account import AttoAccount
from support.serving import serving
from support.waiting import PATIENCE_S, eventually

JSON = {"content-type": "application/json"}


class Lines:
    """The lines of one stream, as they come. Entering waits until the node has the stream open."""

    def __init__(self, node: "SandboxNode", method: str, path: str, body: object = None) -> None:
        self._node = node
        self._request = node.client.stream(
            method, path, content=json.dumps(body) if body else None, headers=JSON, timeout=None
        )
        self._lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.status: int | None = None
        self.error: httpx2.HTTPError | None = None

    async def __aenter__(self) -> Self:
        streams = self._node.sandbox.node.hub.streams
        before = len(streams)
        self._task = asyncio.create_task(self._read())
        await eventually(lambda: len(streams) > before or self.status is not None or self._task.done())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def next(self) -> dict[str, Any] | None:
        """The next line; None after the last one, however the stream ended."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._lines.get()

    async def rest(self) -> list[dict[str, Any]]:
        """Every line until the end."""
        lines = []
        while line := await self.next():
            lines.append(line)
        return lines

    async def _read(self) -> None:
        try:
            async with self._request as response:
                self.status = response.status_code
                async for line in response.aiter_lines():
                    self._lines.put_nowait(json.loads(line))
        except httpx2.HTTPError as error:
            self.error = error
        finally:
            self._lines.put_nowait(None)


@dataclass(frozen=True)
class SandboxNode:
    sandbox: AttoSandbox
    client: httpx2.AsyncClient

    def get_lines(self, path: str) -> Lines:
        return Lines(self, "GET", path)

    def post_lines(self, path: str, body: object) -> Lines:
        return Lines(self, "POST", path, body)

    async def publish(self, transaction: Transaction, path: str = "/transactions") -> httpx2.Response:
        return await self.client.post(path, content=encode_transaction(transaction), headers=JSON)

    async def state(self, account: AttoAccount) -> AccountState | None:
        response = await self.client.get(f"/accounts/{account.hex}")
        return decode_account_state(response.content) if response.status_code == httpx2.codes.OK else None

    async def fund(self, account: AttoAccount, amount_raw: int = 1000) -> Receivable:
        """A receivable of the account."""
        entry = await self.sandbox.faucet(account.address, amount_raw)
        return next(
            receivable
            for receivable in self.sandbox.chain.receivables([account.public_key], 1)
            if receivable.hash == entry.hash
        )

    async def open(self, account: AttoAccount, amount_raw: int = 1000) -> AccountState:
        """The account with one block."""
        opening = account.open(await self.fund(account, amount_raw))
        response = await self.publish(opening)
        assert response.status_code == httpx2.codes.OK, response.text
        state = self.sandbox.chain.account(account.public_key)
        assert state is not None
        return state


@asynccontextmanager
async def running(sandbox: AttoSandbox) -> AsyncIterator[SandboxNode]:
    """The sandbox's node behind HTTP; closes both."""
    async with serving(sandbox.node_app) as url:
        async with httpx2.AsyncClient(
            base_url=url, trust_env=False, verify=False, timeout=PATIENCE_S
        ) as client:
            yield SandboxNode(sandbox, client)
        await sandbox.aclose()
