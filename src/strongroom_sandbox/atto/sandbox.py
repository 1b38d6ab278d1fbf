"""A LOCAL Atto network in one object: a node and a work server as two applications."""

from strongroom.atto.gateway import WorkSource
from strongroom.atto.gateway.local_worker import LocalWorker
from strongroom.atto.protocol import AccountEntry, Address
from strongroom.core.clock import Clock
from strongroom_sandbox.atto.api.node_app import create_node_app
from strongroom_sandbox.atto.chain.chain import Chain
from strongroom_sandbox.atto.chain.journal import Journal
from strongroom_sandbox.atto.node.elections import REPLY_TIMEOUT_S
from strongroom_sandbox.atto.node.node import Node
from strongroom_sandbox.atto.worker import WorkServer, create_work_app

WORK_THREADS = 1
"""LOCAL work takes less than a millisecond where there is a compiler."""
WORK_QUEUE = 100_000


class AttoSandbox:
    """Made and closed inside the event loop that serves its applications.

    `aclose` comes before the servers stop, because a server waits for its open streams.

    Args:
        chain: the ledger to serve.
        clock: the network's time.
        journal: its transactions are added to `chain`, every new one is added to it. It is closed with the sandbox.
        source: who finds work for the work server and for the faucet; without one the sandbox has its own.
        confirmation_delay_ms: how long an election takes.
        reply_timeout_s: how long a publisher waits for one.

    Raises:
        ProtocolError: the journal is unreadable.
        Rejected: its transactions do not continue `chain`.
    """

    def __init__(
        self,
        chain: Chain,
        clock: Clock,
        *,
        journal: Journal | None = None,
        source: WorkSource | None = None,
        confirmation_delay_ms: int = 0,
        reply_timeout_s: float = REPLY_TIMEOUT_S,
    ) -> None:
        self._own_worker: LocalWorker | None = None
        if source is None:
            source = self._own_worker = LocalWorker(WORK_THREADS, queue_size=WORK_QUEUE)
        self.node = Node(
            chain,
            clock,
            source,
            journal=journal,
            confirmation_delay_ms=confirmation_delay_ms,
            reply_timeout_s=reply_timeout_s,
        )
        self.work_server = WorkServer(source, clock)
        self.node_app = create_node_app(self.node)
        self.work_app = create_work_app(self.work_server)

    @property
    def chain(self) -> Chain:
        """The ledger as it is now; a restart makes a new one."""
        return self.node.chain

    async def faucet(self, address: Address, amount_raw: int) -> AccountEntry:
        """See `Node.faucet`."""
        return await self.node.faucet(address, amount_raw)

    async def aclose(self) -> None:
        await self.node.aclose()
        if self._own_worker:
            await self._own_worker.close()
