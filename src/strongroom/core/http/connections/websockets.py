"""WebSocket connections to which one event can be sent without waiting.

ASGI's `send` waits for a slow reader, so sending one event to thousands of clients would need a task and a queue for each. Here
the transport's buffer is the queue: the sender makes a frame once, passes it to `put` of each connection, and closes connections
whose buffer grows.

The Sans-I/O layer of the library `websockets` implements the protocol: it takes bytes and returns events, reads the handshake, and
answers pings and closes. It does not join frames. This module follows the library's guide for integrations; it moves the bytes and
limits what a peer may cost.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from http.client import responses
from typing import Any, cast

from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from strongroom.core.http.connections.admission import Admission, Gate, Reason
from strongroom.core.http.connections.asgi_socket import AsgiSocket, socket_scope
from strongroom.core.http.connections.flow import Inbox, end_writing
from strongroom.core.http.connections.frame_rate import FrameRate
from strongroom.core.http.connections.keepalive import Keepalive
from strongroom.core.http.connections.refusals import Rules, answer_of
from strongroom.core.http.connections.shown import EXTENSION, peer_certificate

PIECE = 4096
UNREAD_PONGS = 64 * 1024
LINGER_S = 5.0
"""After a close was sent, the peer has this long to read what was sent before it."""
WINDOW_BITS = 12
COMPRESSION = ServerPerMessageDeflateFactory(
    server_max_window_bits=WINDOW_BITS, client_max_window_bits=WINDOW_BITS, compress_settings={"memLevel": 5}
)
"""Takes 32 KB for each connection. A larger window would take ten times as much and gain little on short messages."""


def text_frame(text: bytes) -> bytes:
    """The frame of one text message from the server: complete, not masked, not compressed."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The request that became a WebSocket, and the application that serves it."""

    head: bytes
    scope: Mapping[str, Any]
    """Its ASGI scope as an HTTP request."""
    application: Any


class Socket(asyncio.Protocol):
    """One WebSocket connection. An application gets it with `socket_of(scope)`."""

    transport: asyncio.Transport

    def __init__(
        self,
        handshake: Handshake,
        *,
        gate: Gate,
        rules: Rules,
        admission: Admission | None,
        state: ServerState,
    ) -> None:
        self._handshake: Handshake | None = handshake
        """None once it is parsed: it is the larger part of what an idle connection would hold."""
        self._gate = gate
        self._rules = rules
        self._admission = admission
        self._state = state
        self._peer: str = (handshake.scope["client"] or ("unknown",))[0]
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(
            extensions=[COMPRESSION] if rules.compresses_frames else None, max_size=rules.max_frame
        )
        self._application = AsgiSocket(self)
        self._keepalive = Keepalive(rules.ping_s, self._ping, self._gone)
        self._rate = FrameRate(rules.messages_a_minute or gate.limits.messages_a_minute, self._loop.time)
        self._pending: Response | None = None
        """The answer that accepts the handshake. It waits for the application's decision; until then nothing is read."""
        self._is_text = False
        self._parts: list[bytes] = []
        """The frames of the message that is arriving."""
        self._waiting = Inbox()
        self._is_feeding = self._is_read_paused = False
        self._is_deaf = False
        """Received bytes are ignored from now on."""
        self._is_ended = False
        """Our half of the connection is closed."""
        self.is_lost = False

    # Calls by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn only counts and shuts down what is in it
        if self._handshake is not None:
            self.data_received(self._handshake.head)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.is_lost = True
        self._keepalive.stop()
        self._be_deaf()
        self._state.connections.discard(self)
        if self._admission is not None:
            self._admission.end()
        code = CloseCode.NO_STATUS_RCVD if self.is_answered else CloseCode.ABNORMAL_CLOSURE
        self._application.ended(code)
        self._application.writable.set()  # wakes a waiting `send`, which then finds the connection closed

    def data_received(self, data: bytes) -> None:
        """Parses in small pieces, and stops when the application has not taken a message or the peer exceeds its limits."""
        if not self._is_deaf:
            self._waiting.add(data)
            self._feed()

    def pause_writing(self) -> None:
        self._application.writable.clear()

    def resume_writing(self) -> None:
        self._application.writable.set()

    # Calls by the server

    def shutdown(self) -> None:
        """Closes the connection, because the service stops."""
        if self.is_open:
            self._application.ended(CloseCode.SERVICE_RESTART)
            self._protocol.fail(CloseCode.SERVICE_RESTART)
        elif not self.is_answered:
            self.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, [], b"Internal Server Error")
        self._flush()
        self._finish()

    # Calls by code that sends one event to many connections

    @property
    def is_open(self) -> bool:
        return self._protocol.state is State.OPEN and not self._is_ended and not self.transport.is_closing()

    @property
    def unread_bytes(self) -> int:
        """The number of written bytes that the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    def put(self, frame: bytes) -> None:
        """Sends a frame that `text_frame` made, without waiting; does nothing if the connection is closed."""
        if self.is_open:
            self.transport.write(frame)

    def end(self, code: int, reason: str) -> None:
        """Closes with a code, which the peer reads after everything sent before; a peer that does not read is disconnected."""
        if not self.is_open:
            return
        self._protocol.send_close(code, reason)
        self._application.ended(code, reason)
        self._flush()
        self._keepalive.stop()
        self._linger()
        self.resume()  # reads on, for the peer's own close

    def abort(self) -> None:
        """Closes the connection at once; data that is not sent yet is lost."""
        self.transport.abort()

    # Calls by the application

    @property
    def is_answered(self) -> bool:
        return self._protocol.state is not State.CONNECTING or self._is_ended

    def accept(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> None:
        if self._pending is None or self.transport.is_closing():
            return
        response, self._pending = self._pending, None
        if subprotocol:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        response.headers.update(headers)
        self._protocol.send_response(response)
        self._flush()
        self._keepalive.start()
        self.resume()

    def refuse(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answers the handshake with an HTTP response."""
        if self.transport.is_closing() or self._is_ended:
            return
        answer = Headers(headers)
        answer.setdefault("Date", formatdate(usegmt=True))
        answer.setdefault("Connection", "close")
        answer.setdefault("Content-Length", str(len(body)))
        answer.setdefault("Content-Type", "text/plain; charset=utf-8")
        self._protocol.send_response(Response(status, responses.get(status, ""), answer, body))
        self._application.ended(CloseCode.ABNORMAL_CLOSURE)
        self._flush()

    def write(self, data: bytes, *, is_text: bool) -> None:
        """Raises: InvalidState: the connection is not open."""
        if is_text:
            self._protocol.send_text(data)
        else:
            self._protocol.send_binary(data)
        self._flush()

    @property
    def certificate(self) -> bytes | None:
        return peer_certificate(self.transport)

    def resume(self) -> None:
        if self._pending is not None and not self._is_ended:
            return
        if self._is_read_paused:
            self._is_read_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()
        self._feed()

    # The work

    def _feed(self) -> None:
        if self._is_feeding:
            return
        self._is_feeding = True
        try:
            while self._waiting and not self._is_read_paused and not self._is_deaf:
                self._parse(self._waiting.take(PIECE))
        finally:
            self._is_feeding = False

    def _parse(self, piece: bytes) -> None:
        """Handles the events of some bytes. A peer that sends pings and does not read the pongs is disconnected."""
        self._protocol.receive_data(piece)
        events = self._protocol.events_received()
        if self.is_answered and not self._rate.allows(len(events)):
            self._refuse_flood()
            return
        for event in events:
            if isinstance(event, Request):
                self._shake_hands(event)
            elif isinstance(event, Frame):
                self._take(event)
        if self._protocol.handshake_exc is not None and self._handshake is not None:
            self._refuse_handshake()
        self._flush()
        if self.unread_bytes > UNREAD_PONGS and any(_is_ping(event) for event in events):
            self.transport.abort()

    def _shake_hands(self, request: Request) -> None:
        """Checks the handshake and starts the application, which accepts or refuses it."""
        handshake, self._handshake = self._handshake, None
        response = self._protocol.accept(request)
        if handshake is None or response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._protocol.send_response(response)
            return
        self._pending = response
        self._pause()
        scope = socket_scope(handshake.scope, request.path)
        scope["extensions"][EXTENSION] = self
        task = self._loop.create_task(self._application.run(handshake.application, scope))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._keepalive.answered(bytes(frame.data))
        elif frame.opcode is Opcode.CLOSE:
            close = Close.parse(frame.data)
            self._application.ended(close.code, close.reason)
        elif frame.opcode is not Opcode.PING:  # the library answers pings
            if frame.opcode is not Opcode.CONT:
                self._is_text, self._parts = frame.opcode is Opcode.TEXT, []
            self._parts.append(bytes(frame.data))
            if frame.fin:
                self._deliver(b"".join(self._parts))

    def _deliver(self, data: bytes) -> None:
        """Gives a complete message to the application, and pauses reading until the application has taken it."""
        self._parts = []
        if self._is_text:
            try:
                self._application.arrived("text", data.decode())
            except UnicodeDecodeError:
                self._gate.note(self._rules.surface, Reason.MALFORMED, self._peer)
                self._application.ended(CloseCode.INVALID_DATA)
                self._protocol.fail(CloseCode.INVALID_DATA)
                return
        else:
            self._application.arrived("bytes", data)
        self._pause()

    def _pause(self) -> None:
        if not self._is_read_paused and not self.transport.is_closing():
            self._is_read_paused = True
            self.transport.pause_reading()

    def _refuse_handshake(self) -> None:
        """Refuses a handshake that is valid HTTP but not valid for a WebSocket, for example with a header line above 8 KiB."""
        self._gate.note(self._rules.surface, Reason.MALFORMED, self._peer)
        answer = b"".join(self._protocol.data_to_send()) or answer_of(Reason.MALFORMED, self._rules)
        self.transport.write(answer)
        self._end_our_half()

    def _refuse_flood(self) -> None:
        """Counts frames of every kind: a ping is answered, and costs as much as a message."""
        self._gate.note(self._rules.surface, Reason.MESSAGES, self._peer)
        if self.is_open:
            self._application.ended(CloseCode.POLICY_VIOLATION, "Too many messages")
            self._protocol.fail(CloseCode.POLICY_VIOLATION, "Too many messages")
            self._flush()
        else:
            self._be_deaf()
            self.transport.abort()

    def _flush(self) -> None:
        """Writes what the protocol has to say."""
        if self._is_ended or self.transport.is_closing():
            return
        pieces = self._protocol.data_to_send()
        if not pieces:
            return
        *said, last = pieces
        if data := b"".join(said) + last:
            self.transport.write(data)
        if not last:  # SEND_EOF: the protocol has said its last word
            self._end_our_half()

    def _end_our_half(self) -> None:
        """The peer may read what is on the way, and its end of the connection is awaited for a while.

        Closing at once would lose the close frame where bytes of the peer are unread.
        """
        self._is_ended = True
        self._be_deaf()
        self._keepalive.stop()
        self.resume()
        end_writing(self.transport)
        self._linger()

    def _finish(self) -> None:
        self.transport.close()
        self._linger()

    def _linger(self) -> None:
        self._loop.call_later(LINGER_S, self.transport.abort)

    def _be_deaf(self) -> None:
        self._is_deaf = True
        self._waiting.clear()

    def _ping(self, payload: bytes) -> None:
        if self.is_open:
            self._protocol.send_ping(payload)
            self._flush()

    def _gone(self) -> None:
        if self.is_open:
            self._application.ended(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            self._protocol.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            self._flush()


def _is_ping(event: object) -> bool:
    return isinstance(event, Frame) and event.opcode is Opcode.PING


def socket_of(scope: Any) -> Socket:
    socket: Socket = scope["extensions"][EXTENSION]
    return socket
