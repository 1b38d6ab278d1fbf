"""The way to a toy node, and what its answers prove: the one judgement that a ledger makes of its payments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from strongroom.core.errors import Unavailable
from strongroom.core.http.outbound.client import HttpClient, OutboundError, OutboundResponse
from strongroom.core.intents.intent import Accepted, Intent, Rejected, Unknown, Verdict
from strongroom.core.json_decoder import decode_json
from strongroom_toy.protocol import SignedTransfer

T = TypeVar("T")

OK, NOT_FOUND, REFUSED = 200, 404, 409
SMALL_ANSWER = 65_536


class _Refusal(msgspec.Struct):
    error: str


class AccountState(msgspec.Struct):
    next_number: int
    balance: int


@dataclass(frozen=True, kw_only=True)
class Overtaken(Rejected):
    """The transfer's number went to another transfer."""

    next_number: int
    """The account's next number on the chain, for `Effects.apply`."""


class ToyNode:
    """A node over HTTP: the `Network` of `core.intents.network`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = HttpClient()

    async def offer(self, intent: Intent) -> Verdict:
        """Submits the stored bytes. A node takes the same transfer again and says that it has it."""
        answer = await self._ask("POST", "/transfers", intent.payload)
        if answer.status == OK:
            return Accepted()
        if answer.status == REFUSED:
            # A restored backup gives a number again that the chain has taken long ago.
            found = await self._look(intent)
            if not isinstance(found, Unknown):
                return found
            # It proves nothing of another offer that may still arrive: the resolver counts it for the only offer alone.
            return Rejected(reason=_decoded(answer, _Refusal).error, if_unshared=True)
        return Unknown(why=f"the node answers {answer.status}")

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        return {intent.id: await self._look(intent) for intent in intents}

    async def state(self, address: str) -> AccountState:
        answer = await self._ask("GET", f"/accounts/{address}")
        if answer.status != OK:
            raise Unavailable(f"The node answers {answer.status}")
        return _decoded(answer, AccountState)

    async def check(self) -> None:
        """Raises: Unavailable: the node does not answer."""
        answer = await self._ask("GET", "/")
        if answer.status != OK:
            raise Unavailable(f"The node answers {answer.status}")

    async def close(self) -> None:
        await self._http.close()

    async def _look(self, intent: Intent) -> Verdict:
        if await self._has(intent):
            return Accepted()
        transfer = SignedTransfer.parse(intent.payload).transfer
        state = await self.state(transfer.sender)
        if state.next_number <= transfer.number:
            return Unknown(why="the node does not have it")
        # Between the two questions the node may have taken it: then the number went to this very transfer.
        if await self._has(intent):
            return Accepted()
        return Overtaken(
            reason="another transfer took its number", stage="overtaken", next_number=state.next_number
        )

    async def _has(self, intent: Intent) -> bool:
        answer = await self._ask("GET", f"/transfers/{intent.id.hex()}")
        if answer.status not in {OK, NOT_FOUND}:
            raise Unavailable(f"The node answers {answer.status}")
        return answer.status == OK

    async def _ask(self, method: str, path: str, data: bytes | None = None) -> OutboundResponse:
        """Raises: Unavailable: no whole answer came. Whether the request arrived is unknown."""
        headers = {"Content-Type": "application/json"}
        try:
            return await self._http.ask(
                method, self._url + path, data=data, headers=headers, max_bytes=SMALL_ANSWER
            )
        except OutboundError as error:
            raise Unavailable(f"The node does not answer: {error}") from error


def _decoded(answer: OutboundResponse, kind: type[T]) -> T:
    try:
        return decode_json(answer.content, kind)
    except msgspec.DecodeError as error:
        raise Unavailable(f"The node answers what nobody understands: {error}") from None
