"""A TCP cable between a service and its node, that a test may cut at the moment that matters."""

import asyncio
import contextlib
import enum
from typing import Self

CHUNK = 65_536


class Fault(enum.Enum):
    """What happens to one request that names the cable's word."""

    CUT = enum.auto()
    """It arrives; the connection breaks before its answer does."""
    LATE = enum.auto()
    """It arrives; the answer waits for `release`."""
    SWALLOWED = enum.auto()
    """It does not arrive, and the connection stays open."""


class Cable:
    """Listens on `port` and passes everything on to `target`. Faults are used up one by one."""

    def __init__(self, target: int, word: bytes) -> None:
        self._target = target
        self._word = word
        self._faults: list[Fault] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._release = asyncio.Event()
        self._met = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pull()

    async def plug(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def pull(self) -> None:
        """Cuts the cable: no connection works, and no new one opens."""
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0)  # a connection just accepted gets its task
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def expect(self, *faults: Fault) -> None:
        """The next requests with the word go wrong so."""
        self._faults = list(faults)
        self._met.clear()
        self._release.clear()

    def release(self) -> None:
        self._release.set()

    async def met(self) -> None:
        """Returns when the last fault was used up."""
        await self._met.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError):
                await self._join(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
        faults: list[Fault] = []
        ways = [
            asyncio.ensure_future(self._upstream(reader, target_writer, faults)),
            asyncio.ensure_future(self._downstream(target_reader, writer, faults)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            target_writer.close()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _upstream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: list[Fault]
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                if self._word in chunk and self._faults:
                    faults.append(self._faults.pop(0))
                    if not self._faults:
                        self._met.set()
                if Fault.SWALLOWED in faults:
                    continue
                writer.write(chunk)
                await writer.drain()

    async def _downstream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: list[Fault]
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                if Fault.CUT in faults:
                    return
                if Fault.LATE in faults:
                    await self._release.wait()
                writer.write(chunk)
                await writer.drain()
