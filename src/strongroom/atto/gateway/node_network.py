"""Checks the node's network. While it is not the configured one, nothing is signed."""

import asyncio

import structlog

from strongroom.atto.gateway import Node
from strongroom.atto.protocol import Network
from strongroom.core.errors import Unavailable
from strongroom.core.runtime.telemetry import ComponentHealth, Status

log = structlog.get_logger(__name__)

COMPONENT = "attoNetwork"
CHECK_S = 60.0


class WrongNetwork(Unavailable):
    """The node belongs to another network than the configured one."""

    code = "wrong_network"


class NodeNetwork:
    """Asks for the node's network: at the start, from time to time, and after an outage, when another node may answer."""

    def __init__(self, node: Node, network: Network) -> None:
        self._node = node
        self._network = network
        self._found: Network | None = None
        self._is_asked = asyncio.Event()
        self._why = "it has not been asked yet"
        """Why the network is not known; empty once the node has answered."""
        self.recheck = asyncio.Event()

    async def check(self) -> None:
        """Asks the node for its network.

        Raises:
            NodeUnavailable: the node does not answer.
            WrongNetwork: it belongs to another network.
        """
        try:
            found = await self._node.network()
        except Unavailable as error:
            if self._found is None:
                self._why = error.message
            raise
        else:
            self._found, self._why = found, ""
        finally:
            self._is_asked.set()
        self._require_ours()

    async def require(self) -> None:
        """Returns when a signature is allowed; waits for the node's first answer.

        Raises:
            WrongNetwork: the node belongs to another network.
            Unavailable: the node has not named its network yet.
        """
        await self._is_asked.wait()
        if self._why or self._is_wrong():
            await self.check()  # the operator may just have corrected it
        self._require_ours()

    def health(self) -> ComponentHealth:
        """Health: DOWN for a node of another network, so that an operator who gets no deposits sees why."""
        if self._is_wrong():
            return ComponentHealth(status=Status.DOWN, detail=self._words())
        if self._why:
            return ComponentHealth(status=Status.DEGRADED, detail=f"not known: {self._why}")
        detail = self._found.name if self._found else "the node does not say"
        return ComponentHealth(status=Status.UP, detail=detail)

    def _is_wrong(self) -> bool:
        return self._found is not None and self._found is not self._network

    def _require_ours(self) -> None:
        if self._is_wrong():
            raise WrongNetwork(f"{self._words()}; nothing was signed")

    def _words(self) -> str:
        found = self._found.name if self._found else "unknown"
        return f"The node is of the network {found}, and NETWORK says {self._network.name}"
