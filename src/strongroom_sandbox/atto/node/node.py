"""The node behind its API: ledger, streams, elections and faults, wired together."""

import asyncio

from strongroom.atto.gateway import WorkSource
from strongroom.atto.protocol import AccountEntry, Address
from strongroom.core.clock import Clock
from strongroom_sandbox.atto.chain.chain import Chain
from strongroom_sandbox.atto.chain.genesis import sign_genesis
from strongroom_sandbox.atto.chain.journal import Journal
from strongroom_sandbox.atto.faults.faults import Faults
from strongroom_sandbox.atto.node.elections import REPLY_TIMEOUT_S, Elections
from strongroom_sandbox.atto.node.encoding import Encoder
from strongroom_sandbox.atto.node.ledger import Ledger
from strongroom_sandbox.atto.node.node_time import NodeTime
from strongroom_sandbox.atto.streaming.hub import Hub


class Node:
    """A LOCAL node that is the whole network: its elections have a single voter, the node itself."""

    def __init__(
        self,
        chain: Chain,
        clock: Clock,
        worker: WorkSource,
        *,
        journal: Journal | None = None,
        confirmation_delay_ms: int = 0,
        reply_timeout_s: float = REPLY_TIMEOUT_S,
    ) -> None:
        self.faults = Faults()
        self.clock: Clock = NodeTime(clock, self.faults)
        self.encoder = Encoder(self.faults)
        self.hub = Hub(self.clock)
        self.ledger = Ledger(chain, self.hub, self.clock, journal)
        self.elections = Elections(
            self.ledger,
            self.faults,
            self.clock,
            delay_ms=confirmation_delay_ms,
            reply_timeout_s=reply_timeout_s,
        )
        self._worker = worker
        self._faucet = asyncio.Lock()

    @property
    def chain(self) -> Chain:
        return self.ledger.chain

    async def faucet(self, address: Address, amount_raw: int) -> AccountEntry:
        """Sends from the genesis account and answers with the entry of the send, confirmed.

        Raises:
            ProtocolError: the amount or the receiver is not possible.
            Rejected: another client that knows the genesis seed has sent a block first.
        """
        async with self._faucet:
            block = self.chain.faucet_block(address, amount_raw, self.clock.now_ms())
            work = await self._worker.work(block.network, block.timestamp, block.work_target)
            return self.ledger.confirm(sign_genesis(block, work)).entry

    async def restart(self) -> None:
        """Forgets unconfirmed transactions, cuts every stream and starts again from the journal."""
        self.hub.streams.cut_all()
        await self.elections.stop()
        self.ledger.reload()

    async def aclose(self) -> None:
        """Ends streams and elections. Called before the server stops, because the server waits for open streams."""
        await self.hub.aclose()
        await self.elections.stop()
        self.ledger.close()
