"""The Hathor service and its node as programs of their own, as an operator runs them."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Self

import httpx2
from sqlalchemy.engine import URL

from strongroom.core.storage.cluster.waiting import waits
from support.hathor.js_wallet import JsClient, js_client
from support.ports import free_port
from support.replicas.drill import Member
from support.restartable import Program

AUTH_SECRET = "only-for-tests-and-long-enough-for-them"


class NodeProgram(Program):
    """`strongroom sandbox hathor`: a node with a diary, and the mining of wallets' proofs of work."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.mining_url = f"{self.url}/tx-mining/"
        super().__init__(
            "sandbox",
            "hathor",
            environment={
                "STRONGROOM_DATA": str(folder),
                "SANDBOX_HATHOR_PORT": str(port),
                "LOG_FORMAT": "json",
            },
        )

    async def __aenter__(self) -> Self:
        self.api = await self.client(self.url)
        return await super().__aenter__()

    @property
    def variables(self) -> dict[str, str]:
        """Settings that point a service at this node."""
        return {"HATHOR_NETWORK": "privatenet", "DEFAULT_SERVER": f"{self.url}/v1a/"}

    async def fund(self, address: str, value: int) -> str:
        """Pays from the faucet; the transaction's id."""
        tx_id: str = _require(await self.api.post("/_faucet", json={"address": address, "value": value}))[
            "hash"
        ]
        return tx_id

    async def mine(self, count: int = 1, address: str | None = None) -> list[str]:
        body = {"count": count, "address": address}
        blocks: list[str] = _require(await self.api.post("/_mine", json=body))["blocks"]
        return blocks

    async def fault(self, **faults: object) -> None:
        _require(await self.api.post("/_fault", json=faults))

    async def transaction(self, tx_id: str) -> dict[str, Any]:
        document: dict[str, Any] = _require(await self.api.get("/v1a/transaction", params={"id": tx_id}))
        return document


class WalletProgram(Member):
    """`strongroom serve hathor`, or with `sync` the daemon alone."""

    def __init__(self, node: NodeProgram, variables: Mapping[str, str], *, sync: bool = False) -> None:
        self._node = node
        port, socket_port, management_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.socket_url = f"ws://127.0.0.1:{socket_port}/"
        self.management_url = f"http://127.0.0.1:{management_port}"
        super().__init__(
            *(("sync", "hathor") if sync else ("serve", "hathor")),
            environment={
                "AUTH_SECRET": AUTH_SECRET,
                "HATHOR_PORT": str(port),
                "HATHOR_WS_PORT": str(socket_port),
                "MANAGEMENT_PORT": str(management_port),
                "LOG_FORMAT": "json",
                "HATHOR_AUTH_REQUESTS_A_MINUTE": "100000",
                **node.variables,
                **variables,
            },
        )

    async def __aenter__(self) -> Self:
        self.api, self.management = await self.client(self.url), await self.client(self.management_url)
        return await super().__aenter__()

    def judge(self) -> AbstractAsyncContextManager[JsClient]:
        """The official library, pointed at this service."""
        return js_client(
            service=f"{self.url}/",
            socket=self.socket_url,
            node=f"{self._node.url}/v1a/",
            mining=self._node.mining_url,
        )

    async def health(self) -> dict[str, Any]:
        document: dict[str, Any] = (await self.management.get("/health")).json()
        return document


def database_variables(url: URL) -> dict[str, str]:
    return {
        "DB_ENDPOINT": url.host or "",
        "DB_PORT": str(url.port),
        "DB_NAME": url.database or "",
        "DB_USER": url.username or "",
        "DB_PASS": str(url.password),
        "STRONGROOM_WAIT_FOR_NODES": str(waits(url)),
    }


def _require(response: httpx2.Response) -> Any:
    assert response.status_code == httpx2.codes.OK, response.text
    return response.json()
