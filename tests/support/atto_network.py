"""A sandbox network that services are tested against: node and work server behind HTTP, and what goes wrong there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from strongroom.atto.gateway.local_worker import LocalWorker
from strongroom.atto.protocol import AccountState, Address, Network, Transaction
from strongroom_sandbox.atto import AttoSandbox, Chain
from strongroom_sandbox.atto.faults.faults import Faults
from support.hurried_clock import ShiftedClock
from support.serving import serving


class CountingWorker:
    """Finds work on this machine and remembers for which targets it was asked."""

    def __init__(self) -> None:
        self._worker = LocalWorker(1, queue_size=100_000)
        self.targets: list[bytes] = []

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        self.targets.append(target)
        return await self._worker.work(network, timestamp_ms, target)

    async def close(self) -> None:
        await self._worker.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttoNetwork:
    """`worker` finds the work for the work server and for the faucet."""

    sandbox: AttoSandbox
    worker: CountingWorker
    clock: ShiftedClock
    node_url: str
    work_url: str

    @property
    def faults(self) -> Faults:
        """What goes wrong at the node."""
        return self.sandbox.node.faults

    @property
    def work_faults(self) -> Faults:
        return self.sandbox.work_server.faults

    @property
    def variables(self) -> dict[str, str]:
        """Settings that point a service at this network."""
        return {"NETWORK": "LOCAL", "NODE_BASE_URL": self.node_url, "WORK_BASE_URL": self.work_url}

    async def fund(self, path: str, amount_raw: int) -> bytes:
        """Sends from the faucet; returns the hash of the send."""
        return (await self.sandbox.faucet(Address.parse(path), amount_raw)).hash

    async def publish(self, transaction: Transaction) -> None:
        """What another wallet does; returns when the network has confirmed it."""
        await self.sandbox.node.elections.publish(transaction, deduplicate=False)

    def state(self, path: str) -> AccountState | None:
        """The truth about an account."""
        return self.sandbox.chain.account(Address.parse(path).public_key)

    def receivables(self, path: str) -> dict[bytes, int]:
        """Amounts that the account has not received yet, by the hash of their send."""
        public_key = Address.parse(path).public_key
        return {one.hash: one.amount for one in self.sandbox.chain.receivables([public_key], 1)}

    def cut_streams(self) -> None:
        """Cuts all streams as a failing network does; clients open them again and get everything again."""
        self.sandbox.node.hub.streams.cut_all()

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.faults.clear()
        self.work_faults.clear()
        self.clock.ahead_ms = 0


@asynccontextmanager
async def running_network(chain: Chain | None = None) -> AsyncIterator[AttoNetwork]:
    """A network of its own, on ports of its own."""
    clock, worker = ShiftedClock(), CountingWorker()
    sandbox = AttoSandbox(chain or Chain(), clock, source=worker)
    async with serving(sandbox.node_app) as node_url, serving(sandbox.work_app) as work_url:
        yield AttoNetwork(sandbox=sandbox, worker=worker, clock=clock, node_url=node_url, work_url=work_url)
        await sandbox.aclose()
    await worker.close()
