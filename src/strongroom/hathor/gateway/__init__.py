"""The outside of the Hathor ledger: a full node. What is asked of it, and how it may fail; the clients lie beside."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.hathor.protocol.events import Frame, Page


class NodeUnavailable(Unavailable):
    """No answer, or none that says anything."""


class InvalidNodeResponse(NodeUnavailable):
    """An answer that is not in the form of a node's."""


class NodeFailed(StrongroomError):
    """The node met an error of its own at this one request, or does not know it; others may work."""


class NodeRefused(StrongroomError):
    """The node says that the request is wrong (4xx); the message is its own."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class NodeVersion(msgspec.Struct, frozen=True):
    """What the sync needs of the node's `version`."""

    reward_spend_min_blocks: int
    network: str | None = None
    """The node's own name for it."""


class EventStream(Protocol):
    """One connection to the node's event queue."""

    async def start(self, last_event_id: int, window: int) -> None: ...
    async def restart(self, last_event_id: int, window: int) -> None: ...
    async def acknowledge(self, event_id: int, window: int) -> None: ...
    async def next_frames(self, most: int, timeout_s: float) -> list[Frame]: ...

    @property
    def waiting(self) -> int: ...


class EventNode(Protocol):
    async def version(self) -> NodeVersion: ...
    async def page(self, after_id: int) -> Page: ...
    def stream(self) -> AbstractAsyncContextManager[EventStream]: ...
