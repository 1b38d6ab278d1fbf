"""The WebSocket of wallets: `ping`, and `join` to hear of a wallet's transactions."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from strongroom.core.errors import Forbidden, StrongroomError, Unauthenticated
from strongroom.core.http.connections.limits import NOBODY
from strongroom.core.http.connections.websockets import Socket, socket_of, text_frame
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.attempts import Attempts
from strongroom.core.security.credentials import Credentials
from strongroom.hathor.api.live.rights import Right, SocketRights
from strongroom.hathor.api.live.subscriptions import SocketMetrics, Subscriptions
from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.validation import Key, Schema, text
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.registry import WalletNotFound

log = structlog.get_logger(__name__)

MAX_FRAME = 8 * 1024
PONG = text_frame(b'{"type":"pong","message":"pong"}')
INVALID = "Invalid parameters"
JOIN = Schema(
    keys={
        "action": Key(check=text(only=["join"]), required=True),
        "id": Key(check=text(), required=True),
        "token": Key(check=text()),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketRules:
    require_token: bool
    """A wallet is joined with a token of it; otherwise by its id, as the original's clients do."""
    max_connections: int
    """Of this process."""
    max_subscriptions: int
    """Of one connection."""
    proxies: TrustedProxies = NOBODY
    """The proxies that say where a connection comes from."""


@dataclass(slots=True)
class _Client:
    socket: Socket
    token: str
    source: str
    joined: set[str] = field(default_factory=set)


class _Refused(Exception):
    """The client's request ends in an error message; the connection goes on."""


class SocketApplication:
    """An ASGI application. It must be served by `core.http.listener`."""

    def __init__(
        self,
        *,
        reader: WalletReader,
        rights: SocketRights,
        attempts: Attempts,
        subscriptions: Subscriptions,
        metrics: SocketMetrics,
        rules: SocketRules,
    ) -> None:
        self._reader = reader
        self._rights = rights
        self._attempts = attempts
        self._subscriptions = subscriptions
        self._metrics = metrics
        self._rules = rules
        self._connections = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            await _answer(send, "http", 426, b"This port speaks WebSocket")
            return
        await receive()
        if self._connections >= self._rules.max_connections:
            self._metrics.refused.labels("connections").inc()
            await _answer(send, "websocket.http", 503, b"Too many connections")
            return
        self._connections += 1
        self._metrics.connections.set(self._connections)
        client = _Client(socket=socket_of(scope), token=_token(scope), source=self._source(scope))
        try:
            await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
            await self._serve(client, receive)
        finally:
            self._connections -= 1
            self._metrics.connections.set(self._connections)
            self._rights.forget(client.socket)
            for wallet_id in client.joined:
                self._subscriptions.remove(wallet_id, client.socket)

    async def _serve(self, client: _Client, receive: Receive) -> None:
        while True:
            message: Any = await receive()
            if message["type"] != "websocket.receive":
                return
            await self._act(client, message.get("text") or message.get("bytes") or b"")

    async def _act(self, client: _Client, message: str | bytes) -> None:
        try:
            request = _decode(message)
            if request.get("action") == "ping":
                self._subscriptions.tell(client.socket, PONG)
            else:
                await self._join(client, request)
        except _Refused as refused:
            reason = str(refused)
            self._metrics.refused.labels(reason.lower().replace(" ", "-")).inc()
            self._tell(client, {"type": "error", "message": reason})

    async def _join(self, client: _Client, request: dict[str, Any]) -> None:
        try:
            wanted = JOIN.check(request)
        except Refusal as refusal:
            raise _Refused(INVALID) from refusal
        wallet_id: str = wanted["id"]
        if wallet_id not in client.joined and len(client.joined) >= self._rules.max_subscriptions:
            raise _Refused("Too many subscriptions")
        try:
            right = await self._check(wallet_id, wanted["token"] or client.token, client.source)
        except StrongroomError as error:
            log.warning("join not possible", why=type(error).__name__)
            raise _Refused("Try again later") from error
        if client.socket.is_open:
            client.joined.add(wallet_id)
            if right is not None:
                self._rights.hold(client.socket, right)
            self._tell(client, {"type": "join-success", "message": "Listening", "id": wallet_id})
            self._subscriptions.add(wallet_id, client.socket)

    async def _check(self, wallet_id: str, token: str, source: str) -> Right | None:
        """None: no token is needed."""
        if not self._rules.require_token:
            if not await self._reader.exists(wallet_id):
                raise _Refused(INVALID)
            return None
        try:
            credentials = Credentials(authorization=token or None, source=source)
            right = await self._attempts.identify(credentials, lambda: self._rights.check(token))
        except (Unauthenticated, Forbidden, WalletNotFound) as error:
            raise _Refused("Unauthorized") from error
        if right.principal.wallet_id != wallet_id:
            raise _Refused("Unauthorized")
        return right

    def _source(self, scope: Scope) -> str:
        peer = scope["client"]
        forwarded = [
            value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"
        ]
        return self._rules.proxies.client(peer[0] if peer else "", forwarded)

    def _tell(self, client: _Client, message: dict[str, str]) -> None:
        self._subscriptions.tell(client.socket, text_frame(msgspec.json.encode(message)))


def _decode(message: str | bytes) -> dict[str, Any]:
    try:
        request = decode_json(message)
    except msgspec.DecodeError as error:
        raise _Refused(INVALID) from error
    if not isinstance(request, dict):
        raise _Refused(INVALID)
    return request


def _token(scope: Scope) -> str:
    """What the handshake carries: `?token=`, for browsers, or an Authorization header."""
    in_query = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    if in_query:
        return in_query[-1]
    header: bytes = dict(scope["headers"]).get(b"authorization", b"")
    return header[7:].decode("latin-1").strip() if header[:7].lower() == b"bearer " else ""


async def _answer(send: Any, kind: str, status: int, body: bytes) -> None:
    await send(
        {"type": f"{kind}.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]}
    )
    await send({"type": f"{kind}.response.body", "body": body, "more_body": False})
