"""How a backend is asked over HTTP. The client itself is given by those who make the backend."""

from typing import Protocol


class Reply(Protocol):
    """A complete answer."""

    @property
    def status(self) -> int: ...
    @property
    def content(self) -> bytes: ...


class NoReply(Exception):
    """There is no usable answer. The message names the kind of failure, but no address."""


class Asker(Protocol):
    """Sends one request to the backend, with limits on the time and size of its answer."""

    async def ask(self, url: str, *, data: bytes, headers: dict[str, str]) -> Reply:
        """POSTs; raises NoReply."""

    async def close(self) -> None: ...
