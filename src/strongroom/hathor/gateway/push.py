"""The full node, as proposals see it: it takes transactions, and knows which it has.

No circuit breaker stands before it: each question matters, because a transaction may be on its way.
"""

import enum
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

import msgspec

from strongroom.core.http.outbound.client import HttpClient, NotConnected, OutboundError
from strongroom.core.json_decoder import decode_json
from strongroom.hathor.gateway import NodeUnavailable

T = TypeVar("T")

TIMEOUT_S = 10.0
NOT_FOUND = "Transaction not found"


class Presence(enum.Enum):
    """Whether the node has a transaction."""

    LIVE = enum.auto()
    VOIDED = enum.auto()
    ABSENT = enum.auto()


class NotDelivered(NodeUnavailable):
    """No connection came about: the node got nothing."""


class _NotServed(NodeUnavailable):
    """The node answered another status than 200."""


class PushNode(Protocol):
    async def push(self, raw: bytes) -> str | None: ...
    async def presence(self, tx_id: str) -> Presence: ...


class _Pushed(msgspec.Struct, frozen=True):
    success: bool
    message: str = ""


class _Meta(msgspec.Struct, frozen=True):
    voided_by: list[str] | None = None


class _Found(msgspec.Struct, frozen=True):
    success: bool
    message: str = ""
    meta: _Meta | None = None


class HttpPushNode:
    """A node over HTTP. `url` is the base of its API, for example `https://host/v1a/`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = HttpClient({"Content-Type": "application/json"})

    async def push(self, raw: bytes) -> str | None:
        """None when the node took it, else why it did not.

        Raises:
            NotDelivered: the node got nothing.
            NodeUnavailable: no answer came, or none that says what happened.
        """
        body = msgspec.json.encode({"hex_tx": raw.hex(), "force": False})
        answer = await self._ask("POST", "/push_tx", _Pushed, data=body)
        return None if answer.success else answer.message

    async def presence(self, tx_id: str) -> Presence:
        """Raises: NodeUnavailable."""
        query = {"id": tx_id}
        try:
            answer = await self._ask("GET", "/transaction", _Found, params=query)
        except (
            _NotServed
        ):  # by a node without an index of wallets; this one says at least whether it is there
            answer = await self._ask("GET", "/transaction_acc_weight", _Found, params=query)
        if answer.success:
            voided = answer.meta is not None and answer.meta.voided_by
            return Presence.VOIDED if voided else Presence.LIVE
        if answer.message != NOT_FOUND:
            raise NodeUnavailable(f"The node does not say whether it has {tx_id}: {answer.message}")
        return Presence.ABSENT

    async def close(self) -> None:
        await self._client.close()

    async def _ask(self, method: str, path: str, kind: type[T], **request: Any) -> T:
        try:
            answer = await self._client.ask(method, self._url + path, timeout_s=TIMEOUT_S, **request)
        except NotConnected as error:
            raise NotDelivered(f"The node does not answer ({error})") from error
        except OutboundError as error:
            raise NodeUnavailable(f"The node does not answer ({error})") from error
        if answer.status != HTTPStatus.OK:
            raise _NotServed(f"The node answers {answer.status} to {path}")
        try:
            return decode_json(answer.content, kind)
        except msgspec.DecodeError as error:
            raise NodeUnavailable(f"The node's answer to {path} is not understood: {error}") from error
