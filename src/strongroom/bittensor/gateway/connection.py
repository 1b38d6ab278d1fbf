"""JSON-RPC over one WebSocket at a time: several endpoints, many calls at once, each with its own time limit.

The connection repeats no call. A call fails with `NotSent` when no byte of it left, with `Lost` when it may have arrived.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidURI, WebSocketException

from strongroom.bittensor.gateway import ChainUnavailable
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import StrongroomError
from strongroom.core.json_decoder import decode_json
from strongroom.core.runtime.backoff import Backoff

log = structlog.get_logger(__name__)

CONNECT_S = 5.0
CALL_S = 10.0
LONG_CALL_S = 60.0
PING_S = 10.0
MAX_MESSAGE_BYTES = 16 * 2**20
"""The largest answer is the metadata, with some 2 MiB."""
MAX_SHOWN = 200
"""Characters of a node's error that logs and health show: a node may send megabytes."""
_OUTSIDE = (OSError, WebSocketException, TimeoutError)


class NotSent(ChainUnavailable):
    """No byte of the call left this machine."""


class Lost(ChainUnavailable):
    """The call may have arrived; there was no answer."""


class RpcError(ChainUnavailable):
    """The node answered with an error."""

    code = "chain_error"

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        code = error.get("code")
        self.rpc_code = (
            code if type(code) is int else 0
        )  # as decoded, so that no bool or float passes for one
        self.rpc_message = str(error.get("message", ""))
        self.rpc_data = error.get("data")
        super().__init__(f"The node refused {method}: {self.rpc_code} {self.rpc_message[:MAX_SHOWN]}")


Call = Callable[[str, Sequence[Any]], Awaitable[Any]]
Greeting = Callable[[Call], Awaitable[None]]


class Connection:
    """Opens at the first call, and again after it has broken: at the next endpoint, after a growing pause.

    `greet` runs on every new connection before any other call; if it raises, the connection closes.
    """

    def __init__(self, endpoints: Sequence[str], greet: Greeting, *, clock: Clock, entropy: Entropy) -> None:
        self._endpoints = tuple(endpoints)
        self._greet = greet
        self._clock = clock
        self._backoff = Backoff(clock, entropy, first_s=0.2, cap_s=5.0)
        self._next = 0
        self._not_before_s = 0.0
        self._why = ""
        self._line: _Line | None = None
        self._opening = asyncio.Lock()

    async def call(self, method: str, parameters: Sequence[Any] = (), *, timeout_s: float = CALL_S) -> Any:
        """Calls a method and returns its result.

        Raises:
            NotSent, Lost, RpcError.
        """
        line = self._line
        if line is None or not line.is_open:
            line = await self._open()
        try:
            return await line.call(method, parameters, timeout_s)
        except Lost as error:
            await self._drop(line, error)
            raise

    async def close(self) -> None:
        if self._line is not None:
            await self._line.close()

    async def _open(self) -> "_Line":
        async with self._opening:
            if self._line is not None and self._line.is_open:
                return self._line
            if self._clock.monotonic_s() < self._not_before_s:
                raise NotSent(f"The chain does not answer ({self._why})")
            failure: StrongroomError = NotSent("There is no endpoint")
            for _ in self._endpoints:
                endpoint = self._endpoints[self._next % len(self._endpoints)]
                try:
                    self._line = await self._try(endpoint)
                except StrongroomError as error:
                    failure = error
                    self._next += 1
                else:
                    self._backoff.reset()
                    return self._line
            self._why = failure.message
            self._not_before_s = self._clock.monotonic_s() + self._backoff.next_delay_s()
            raise failure

    async def _try(self, endpoint: str) -> "_Line":
        shown = _shown(endpoint)
        try:
            socket = await _Connect(
                endpoint,
                open_timeout=CONNECT_S,
                ping_interval=PING_S,
                ping_timeout=PING_S,
                close_timeout=1.0,
                max_size=MAX_MESSAGE_BYTES,
                compression=None,  # compression costs more than it saves: only the metadata is a large frame
                proxy=None,
            )
        except (*_OUTSIDE, InvalidURI) as error:
            log.warning("node not reached", endpoint=shown, error=type(error).__name__)
            raise NotSent(f"The chain's node cannot be reached ({type(error).__name__})") from error
        line = _Line(socket)
        try:
            await self._greet(lambda method, parameters: line.call(method, parameters, CALL_S))
        except Lost as error:
            await line.close()
            log.warning("node does not answer", endpoint=shown)
            raise NotSent("The chain's node does not answer") from error
        except BaseException:
            await line.close()
            raise
        log.info("connected to the chain", endpoint=shown)
        return line

    async def _drop(self, line: "_Line", why: Exception) -> None:
        """Closes the connection to a node that is silent for too long. Calls that still wait fail too."""
        if self._line is line:
            log.warning("left the node", why=str(why))
            self._line = None
            self._next += 1
        await line.close()


class _Connect(connect):
    """Follows no redirect, because a node must not choose the peer of this process."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Line:
    """One open WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.is_open = True
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def call(self, method: str, parameters: Sequence[Any], timeout_s: float) -> Any:
        if not self.is_open:
            raise NotSent("The connection to the chain has just ended")
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(parameters)}
        try:
            async with asyncio.timeout(timeout_s):
                await self._socket.send(msgspec.json.encode(request).decode())
                message = await answer
        except TimeoutError:
            raise Lost(f"The node did not answer {method} in {timeout_s:g} s") from None
        except _OUTSIDE as error:
            raise Lost(f"The connection to the chain broke ({type(error).__name__})") from error
        finally:
            self._waiting.pop(number, None)
        if "error" in message:
            refusal = message["error"]
            raise RpcError(method, refusal if isinstance(refusal, dict) else {"message": str(refusal)})
        return message.get("result")

    async def close(self) -> None:
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader
        with suppress(*_OUTSIDE):
            await self._socket.close()

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                self._hand_over(text)
        except _OUTSIDE as error:
            log.info("the connection to the chain broke", error=type(error).__name__)
        finally:
            self.is_open = False
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ConnectionResetError())

    def _hand_over(self, text: str | bytes) -> None:
        try:
            message = decode_json(text)
        except msgspec.MsgspecError:
            return  # the request that waits for it fails at its time limit
        number = message.get("id") if isinstance(message, dict) else None
        answer = self._waiting.get(number) if isinstance(number, int) else None
        if answer is not None and not answer.done():
            answer.set_result(message)


def _shown(endpoint: str) -> str:
    """Returns the endpoint for logs, without name, path and query, which may hold a key to it."""
    parts = urlsplit(endpoint)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
