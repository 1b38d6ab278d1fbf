"""The application's side of a WebSocket: receives and sends ASGI messages."""

import asyncio
import enum
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote

import structlog
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode

log = structlog.get_logger(__name__)

Message = dict[str, Any]

SPEC_VERSION = "2.4"


class Phase(enum.Enum):
    """How far the application has come. The value lists the messages that it may send then."""

    CONNECTING = ("websocket.accept", "websocket.close", "websocket.http.response.start")
    REFUSING = ("websocket.http.response.body",)
    ACCEPTED = ("websocket.send", "websocket.close")


class Peer(Protocol):
    """The connection, as the application's messages use it."""

    @property
    def is_answered(self) -> bool:
        """Whether the handshake was accepted or refused."""

    @property
    def is_lost(self) -> bool: ...
    def accept(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> None: ...
    def refuse(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...
    def write(self, data: bytes, *, is_text: bool) -> None: ...
    def end(self, code: int, reason: str) -> None: ...
    def resume(self) -> None:
        """Continues reading, because the application has taken every message."""


class ClientGone(OSError):
    """The connection is closed. The ASGI specification requires an OSError for this."""


class AsgiSocket:
    """Runs the application on one connection. `receive` and `send` are those of the ASGI specification."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._arrived: asyncio.Queue[Message] = asyncio.Queue()
        self._arrived.put_nowait({"type": "websocket.connect"})
        self._has_disconnected = False
        self._phase = Phase.CONNECTING
        self._refusal: Message = {}
        self._refusal_body = b""
        self.writable = asyncio.Event()
        """Cleared while the peer reads more slowly than the application writes."""
        self.writable.set()

    async def run(self, application: Any, scope: Message) -> None:
        """Runs the application, and closes the connection when the application ends."""
        code, reason = CloseCode.NORMAL_CLOSURE, ""
        try:
            await application(scope, self.receive, self.send)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            code = CloseCode.SERVICE_RESTART
            raise
        except Exception as error:  # noqa: BLE001 - the peer gets a close code, and the log the traceback
            log.error("a defect", work="websocket", traceback="".join(traceback.format_exception(error)))
            code, reason = CloseCode.INTERNAL_ERROR, "internal error"
        finally:
            if not self._peer.is_answered:
                self._peer.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, [], b"Internal Server Error")
            self._peer.end(code, reason)

    def arrived(self, kind: str, data: str | bytes) -> None:
        """Gives a complete message to the application; `kind` is `text` or `bytes`. After the end it does nothing."""
        if not self._has_disconnected:
            self._arrived.put_nowait({"type": "websocket.receive", kind: data})

    def ended(self, code: int, reason: str = "") -> None:
        """Tells the application once that the connection has ended, with the first reason."""
        if not self._has_disconnected:
            self._has_disconnected = True
            self._arrived.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def receive(self) -> Message:
        message = await self._arrived.get()
        if self._arrived.empty():
            self._peer.resume()
        return message

    async def send(self, message: Message) -> None:
        """Sends an ASGI message; waits while the peer does not read.

        Raises:
            ClientGone: the connection is closed.
            RuntimeError: the message is not allowed in this state.
        """
        await self.writable.wait()
        if self._peer.is_lost or (self._phase is not Phase.ACCEPTED and self._peer.is_answered):
            raise ClientGone
        kind = message["type"]
        if kind not in self._phase.value:
            raise RuntimeError(f"An application may send {' or '.join(self._phase.value)} now, not {kind}")
        if self._phase is Phase.ACCEPTED:
            self._pass_on(kind, message)
        elif self._phase is Phase.REFUSING:
            self._refuse(message)
        else:
            self._answer(kind, message)

    def _answer(self, kind: str, message: Message) -> None:
        """Answers the handshake."""
        if kind == "websocket.accept":
            self._peer.accept(message.get("subprotocol"), _texts(message))
            self._phase = Phase.ACCEPTED
        elif kind == "websocket.close":
            self._peer.refuse(HTTPStatus.FORBIDDEN, [], b"")
        else:
            self._refusal = message
            self._phase = Phase.REFUSING

    def _refuse(self, message: Message) -> None:
        """Collects the body of a refusal, and sends it when it is complete."""
        self._refusal_body += message.get("body", b"")
        if not message.get("more_body", False):
            self._peer.refuse(self._refusal["status"], _texts(self._refusal), self._refusal_body)

    def _pass_on(self, kind: str, message: Message) -> None:
        if kind == "websocket.close":
            self._peer.end(message.get("code", CloseCode.NORMAL_CLOSURE), message.get("reason") or "")
            return
        text = message.get("text")
        try:
            if text is not None:
                self._peer.write(text.encode(), is_text=True)
            else:
                self._peer.write(message["bytes"], is_text=False)
        except InvalidState:
            raise ClientGone from None


def _texts(message: Message) -> list[tuple[str, str]]:
    headers = message.get("headers", ())
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def socket_scope(http: Mapping[str, Any], target: str) -> Message:
    """The ASGI scope of a WebSocket, made from the scope of its handshake, an HTTP request for `target`."""
    path, _, query = target.partition("?")
    asked = [value.decode("latin-1") for name, value in http["headers"] if name == b"sec-websocket-protocol"]
    return {
        **http,
        "type": "websocket",
        "asgi": {**http["asgi"], "spec_version": SPEC_VERSION},
        "scheme": "wss" if http["scheme"] == "https" else "ws",
        "path": http["root_path"] + unquote(path),
        "raw_path": (http["root_path"] + path).encode("ascii"),
        "query_string": query.encode("ascii"),
        "subprotocols": [name.strip() for names in asked for name in names.split(",")],
        "extensions": {"websocket.http.response": {}},
    }
