"""WebSocket connections that are told without waiting.

ASGI's `send` waits for a slow reader, so telling thousands would take a task and a queue for each. Here the
transport's buffer is the queue: a frame is made once, `put` to each connection, and its owner ends a connection whose
buffer grows.

Hazard: this leans on the inside of uvicorn's protocol, whose version the requirements pin.
"""

from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode

EXTENSION = "strongroom.socket"
UNREAD_PONGS = 64 * 1024
LINGER_S = 5.0
"""How long a connection that was told to end may take to read what was sent to it."""


def text_frame(text: bytes) -> bytes:
    """One message as a server sends it: whole, not masked, not compressed."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


class Socket(WebSocketsSansIOProtocol):
    """One connection. `socket_of(scope)` gives it to the application."""

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
        """Answers; but a peer that only asks, and reads no answer, is cut off before its answers fill the memory."""
        super().handle_ping()
        if self.unread_bytes > UNREAD_PONGS:
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """A dead peer reads nothing: what waits for it would keep the connection for ever."""
        super().keepalive_timeout()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(LINGER_S, self.transport.abort)


def socket_of(scope: Any) -> Socket:
    socket: Socket = scope["extensions"][EXTENSION]
    return socket
