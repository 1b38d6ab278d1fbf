"""Flow control of a connection: when it reads, and whether its peer reads."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl

LEAST_READ = 64 * 1024
"""A peer must read at least this many bytes of its answers in the given time."""


class HeldFlow(FlowControl):
    """Reads only while both the application and the connection allow it."""

    def __init__(self, transport: asyncio.Transport, resumed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._socket = transport
        self._resumed = resumed
        self._is_held = False

    def pause_reading(self) -> None:
        """Stops parsing, because the application has enough for now."""
        self.read_paused = True

    def resume_reading(self) -> None:
        """Continues parsing, because the application waits for more."""
        self.read_paused = False
        self._resumed()

    def hold(self, held: bool) -> None:
        """Stops or continues reading from the socket itself."""
        if held is not self._is_held and not self._socket.is_closing():
            self._is_held = held
            if held:
                self._socket.pause_reading()
            else:
                self._socket.resume_reading()


def end_writing(transport: asyncio.Transport) -> None:
    """Sends what is written, and that nothing follows.

    TLS has no end of one direction alone: there the transport closes, and waits a while for the peer to close, too.
    """
    if transport.get_extra_info("ssl_object") is not None:
        transport.close()
        return
    try:
        transport.write_eof()
    except OSError:  # the peer reset the connection, and the event loop has not seen it yet
        transport.abort()


class Inbox:
    """Received bytes that are not parsed yet."""

    __slots__ = ("_at", "_data")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def add(self, data: bytes) -> None:
        self._data = self._data[self._at :] + data if self else data
        self._at = 0

    def put_back(self, data: bytes) -> None:
        self._data = data + self._data[self._at :]
        self._at = 0

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        self._at += size
        if not self:
            self.clear()
        return piece

    def take_all(self) -> bytes:
        return self.take(len(self._data))

    def clear(self) -> None:
        self._data = b""
        self._at = 0


class ReaderWatch:
    """Ends a connection whose peer reads almost nothing of its answers."""

    def __init__(self, transport: asyncio.Transport, seconds: float, given_up: Callable[[], None]) -> None:
        self._transport = transport
        self._seconds = seconds
        self._given_up = given_up
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Starts the watch, because the transport's buffer is full."""
        unread = self._transport.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._check, unread)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, before: int) -> None:
        if before - self._transport.get_write_buffer_size() >= LEAST_READ:
            self.start()
            return
        self._given_up()
        self._transport.abort()
