"""The ends of connections."""

import asyncio
import socket
import struct

import pytest

from strongroom.core.http.connections.flow import end_writing

pytestmark = pytest.mark.anyio
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection."""


async def test_a_peer_that_reset_the_connection_is_no_failure() -> None:
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[asyncio.Transport] = loop.create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            accepted.set_result(transport)

    server = await loop.create_server(Accepting, "127.0.0.1", 0)
    async with server:
        with socket.socket() as client:
            await loop.run_in_executor(None, client.connect, server.sockets[0].getsockname())
            transport = await accepted
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        end_writing(transport)  # before the event loop sees that the client has gone
        assert transport.is_closing()
