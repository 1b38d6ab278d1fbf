"""Watches the node: whether it answers, its network and its time."""

from strongroom.atto.gateway import Node
from strongroom.atto.gateway.node_clock import REFRESH_S, TIME, NodeClock
from strongroom.atto.gateway.node_network import CHECK_S, NodeNetwork
from strongroom.atto.gateway.node_network import COMPONENT as NETWORK
from strongroom.atto.protocol import Network
from strongroom.core.clock import Clock
from strongroom.core.coordination.loops import Loops
from strongroom.core.runtime.node_gauges import Heights, NodeGauges
from strongroom.core.runtime.telemetry import Health, Status

NODE = "attoNode"


class NodeWatch:
    """Asks the node for its time and its network, in every process, and reports both to health."""

    def __init__(
        self, node: Node, network: Network, clock: Clock, health: Health, gauges: NodeGauges
    ) -> None:
        self.clock = NodeClock(node, clock)
        self.network = NodeNetwork(node, network)
        self._is_away = False
        self._gauges = gauges
        health.watch(NETWORK, self.network.health, vital=True)
        health.watch(TIME, self.clock.steadiness)

    def start(self, loops: Loops) -> None:
        loops.start(
            loops.every(
                NODE,
                REFRESH_S,
                self._gauges.asking(self._ask),
                down_after=1,
                max_pause_s=REFRESH_S,
                initially=Status.DOWN,
            )
        )
        loops.start(
            loops.every(
                NODE,
                CHECK_S,
                self.network.check,
                part="network",
                wake=self.network.recheck,
                max_pause_s=REFRESH_S,
            )
        )

    async def _ask(self) -> Heights:
        """Asks for the time, and after an outage also for the network, because another node may have taken the address."""
        try:
            await self.clock.refresh()
        except Exception:
            self._is_away = True
            raise
        if self._is_away:
            self._is_away = False
            self.network.recheck.set()
        return {}  # the ledger has a chain for each account, and no height of its own
