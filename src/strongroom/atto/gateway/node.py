"""The node's REST API over HTTP (reference: node controllers for accounts, receivables, entries, transactions)."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
import structlog

from strongroom.atto.gateway import HeightRange, InvalidNodeResponse, NodeRejected, NodeUnavailable
from strongroom.atto.protocol import (
    AccountEntry,
    AccountState,
    Address,
    Network,
    Receivable,
    Transaction,
    decode_account_entry,
    decode_account_state,
    decode_account_states,
    decode_receivable,
    decode_transaction,
    encode_transaction,
)
from strongroom.core.chunks import chunks
from strongroom.core.clock import Clock, iso_instant
from strongroom.core.http.outbound.client import (
    ExcessiveAnswer,
    HttpClient,
    OutboundError,
    OutboundResponse,
    StreamRefused,
)
from strongroom.core.json_decoder import JsonDecoder

log = structlog.get_logger(__name__)

T = TypeVar("T")

QUERY_TIMEOUT_S = 10.0
LOOKUP_TIMEOUT_S = 5.0
CONFIRMATION_TIMEOUT_S = 60.0
STREAM_IDLE_S = 3600.0
ADDRESSES_PER_QUERY = 1000
MAX_UNREADABLE = 100
"""After this many unreadable items of a stream in a row, the peer does not count as a node."""

_REJECTION = re.compile(
    r"Transaction rejected due to (?P<reason>[A-Z_]+)|Invalid transaction(?P<network> network)?"
)
_INSTANT = JsonDecoder(dict[str, Any])
GENESIS_HASHES = {
    Network.LIVE: bytes.fromhex("D1C37D6BBB8F9984029EA21712BB1AA6D2B3D0CD9A484C8CC3B967B7A0501C08"),
    Network.DEV: bytes.fromhex("59F7064570ACDE37CE53AD16D1C87976135AE440C135C6DFC75F694CFB5D8C4E"),
}
"""The first blocks of the networks that have a fixed one."""
# With these reasons the network has not refused the block: the same bytes may still be confirmed.
_OPEN_REASONS = frozenset({"ELECTION_EXPIRED", "TRANSACTION_DROPPED"})


class HttpNode:
    """The client of a node at `base_url`. It decodes answers and checks their form; the caller judges their meaning."""

    def __init__(self, base_url: str, clock: Clock) -> None:
        self._clock = clock
        self._base_url = base_url
        self._client = HttpClient({"Content-Type": "application/json", "Accept": "application/json"})

    async def close(self) -> None:
        await self._client.close()

    async def network(self) -> Network | None:
        """Finds the network by the richest accounts, of which every ledger has one from its first block on, or by known first blocks."""
        response = await self._send("GET", "/accounts/top")
        if response.status != HTTPStatus.NOT_FOUND:
            networks = {state.network for state in _decoded(decode_account_states, _body(response))}
            if len(networks) > 1:
                raise InvalidNodeResponse("The node has accounts of several networks")
            if networks:
                return networks.pop()
        for network, first_block in GENESIS_HASHES.items():
            if await self.transaction(first_block) is not None:
                return network
        return None

    async def account(self, address: Address) -> AccountState | None:
        response = await self._send("GET", f"/accounts/{address.public_key.hex().upper()}")
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        return _decoded(decode_account_state, _body(response))

    async def accounts(self, addresses: Sequence[Address]) -> list[AccountState]:
        states: list[AccountState] = []
        for chunk in chunks(addresses, ADDRESSES_PER_QUERY):
            response = await self._send("POST", "/accounts", content=_address_search(chunk))
            states.extend(_decoded(decode_account_states, _body(response)))
        return states

    async def transaction(self, transaction_hash: bytes) -> Transaction | None:
        response = await self._send("GET", f"/transactions/{transaction_hash.hex().upper()}")
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        transaction = _decoded(decode_transaction, _body(response))
        if transaction.hash != transaction_hash:
            raise InvalidNodeResponse("The node answered with another transaction than the one asked for")
        return transaction

    async def transaction_at(self, address: Address, height: int) -> Transaction:
        span = f"fromHeight={height}&toHeight={height}"
        response = await self._send(
            "GET",
            f"/accounts/{address.public_key.hex().upper()}/transactions/stream?{span}",
            headers={"Accept": "application/x-ndjson"},
            read_timeout_s=LOOKUP_TIMEOUT_S,  # a node that does not have the transaction waits for it
        )
        line = _body(response).split(b"\n", 1)[0]
        if not line:
            raise NodeUnavailable("The node ended the transactions of the account without a word")
        return _decoded(decode_transaction, line)

    async def publish(self, transaction: Transaction) -> None:
        response = await self._send(
            "POST",
            "/transactions/stream?deduplicate=true",
            content=encode_transaction(transaction),
            headers={"Accept": "application/x-ndjson"},
            read_timeout_s=CONFIRMATION_TIMEOUT_S,
        )
        if response.status != HTTPStatus.OK:
            raise _refusal(response)
        line = response.content.split(b"\n", 1)[0]
        if not line:
            raise NodeUnavailable("The node ended the confirmation without a word")
        if _decoded(decode_transaction, line).hash != transaction.hash:
            raise InvalidNodeResponse("The node confirmed another transaction than the one published")

    async def clock_offset_ms(self) -> int:
        before_s = self._clock.monotonic_s()
        path = f"/instants/{iso_instant(self._clock.now_ms())}"
        response = await self._send("GET", path, read_timeout_s=LOOKUP_TIMEOUT_S)
        answer = _decoded(_INSTANT.decode, _body(response))
        difference = answer.get("differenceMillis")
        if not isinstance(difference, int):
            raise InvalidNodeResponse("The node's time has no differenceMillis")
        travel_ms = int((self._clock.monotonic_s() - before_s) * 500)
        return difference - travel_ms

    async def states(self, addresses: Sequence[Address]) -> AsyncGenerator[AccountState, None]:
        tolerance = _Tolerance()
        async for line in self._lines("/accounts/stream", _address_search(addresses)):
            if (state := tolerance.read(decode_account_state, line)) is not None:
                yield state

    async def receivables(
        self, addresses: Sequence[Address], minimum_raw: int
    ) -> AsyncGenerator[Receivable, None]:
        path = f"/accounts/receivables/stream?minAmount={minimum_raw}"
        tolerance = _Tolerance()
        async for line in self._lines(path, _address_search(addresses)):
            if (receivable := tolerance.read(decode_receivable, line)) is not None:
                yield receivable

    async def entries(self, ranges: Sequence[HeightRange]) -> AsyncGenerator[AccountEntry, None]:
        search = [
            {"address": one.address.uri, "fromHeight": one.first, "toHeight": one.last} for one in ranges
        ]
        content = msgspec.json.encode({"search": search})
        left = sum(one.last - one.first + 1 for one in ranges)
        async for line in self._lines("/accounts/entries/stream", content, idle_s=QUERY_TIMEOUT_S):
            if (left := left - 1) < 0:
                raise InvalidNodeResponse("The node sent more entries than were asked for")
            yield _decoded(decode_account_entry, line)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout_s: float = QUERY_TIMEOUT_S,
    ) -> OutboundResponse:
        url = self._base_url + path
        try:
            return await self._client.ask(
                method, url, data=content, headers=headers, timeout_s=read_timeout_s
            )
        except ExcessiveAnswer as error:
            raise InvalidNodeResponse(f"The node does not answer as a node does: {error}") from error
        except OutboundError as error:
            raise NodeUnavailable(f"The node does not answer ({error})") from error

    async def _lines(
        self, path: str, content: bytes, *, idle_s: float = STREAM_IDLE_S
    ) -> AsyncGenerator[bytes, None]:
        url = self._base_url + path
        stream = self._client.lines(
            url, data=content, headers={"Accept": "application/x-ndjson"}, idle_s=idle_s
        )
        try:
            async with aclosing(stream) as lines:
                async for line in lines:
                    yield line
        except StreamRefused as error:
            raise NodeUnavailable(f"The node refused the stream with status {error.status}") from error
        except ExcessiveAnswer as error:
            raise InvalidNodeResponse(f"The node's stream is not a node's: {error}") from error
        except OutboundError as error:
            raise NodeUnavailable(f"The node's stream broke ({error})") from error


def _address_search(addresses: Sequence[Address]) -> bytes:
    if len(addresses) > ADDRESSES_PER_QUERY:
        raise ValueError(f"{len(addresses)} addresses in one request; a node refuses bodies above 256 KiB")
    return msgspec.json.encode({"addresses": [address.uri for address in addresses]})


def _body(response: OutboundResponse) -> bytes:
    if response.status != HTTPStatus.OK:
        raise NodeUnavailable(f"The node answered with status {response.status}")
    return response.content


def _refusal(response: OutboundResponse) -> NodeRejected | NodeUnavailable:
    """Turns an answer into an error. Only a refusal in the node's own format is final; any other leaves the outcome open.

    A 400 in another format may come from a proxy that never asked the node.
    """
    found = _REJECTION.search(response.content.decode(errors="replace"))
    if found is None or response.status != HTTPStatus.BAD_REQUEST:
        said = found["reason"] if found else None
        return NodeUnavailable(f"The node did not confirm ({said or response.status})")
    reason = found["reason"] or ("INVALID_NETWORK" if found["network"] else "INVALID_TRANSACTION")
    if reason in _OPEN_REASONS:
        return NodeUnavailable(f"The node did not confirm ({reason})")
    return NodeRejected(f"The node rejected the transaction: {reason}", reason=reason)


def _decoded(decode: Callable[[bytes], T], data: bytes) -> T:
    try:
        return decode(data)
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidNodeResponse(f"The node sent something unreadable: {error}") from error


class _Tolerance:
    """Skips unreadable items of an endless stream, and logs a few of them."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._skipped = 0

    def read(self, decode: Callable[[bytes], T], line: bytes) -> T | None:
        """None: the line is unreadable.

        Raises:
            InvalidNodeResponse: so were many before it.
        """
        try:
            item = _decoded(decode, line)
        except InvalidNodeResponse as error:
            self._skipped += 1
            self._in_a_row += 1
            if self._in_a_row > MAX_UNREADABLE:
                raise InvalidNodeResponse(f"The node's stream is not a node's: {error.message}") from error
            if str(self._skipped).strip("0") == "1":  # logs the 1st, 10th, 100th, ...
                log.error("skipped an item of the node's stream", why=error.message, skipped=self._skipped)
            return None
        self._in_a_row = 0
        return item
