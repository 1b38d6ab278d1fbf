"""Clients of an SDK that stay open, beside a chain and a wallet service that are processes and come and go."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from support.bittensor.sdks import FOLDER, SOURCES, sdk
from support.ports import free_port
from support.processes import Process, strongroom

ANSWER_S = 150.0
BLOCK_MS = 1000
"""Eras of the SDKs have as few as 8 blocks: shorter ones end under a busy machine before the chain has the call."""
TOKEN_LIMITS = (
    *("--wallet", "validator", "--coldkey", "--most-rao", str(5 * 10**9)),
    *("--call", "weights", "--call", "Balances.transfer_keep_alive"),
)
BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"


@dataclass
class Place:
    """A sandbox chain and a service with the keys of //Alice (`validator`), each a process with a port of its own."""

    folder: Path
    spec_version: int
    stack: ExitStack
    chain_port: int = field(default_factory=free_port)
    service_port: int = field(default_factory=free_port)
    token: str = ""
    chain: Process = field(init=False)
    service: Process = field(init=False)

    @property
    def chain_url(self) -> str:
        return f"ws://127.0.0.1:{self.chain_port}"

    @property
    def service_url(self) -> str:
        return f"http://127.0.0.1:{self.service_port}"

    @property
    def variables(self) -> dict[str, str]:
        return {
            "STRONGROOM_DATA": str(self.folder),
            "SANDBOX_BITTENSOR_PORT": str(self.chain_port),
            "SANDBOX_BITTENSOR_SPEC": str(self.spec_version),
            "SANDBOX_BITTENSOR_BLOCK_MS": str(BLOCK_MS),
            "network": "local",
            "chain_endpoint": self.chain_url,
            "BITTENSOR_PORT": str(self.service_port),
        }

    def start_chain(self) -> None:
        self.chain = self._start("sandbox", "bittensor")

    def start_service(self) -> None:
        self.service = self._start("serve", "bittensor")

    def settle(self) -> None:
        """The keys, and a token that may set weights, and pay up to 5 TAO."""
        self._run("bittensor", "add", "validator", "--coldkey", said="//Alice")
        self._run("bittensor", "add", "validator", "default", said="//Alice//hk0")
        scopes = ("--scope", "bittensor:read", "--scope", "bittensor:submit", "--scope", "bittensor:sign")
        made = self._run("token", "create", "node", "--ledger", "bittensor", *scopes, *TOKEN_LIMITS)
        self.token = made.split()[0]

    def command(self, path: str, **body: Any) -> Any:
        """A route of the sandbox."""
        answer = httpx2.post(f"http://127.0.0.1:{self.chain_port}{path}", json=body, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pay(self, amount: int, key: str) -> None:
        """Bob is paid by the service itself, so that the coldkey's nonce goes on without the SDK."""
        data = {"destination": BOB, "amount_rao": amount, "wait_for_inclusion": True}
        answer = httpx2.post(
            f"{self.service_url}/wallet/transfer",
            json={"wallet_name": "validator", "transaction_data": data},
            headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": key},
            timeout=60,
            trust_env=False,
        )
        assert answer.json()["success"] is True, answer.text

    def _start(self, *arguments: str) -> Process:
        more = {"MANAGEMENT_PORT": str(free_port())}
        process = self.stack.enter_context(strongroom(*arguments, environment=self.variables | more))
        process.wait_ready()
        return process

    def _run(self, *arguments: str, said: str = "") -> str:
        command = str(Path(sys.executable).with_name("strongroom"))
        environment = {"PATH": os.environ["PATH"], **self.variables}
        ended = subprocess.run(
            [command, *arguments], env=environment, input=said, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


class Standing:
    """The program `standing.py` under an SDK: one process, a blocking and an asyncio client in it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, client: str, act: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self._send({"client": client, "act": act} | more)
        return answer

    async def together(self, *commands: Mapping[str, Any]) -> list[dict[str, Any]]:
        """By the asyncio client, all at once."""
        answers: list[dict[str, Any]] = await self._send({"together": commands})
        return answers

    async def _send(self, command: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return json.loads(await self.line())

    async def line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_S):
            line = await self._process.stdout.readline()
        assert line, "the program of the SDK has ended"
        return line.decode()


@asynccontextmanager
async def standing(version: str, place: Place, sources: Path = SOURCES) -> AsyncIterator[Standing]:
    installed = await asyncio.to_thread(sdk, version)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place.folder),
        "BITTENSOR_RUNTIME_CACHE_DIR": str(place.folder / "runtimes"),
        "BT_NO_PARSE_CLI_ARGS": "1",
        "PYTHONPATH": str(sources),
        "WALLET_SERVICE_URL": place.service_url,
        "WALLET_SERVICE_TOKEN": place.token,
    }
    with (place.folder / "sdk.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            installed.python,
            FOLDER / "standing.py",
            place.chain_url,
            "//Alice",
            env=environment,
            cwd=place.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        try:
            made = Standing(process)
            assert (await made.line()).strip() == "ready"
            yield made
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            sys.stderr.write((place.folder / "sdk.log").read_text()[-20_000:])
