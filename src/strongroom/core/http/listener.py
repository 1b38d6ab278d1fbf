"""Serves a surface on a port: one ASGI application with uvicorn, in the process's event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import uvicorn

from strongroom.core.clock import Entropy
from strongroom.core.errors import Unavailable
from strongroom.core.http.connections.admission import Gate
from strongroom.core.http.connections.connection import Connection
from strongroom.core.http.connections.limits import NOBODY
from strongroom.core.http.connections.refusals import Rules
from strongroom.core.http.door import AllowedCallers, Dialect, Door, DoorRules, plain_dialect
from strongroom.core.http.exposure import Access, Exposure
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.requests.access_log import AccessLog
from strongroom.core.http.requests.naming import NamedRequests
from strongroom.core.http.requests.traced import TracedRequests
from strongroom.core.http.tls.entrance import Entrance
from strongroom.core.http.tls.files import TlsFiles
from strongroom.core.runtime.traces import active

BACKLOG = 2048
SHUTDOWN_S = 10
DATE_S = 1.0
"""The header Date is updated this often. uvicorn does so in a tick whose number ends in 0."""
DATE_TICK = 0
LOOK_S = 0.005
"""At shutdown the open connections are counted this often: uvicorn has no event for a closed connection."""
PING_S = 20.0
MAX_FRAME = 16 * 1024 * 1024
MAX_BODY = 1_000_000
NOBODY_ELSE = AllowedCallers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One surface: an application, its address and the rules for its callers."""

    name: str
    """The surface's name; in capitals and followed by `_PORT`, the variable that sets its port."""
    application: Any
    host: str
    port: int
    access: Access
    json_only: bool = False
    """Whether a body that is not JSON is refused before it is read. With Access.REACH it always is."""
    dialect: Dialect = plain_dialect
    """The error format in which the door refuses."""
    has_door: bool = False
    """Whether foreign web pages are refused though callers authenticate themselves, and none is ever allowed in by the operator."""
    forms_but_under: str | None = None
    """With `has_door`: forms are taken too, but on paths that contain this text; and a link on another site may open any page
    elsewhere, because those ask for a cookie that no such link brings along."""
    controls: str | None = None
    """On an otherwise public surface, paths that contain this text have the door, and accept any content type."""
    pages: frozenset[str] = frozenset()
    """Paths of pages without data, which a link on another site may open."""
    max_frame: int = MAX_FRAME
    """The largest WebSocket message in bytes; a larger one closes the connection with 1009."""
    compresses_frames: bool = True
    """Whether WebSocket messages are compressed if the client offers it; this takes 32 KB for each connection."""
    ping_s: float = PING_S
    """The pause between pings of a WebSocket. A peer that does not answer one until the next is dead (1011)."""
    max_body: int | None = MAX_BODY
    """The largest request body in bytes; a larger one gets 413. None: the application has its own limit."""
    messages_a_minute: int | None = None
    """The limit of WebSocket frames; None: the limit of all surfaces."""
    proxies: TrustedProxies = NOBODY
    """The surface's proxies, whose connections carry many clients."""

    @property
    def exposure(self) -> Exposure:
        return Exposure(name=self.name, host=self.host, access=self.access)

    @property
    def port_variable(self) -> str:
        return self.name.upper().replace("-", "_") + "_PORT"


def behind_door(surface: Surface, allowed: AllowedCallers = NOBODY_ELSE) -> Any:
    """The surface's application with the door in front of it, as the surface needs it."""
    if surface.access is Access.REACH:
        rules = DoorRules(bound_to=surface.host, allowed=allowed, pages=surface.pages)
        return Door(surface.application, rules=rules, dialect=surface.dialect)
    if surface.has_door:
        rules = DoorRules(
            bound_to=surface.host, allowed=AllowedCallers(hosts=allowed.hosts), pages=surface.pages
        )
        door = Door(surface.application, rules=rules, dialect=surface.dialect)
        if surface.forms_but_under is None:
            return door
        open_door = Door(
            surface.application,
            rules=replace(rules, is_linked=True),
            dialect=surface.dialect,
            json_only=False,
        )
        return _on_paths(surface.forms_but_under, door, open_door)
    if surface.controls is not None:
        rules = DoorRules(bound_to=surface.host, allowed=allowed)
        door = Door(surface.application, rules=rules, dialect=surface.dialect, json_only=False)
        return _on_paths(surface.controls, door, surface.application)
    if surface.json_only:
        return Door(surface.application, rules=None, dialect=surface.dialect)
    return surface.application


def _on_paths(part: str, there: Any, elsewhere: Any) -> Any:
    async def by_path(scope: Any, receive: Any, send: Any) -> None:
        await (there if part in scope["path"] else elsewhere)(scope, receive, send)

    return by_path


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, and without waking up ten times a second to see whether it should stop.

    `strongroom.server` handles the process's signals.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self._stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(DATE_TICK):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), DATE_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts no more connections, and ends when the last request is answered or `SHUTDOWN_S` are over."""
        for server in self.servers:
            server.close()
        for each in sockets or ():
            each.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_S):
                await asyncio.sleep(LOOK_S)  # a connection that was just accepted is counted only after this
                while self._is_busy:  # noqa: ASYNC110 - `LOOK_S` explains it
                    await asyncio.sleep(LOOK_S)
        for task in self.server_state.tasks:
            task.cancel(msg="the server stops")

    @property
    def _is_busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)


class Listener:
    """Binds the port in the constructor, so that a busy port is reported before anything starts; then serves until stopped."""

    def __init__(
        self,
        surface: Surface,
        allowed: AllowedCallers = NOBODY_ELSE,
        gate: Gate | None = None,
        tls: TlsFiles | None = None,
        entropy: Entropy | None = None,
        *,
        logs_requests: bool = False,
    ) -> None:
        """`allowed` are the callers that the operator admits. Surfaces that share a `gate` share its connection limits.

        `tls`: None for plain HTTP. `entropy` makes the ids of requests; None: they have none, as on a local network.
        `logs_requests`: each has a line of the access log.
        """
        self.surface = surface
        self._scheme = "http" if tls is None else "https"
        gate = gate or Gate()
        try:
            self._socket = socket.create_server(
                (surface.host, surface.port),
                family=socket.AF_INET6 if ":" in surface.host else socket.AF_INET,
                dualstack_ipv6=surface.host == "::",
                backlog=BACKLOG,
            )
        except OSError as error:
            reason = str(error.strerror).partition(" (")[0]
            raise Unavailable(
                f"{surface.name} cannot listen on {surface.host}:{surface.port}: {reason}."
                f" Set another port with {surface.port_variable}"
            ) from error
        # Accepted connections inherit TCP_NODELAY. Without it the second half of an answer waits 40 ms for the acknowledgement
        # of the first. asyncio sets it only on sockets that were created with the protocol number of TCP.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        rules = _rules(surface)
        protocol = Connection.of(gate, rules) if tls is None else Entrance.of(gate, rules, tls)
        application = behind_door(surface, allowed)
        if logs_requests:
            application = AccessLog(application, surface.name)
        if (traces := active()) is not None:
            application = TracedRequests(application, surface.name, traces)
        if entropy is not None:
            application = NamedRequests(application, entropy)
        self._server = _Server(
            uvicorn.Config(
                application,
                http=protocol,
                ws="none",  # `Connection` handles WebSockets itself
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,  # uvicorn would trust every peer on this machine; core.http.forwarded does not
            )
        )

    @property
    def url(self) -> str:
        return url_of(self.surface.host, self.port, self._scheme)

    async def serve(self) -> None:
        await self._server.serve(sockets=[self._socket])

    async def started(self) -> None:
        await self._server.up.wait()

    def stop(self) -> None:
        self._server.stop()


def _rules(surface: Surface) -> Rules:
    return Rules(
        surface=surface.name,
        max_body=surface.max_body,
        messages_a_minute=surface.messages_a_minute,
        max_frame=surface.max_frame,
        compresses_frames=surface.compresses_frames,
        ping_s=surface.ping_s,
        proxies=surface.proxies,
        dialect=surface.dialect,
    )


def url_of(host: str, port: int, scheme: str = "http") -> str:
    """The URL at which a person on this machine reaches a socket that is bound to `host`."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
