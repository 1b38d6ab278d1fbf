"""A chain with something on it, its node, and the one that makes its blocks."""

import asyncio
from pathlib import Path

import structlog

from strongroom.core.clock import Clock, Entropy
from strongroom_sandbox.bittensor import changes
from strongroom_sandbox.bittensor.chain.genesis import RAO, Genesis
from strongroom_sandbox.bittensor.chain.journal import Journal
from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.chain.resume import open_chain
from strongroom_sandbox.bittensor.changes import Neuron
from strongroom_sandbox.bittensor.execution.dispatch import PanicError, panics
from strongroom_sandbox.bittensor.node.node import Node, Production
from strongroom_sandbox.bittensor.server.app import create_node_app

log = structlog.get_logger(__name__)

HOTKEYS = tuple(f"//Alice//hk{number}" for number in range(4))
STAKE_RAO = 10_000 * RAO
SHORT_WAIT_S = 0.1


class BittensorSandbox:
    """Made and closed inside the event loop that serves `application`.

    Args:
        genesis: what the chain begins with.
        furnished: whether it has netuid 2 with four neurons of //Alice, the first of them a validator.
        journal: where it is kept over restarts; None: nowhere.

    Raises:
        Unavailable: the journal is unreadable.
    """

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        *,
        genesis: Genesis | None = None,
        production: Production | None = None,
        furnished: bool = True,
        journal: Path | None = None,
    ) -> None:
        genesis = genesis or Genesis()
        self._journal: Journal | None = None
        if journal is None:
            chain = genesis.chain()
        else:
            chain, self._journal = open_chain(journal, genesis)
        self.node = Node(chain, clock, production)
        if furnished and not chain.head.number:
            furnish(self.node)
        self.application = create_node_app(self.node, entropy)
        self._clock = clock
        self._producing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to make blocks at the set interval."""
        self._producing = asyncio.ensure_future(self._produce())

    async def aclose(self) -> None:
        if self._producing:
            self._producing.cancel()
            await asyncio.gather(self._producing, return_exceptions=True)
        if self._journal:
            self._journal.close()

    async def _produce(self) -> None:
        while True:
            production = self.node.production
            if production.interval_ms and not production.stalled:
                await self._clock.sleep(production.interval_ms / 1000)
                if not production.stalled:
                    self._make_block()
            else:
                await self._clock.sleep(SHORT_WAIT_S)

    def _make_block(self) -> None:
        try:
            with panics():
                self.node.produce()
        except PanicError as panic:  # of a hook; the chain stands still then, and says why
            log.error("no block could be made", reason=str(panic))


def furnish(node: Node) -> None:
    """Netuid 2, owned by //Alice, with weights that may be set at any time."""
    alice = development_pair("//Alice")[0]
    hotkeys = [development_pair(uri)[0] for uri in HOTKEYS]
    settings = {"WeightsSetRateLimit": 0, "CommitRevealWeightsEnabled": False, "ServingRateLimit": 0}
    node.produce(changes.create_subnet(alice, hotkeys[0], settings))
    for number, hotkey in enumerate(hotkeys):
        validator = number == 0
        neuron = Neuron(
            netuid=2,
            hotkey=hotkey,
            coldkey=alice,
            stake=STAKE_RAO if validator else 0,
            permit=validator or None,
        )
        node.produce(changes.add_neuron(neuron))
