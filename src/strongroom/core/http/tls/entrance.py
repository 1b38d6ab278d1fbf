"""The handshake of one connection, before it is an HTTP connection.

The connection has its place in the counts from the start, so that peers that never finish a handshake are limited as others. Each
handshake uses the certificates that are in use when it begins.
"""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar, cast

from uvicorn.protocols.utils import get_remote_addr

from strongroom.core.http.connections.admission import Admission, Gate, Reason
from strongroom.core.http.connections.connection import LINGER_S, Connection
from strongroom.core.http.connections.refusals import Rules
from strongroom.core.http.tls.files import TlsFiles

T = TypeVar("T")


class Begun(Generic[T]):
    """An awaitable that has made a coroutine's first step already, in a call of the event loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._first: Any = coroutine.send(None)

    def __await__(self) -> Generator[Any, Any, T]:
        step = self._first
        try:
            while True:
                try:
                    sent = yield step
                except BaseException as error:  # noqa: BLE001 - the coroutine gets it, a cancellation, too
                    step = self._coroutine.throw(error)
                else:
                    step = self._coroutine.send(sent)
        except StopIteration as end:
            found: T = end.value
            return found


class Entrance(asyncio.Protocol):
    """`of` makes the protocol class for uvicorn."""

    def __init__(
        self, *, gate: Gate, rules: Rules, files: TlsFiles, server_state: Any, **uvicorns: Any
    ) -> None:
        self._gate = gate
        self._rules = rules
        self._files = files
        self._connections: set[Any] = server_state.connections
        self._make = partial(Connection, gate=gate, rules=rules, server_state=server_state, **uvicorns)
        self._admission: Admission | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._is_lost = False
        self._early = b""
        """What the peer sent together with the end of its handshake."""

    @classmethod
    def of(cls, gate: Gate, rules: Rules, files: TlsFiles) -> type[asyncio.Protocol]:
        return cast("type[asyncio.Protocol]", partial(cls, gate=gate, rules=rules, files=files))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        client = get_remote_addr(self._transport)
        self._peer = client[0] if client else "unknown"
        entered = self._gate.enter(self._peer, self._rules.proxies, self._rules.surface)
        if isinstance(entered, Reason):
            self._refuse(entered)
            return
        self._admission = entered
        self._connections.add(self)
        loop = asyncio.get_running_loop()
        # Begun now, not in the task: uvloop may read the peer's first bytes before the task runs, and they are TLS's.
        handshake = Begun(
            loop.start_tls(
                self._transport,
                self,
                self._files.context,
                server_side=True,
                ssl_handshake_timeout=self._gate.limits.head_s,
                ssl_shutdown_timeout=LINGER_S,
            )
        )
        self._handshake = loop.create_task(self._finish(handshake))

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._leave()

    def shutdown(self) -> None:
        """Ends the handshake, because the server stops."""
        self._transport.abort()
        if self._handshake is not None:
            self._handshake.cancel()  # uvloop does not end a handshake whose connection was aborted

    async def _finish(self, handshake: Begun[asyncio.Transport | None]) -> None:
        try:
            transport = await handshake
        except OSError:  # of TLS, of the network, or of time
            self._refuse(Reason.TLS)
            transport = None
        except asyncio.CancelledError:
            self._leave()
            raise
        if transport is None or self._is_lost:
            self._leave()
            return
        if not self._files.admits(transport.get_extra_info("ssl_object")):
            self._refuse(Reason.TLS)
            self._leave()
            return
        self._connections.discard(self)
        connection = self._make(admission=self._admission)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if self._early:
            connection.data_received(self._early)

    def _refuse(self, reason: Reason) -> None:
        self._gate.note(self._rules.surface, reason, self._peer)
        self._transport.abort()

    def _leave(self) -> None:
        self._is_lost = True
        self._connections.discard(self)
        if self._admission is not None:
            self._admission.end()
