"""A private Redis server."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from support.ports import free_port
from support.processes import Process
from support.programs import program


class Redis:
    """A running server. `stop` and `start` it to test what its absence does."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        settings = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", self._folder, "--save", ""]
        self._process = Process([program("redis-server"), *settings])
        try:
            self._process.wait_for("Ready to accept connections")
        except BaseException:
            self._process.kill()
            raise

    def stop(self) -> None:
        self._process.kill()

    def pause(self) -> None:
        """Its connections stay open, and nothing comes over them."""
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()


@contextmanager
def running_redis() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = Redis(folder)
        try:
            yield server
        finally:
            server.stop()
