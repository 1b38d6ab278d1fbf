"""A peer over TCP that answers every request with the test's bytes, once or again and again."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

Answer = Callable[[], Iterable[bytes]]


class HostilePeer:
    """`requests`: the heads it got. `sent`: bytes that went out, those in the kernel's buffers too."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.url = ""
        self.requests: list[bytes] = []
        self.sent = 0
        self.hung_up = asyncio.Event()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                for piece in self.answer():
                    writer.write(piece)
                    self.sent += len(piece)
                    await writer.drain()
                    await asyncio.sleep(0)  # `drain` alone does not let others run
        self.hung_up.set()
        writer.close()


@asynccontextmanager
async def hostile_peer(answer: Answer, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[HostilePeer]:
    peer = HostilePeer(answer)
    server = await asyncio.start_server(peer.talk, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()
    peer.url = f"{'http' if tls is None else 'https'}://{host}:{port}"
    try:
        yield peer
    finally:
        server.close()
