"""Local ledgers of a process: the applications that serve them, and how a service finds them."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from strongroom.atto.gateway.local_worker import LocalWorker
from strongroom.core.clock import Clock
from strongroom.core.environment import Environment
from strongroom.core.listener import Surface
from strongroom.sandbox.atto import AttoSandbox, Chain, Journal

LEDGERS = ("atto",)
HOST = "127.0.0.1"


class LocalNetworks:
    """The sandbox of each ledger. Opened inside the event loop that serves it, closed before its listeners stop."""

    def __init__(self, variables: Mapping[str, str], data: Path, clock: Clock) -> None:
        self._node_port, self._work_port = _ports(variables)
        self._data = data
        self._clock = clock
        self._stack = AsyncExitStack()

    @staticmethod
    def default_variables(variables: Mapping[str, str]) -> dict[str, str]:
        """What points a service at the networks on these variables' ports."""
        node_port, work_port = _ports(variables)
        return {
            "NETWORK": "LOCAL",
            "NODE_BASE_URL": f"http://{HOST}:{node_port}",
            "WORK_BASE_URL": f"http://{HOST}:{work_port}",
        }

    def open(self) -> list[Surface]:
        """Makes the networks, from their journals where there are any."""
        self._data.mkdir(parents=True, exist_ok=True)
        worker = LocalWorker(threads=1)
        self._stack.push_async_callback(worker.close)
        journal = Journal(self._data / "sandbox-atto.jsonl")
        atto = AttoSandbox(Chain(), self._clock, journal=journal, source=worker)
        self._stack.push_async_callback(atto.aclose)
        return [
            _surface("sandbox-atto-node", atto.node_app, self._node_port),
            _surface("sandbox-atto-work", atto.work_app, self._work_port),
        ]

    async def close(self) -> None:
        await self._stack.aclose()


def _ports(variables: Mapping[str, str]) -> tuple[int, int]:
    environment = Environment(variables)
    ports = environment.port("SANDBOX_ATTO_NODE_PORT", 9080), environment.port("SANDBOX_ATTO_WORK_PORT", 9085)
    environment.raise_mistakes()
    return ports


def _surface(name: str, application: object, port: int) -> Surface:
    return Surface(name=name, application=application, host=HOST, port=port, authenticated=False)
