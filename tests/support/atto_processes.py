"""The Atto service and its network as programs of their own, as an operator runs them: to be killed, paused, started."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx2

from strongroom.atto.protocol import AccountEntry, Address, decode_account_entry
from support.keys import KEY
from support.ports import free_port
from support.restartable import Program

REQUEST_TIMEOUT_S = 8


class NetworkProgram(Program):
    """`strongroom sandbox atto`: a node with a journal, and a work server."""

    def __init__(self, folder: Path) -> None:
        node_port, work_port = free_port(), free_port()
        self.node_url, self.work_url = f"http://127.0.0.1:{node_port}", f"http://127.0.0.1:{work_port}"
        self.funded: Counter[str] = Counter()
        super().__init__(
            "sandbox",
            "atto",
            environment={
                "STRONGROOM_DATA": str(folder),
                "SANDBOX_ATTO_NODE_PORT": str(node_port),
                "SANDBOX_ATTO_WORK_PORT": str(work_port),
                "LOG_FORMAT": "json",
            },
        )

    async def __aenter__(self) -> Self:
        self.node, self.work = await self.client(self.node_url), await self.client(self.work_url)
        return await super().__aenter__()

    @property
    def variables(self) -> dict[str, str]:
        """Settings that point a service at this network."""
        return {"NETWORK": "LOCAL", "NODE_BASE_URL": self.node_url, "WORK_BASE_URL": self.work_url}

    async def fault(self, **faults: object) -> None:
        _require(await self.node.post("/_fault", json=faults))

    async def work_fault(self, **faults: object) -> None:
        _require(await self.work.post("/_fault", json=faults))

    async def heal(self) -> None:
        """Nothing goes wrong any more."""
        _require(await self.node.delete("/_fault"))
        _require(await self.work.delete("/_fault"))

    async def fund(self, path: str, amount_raw: int) -> None:
        """Sends from the faucet, and remembers it."""
        _require(await self.node.post("/_faucet", json={"address": path, "amount": amount_raw}))
        self.funded[path] += 1

    async def state(self, path: str) -> dict[str, Any] | None:
        """The node's account document; None while the account is not open."""
        response = await self.node.get(f"/accounts/{Address.parse(path).public_key.hex()}")
        return None if response.status_code == httpx2.codes.NOT_FOUND else _require(response)

    async def entries(self, path: str) -> list[AccountEntry]:
        """Every entry of the account, ascending: the truth about it."""
        state = await self.state(path)
        if state is None:
            return []
        public_key, height = Address.parse(path).public_key.hex(), state["height"]
        response = await self.node.get(
            f"/accounts/{public_key}/entries/stream?fromHeight=1&toHeight={height}"
        )
        response.raise_for_status()
        return [decode_account_entry(line) for line in response.content.splitlines()]


class ServiceProgram(Program):
    """`strongroom serve atto`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        api_port, management_port = free_port(), free_port()
        self.url, self.management_url = (
            f"http://127.0.0.1:{api_port}",
            f"http://127.0.0.1:{management_port}",
        )
        super().__init__(
            "serve",
            "atto",
            environment={
                "CHA_CHA20_KEY_ENCRYPTION_KEY": KEY,
                "ATTO_PORT": str(api_port),
                "MANAGEMENT_PORT": str(management_port),
                "ATTO_REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
                "LOG_FORMAT": "json",
                **variables,
            },
        )

    async def __aenter__(self) -> Self:
        self.api, self.management = await self.client(self.url), await self.client(self.management_url)
        return await super().__aenter__()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The document that answers, which must be a success."""
        return _require(await self.api.request(method, path, json=body))

    async def health(self) -> dict[str, Any]:
        document: dict[str, Any] = (await self.management.get("/health")).json()
        return document


@asynccontextmanager
async def running_network(folder: Path) -> AsyncIterator[NetworkProgram]:
    async with NetworkProgram(folder) as network:
        yield network


def _require(response: httpx2.Response) -> Any:
    assert response.status_code == httpx2.codes.OK, response.text
    return response.json() if response.content else None
