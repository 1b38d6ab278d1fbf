"""A node that is not asked directly: a test may answer in its place, or let something happen first."""

from collections.abc import Awaitable, Callable
from typing import Any

from strongroom.atto.gateway import Node, NodeRejected, NodeUnavailable
from support.atto_service import AttoService

Answer = Callable[..., Awaitable[Any]]


class MeddlingNode:
    """Stands between a service and the client of its node.

    `instead[name]` is a list of functions, each of which answers one call of that name; after them the node does.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.instead: dict[str, list[Answer]] = {}
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        waiting = self.instead.get(name)
        return waiting.pop(0) if waiting else getattr(self.node, name)

    def refuse_next(self, reason: str) -> None:
        """The next publish is refused, and the node has never seen it."""

        async def refuse(*_: object) -> None:
            raise NodeRejected(f"The node rejected the transaction: {reason}", reason=reason)

        self.instead.setdefault("publish", []).append(refuse)

    def ignore_next(self) -> None:
        """The next publish is lost on its way."""

        async def lose(*_: object) -> None:
            raise NodeUnavailable("The node does not answer")

        self.instead.setdefault("publish", []).append(lose)


def meddle(service: AttoService) -> MeddlingNode:
    """Puts itself between this service's blocks and the node."""
    network = service.ledger.use_cases.block_network
    node = MeddlingNode(network._node)
    network._node = node
    return node
