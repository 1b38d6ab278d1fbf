"""Real services whose key-encryption key is kept by a backend."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from support.atto_service import until
from support.ports import free_port
from support.processes import Process, strongroom

NOWHERE = 9  # the port of a service that no machine has
ATTO = {"NETWORK": "local", "NODE_BASE_URL": f"http://127.0.0.1:{NOWHERE}"}
BITTENSOR = {"network": "local", "chain_endpoint": f"ws://127.0.0.1:{NOWHERE}"}


class Started:
    """A service that was started, whether it is ready or not."""

    def __init__(self, folder: Path, variables: Mapping[str, str], *ledgers: str) -> None:
        ports = {name: free_port() for name in ("ATTO_PORT", "BITTENSOR_PORT", "MANAGEMENT_PORT")}
        self.atto, self.bittensor, self.management = (f"http://127.0.0.1:{port}" for port in ports.values())
        self.process: Process = strongroom(
            "serve",
            *(ledgers or ("atto",)),
            environment={
                **ATTO,
                **BITTENSOR,
                "STRONGROOM_DATA": str(folder),
                **{name: str(port) for name, port in ports.items()},
                "CONSOLE_PORT": str(free_port()),
                "LOG_FORMAT": "json",
                **variables,
            },
        )

    async def ask(self, method: str, url: str, **options: Any) -> httpx2.Response | None:
        """None: the port is not open yet."""
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
            try:
                return await client.request(method, url, **options)
            except httpx2.TransportError:
                return None

    async def until_status(self, url: str, status: int) -> httpx2.Response:
        found = await until(
            lambda: self.ask("GET", url), lambda one: one is not None and one.status_code == status
        )
        assert found is not None
        return found

    async def ready(self) -> None:
        await self.until_status(f"{self.management}/health/readiness", 200)
        await asyncio.to_thread(self.process.wait_ready)

    async def component(self, name: str) -> dict[str, Any]:
        """Empty while the management surface is not open."""
        whole = await self.ask("GET", f"{self.management}/health")
        found: dict[str, Any] = {} if whole is None else whole.json()["components"].get(name, {})
        return found

    async def make_wallet(self, name: str) -> None:
        """Seals a wallet's key under the key-encryption key."""
        made = await self.ask("POST", f"{self.atto}/wallets/{name}")
        assert made is not None
        assert made.status_code < 300, made.text

    async def make_account(self, wallet: str) -> None:
        """Needs the wallet's seed, so it opens what is sealed."""
        made = await self.ask("POST", f"{self.atto}/wallets/{wallet}/accounts")
        assert made is not None
        assert made.status_code < 300, made.text


@asynccontextmanager
async def serving(folder: Path, variables: Mapping[str, str], *ledgers: str) -> AsyncIterator[Started]:
    started = Started(folder, variables, *ledgers)
    with started.process:
        yield started


def command(folder: Path, variables: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Runs a command of the installation; returns its status and all that it printed."""
    environment = {**ATTO, "STRONGROOM_DATA": str(folder), "COLUMNS": "300", **variables}
    with strongroom(*arguments, environment=environment) as process:
        return process.wait_end(), process.logs()


def doctor(folder: Path, variables: Mapping[str, str]) -> tuple[int, str]:
    return command(folder, variables, "doctor")
