"""WebSocket connections that are told without waiting.

ASGI's `send` waits for a slow reader, so telling thousands would take a task and a queue for each. Here the
transport's buffer is the queue: a frame is made once, `put` to each connection, and its owner ends a connection whose
buffer grows.

Hazard: this leans on the inside of uvicorn's protocol, whose version the requirements pin.
"""

from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode

from strongroom.core.http.connections.admission import Admission, Gate, Reason
from strongroom.core.http.connections.flow import Inbox
from strongroom.core.http.connections.refusals import Rules, answer_of

PIECE = 4096
EXTENSION = "strongroom.socket"
UNREAD_PONGS = 64 * 1024
LINGER_S = 5.0
"""How long a connection that was told to end may take to read what was sent to it."""


def text_frame(text: bytes) -> bytes:
    """One message as a server sends it: whole, not masked, not compressed."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


class Socket(WebSocketsSansIOProtocol):
    """One connection. `socket_of(scope)` gives it to the application."""

    def __init__(self, *, gate: Gate, rules: Rules, admission: Admission | None, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._gate = gate
        self._rules = rules
        self._admission = admission
        self._waiting = Inbox()
        self._is_deaf = False
        self._is_feeding = False
        self._a_minute = rules.messages_a_minute or gate.limits.messages_a_minute
        self._frames_left = float(self._a_minute)
        self._counted_s = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_deaf = True
        self._waiting.clear()
        if self._admission is not None:
            self._admission.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses in small pieces, and no further than the application follows or the peer may ask."""
        if not self._is_deaf:
            self._waiting.add(data)
            self._feed()

    def _feed(self) -> None:
        if self._is_feeding:
            return
        self._is_feeding = True
        try:
            while self._waiting and not self.read_paused and not self._is_deaf:
                super().data_received(self._waiting.take(PIECE))
                if self.conn.handshake_exc is not None and not self.handshake_initiated:
                    self._refuse_handshake()
        finally:
            self._is_feeding = False

    def _refuse_handshake(self) -> None:
        """Refuses what HTTP allows and WebSocket does not, for example a header line above 8 KiB."""
        self._be_deaf()
        answer = b"".join(self.conn.data_to_send()) or answer_of(Reason.MALFORMED, self._rules)
        self._gate.note(self._rules.surface, Reason.MALFORMED, self.client[0] if self.client else "unknown")
        self.transport.write(answer)
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def handle_events(self) -> None:
        """Counts frames of every kind: a ping is answered, and costs as much as a message."""
        if self.handshake_initiated and not self.close_sent and not self._may_say(len(self.conn.events)):
            self._gate.note(
                self._rules.surface, Reason.MESSAGES, self.client[0] if self.client else "unknown"
            )
            self.conn.events_received()
            self._be_deaf()
            if self.is_open:
                self.end(CloseCode.POLICY_VIOLATION, "Too many messages")
                self.transport.write_eof()  # its close frame would not be heard
            else:
                self.transport.abort()
            return
        super().handle_events()

    def _may_say(self, frames: int) -> bool:
        now_s = self.loop.time()
        earned = (now_s - self._counted_s) * self._a_minute / 60
        self._frames_left = min(self._a_minute, self._frames_left + earned) - frames
        self._counted_s = now_s
        return self._frames_left >= 0

    def _be_deaf(self) -> None:
        """Throws away what still comes."""
        self._is_deaf = True
        self._waiting.clear()

    def send_receive_event_to_app(self) -> None:
        """Ends the connection (1007) where a text frame is no UTF-8, without a traceback for each such frame."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self._gate.note(
                    self._rules.surface, Reason.MALFORMED, self.client[0] if self.client else "unknown"
                )
                self.frames = []
                self.conn.send_close(CloseCode.INVALID_DATA)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    async def receive(self) -> Any:
        message = await super().receive()
        self._feed()
        return message

    @property
    def is_open(self) -> bool:
        return self.handshake_complete and not (
            self.close_sent or self.disconnected or self.transport.is_closing()
        )

    @property
    def unread_bytes(self) -> int:
        """What the kernel has not taken yet."""
        return self.transport.get_write_buffer_size()

    def put(self, frame: bytes) -> None:
        """Sends what `text_frame` made; never waits. Nothing happens when the connection is over."""
        if self.is_open:
            self.transport.write(frame)

    def end(self, code: int, reason: str) -> None:
        """Closes with a code that the peer gets after all that was sent before; cuts it off if it does not read."""
        if not self.is_open:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_timer = self.loop.call_later(LINGER_S, self.transport.abort)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    async def run_asgi(self) -> None:
        cast("dict[str, Any]", self.scope["extensions"])[EXTENSION] = self
        await super().run_asgi()

    def handle_ping(self) -> None:
        """Answers a ping. A peer that reads no answers is cut off before they fill the memory."""
        super().handle_ping()
        if self.unread_bytes > UNREAD_PONGS:
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """Aborts the connection: a dead peer reads nothing, and what waits for it would keep the connection for ever."""
        super().keepalive_timeout()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def shutdown(self) -> None:
        if self._is_deaf:
            self.transport.close()
        else:
            super().shutdown()
        self.loop.call_later(LINGER_S, self.transport.abort)


def socket_of(scope: Any) -> Socket:
    socket: Socket = scope["extensions"][EXTENSION]
    return socket
