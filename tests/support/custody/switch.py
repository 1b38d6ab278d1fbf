"""A switch before a server: on, off (nothing listens), or deaf (connections open, and nothing comes back)."""

import contextlib
import select
import socket
import threading
from typing import Self

CHUNK = 65_536


class Switch:
    """Listens on a port of its own and passes everything on to `target`, from threads, so that any program can be behind it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[socket.socket] = set()
        self._is_deaf = False
        self._listener: socket.socket | None = None
        self.port = 0
        self.heard = threading.Event()
        """Somebody has asked since it was made deaf."""
        self.on()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.off()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self) -> None:
        self._is_deaf = False
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def off(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for one in list(self._open):
            _end(one)

    def deafen(self) -> None:
        self.heard.clear()
        self.on()
        self._is_deaf = True

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(caller,), daemon=True).start()

    def _join(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            self._open.add(caller)
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                self._open.add(server)
                self._pass_on(caller, server)
                self._open.discard(server)
        self._open.discard(caller)

    def _pass_on(self, caller: socket.socket, server: socket.socket) -> None:
        ways = {caller: server, server: caller}
        while True:
            for one in select.select(list(ways), [], [])[0]:
                data = one.recv(CHUNK)
                if self._is_deaf and one is caller:
                    self.heard.set()
                    if not data:
                        return
                    continue
                if not data:
                    return
                ways[one].sendall(data)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
