"""A surface on a port."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from strongroom.core.errors import Unavailable
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface, url_of
from support.ports import free_port
from support.running import PATIENCE_S

Message = dict[str, Any]


class Echo:
    """An ASGI application that answers with the path, when it may."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(
        self, scope: Message, _receive: object, send: Callable[[Message], Awaitable[None]]
    ) -> None:
        self.asked.set()
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})


def listen(application: object, port: int = 0) -> Listener:
    return Listener(
        Surface(name="test", application=application, host="127.0.0.1", port=port, access=Access.PUBLIC)
    )


async def test_a_surface_is_served_until_it_is_stopped() -> None:
    listener = listen(Echo())
    serving = asyncio.create_task(listener.serve())
    await listener.started()
    assert listener.url == f"http://127.0.0.1:{listener.port}"
    async with aiohttp.ClientSession() as session, session.get(f"{listener.url}/here") as response:
        assert response.status == 200
        assert await response.text() == "/here"
        assert "server" not in response.headers
    listener.stop()
    await asyncio.wait_for(serving, PATIENCE_S)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port))


async def refused(port: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                return
            await asyncio.sleep(0.01)


async def test_a_request_under_way_is_answered_before_the_end() -> None:
    application = Echo()
    application.may_answer.clear()
    listener = listen(application)
    serving = asyncio.create_task(listener.serve())
    await listener.started()

    async def ask() -> str:
        async with aiohttp.ClientSession() as session, session.get(f"{listener.url}/late") as response:
            return await response.text()

    asking = asyncio.create_task(ask())
    await application.asked.wait()
    listener.stop()
    await refused(listener.port)
    application.may_answer.set()
    assert await asyncio.wait_for(asking, PATIENCE_S) == "/late"
    await asyncio.wait_for(serving, PATIENCE_S)


async def test_the_process_keeps_its_signals() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    listener = listen(Echo())
    serving = asyncio.create_task(listener.serve())
    await listener.started()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    listener.stop()
    await asyncio.wait_for(serving, PATIENCE_S)


async def test_a_busy_port_is_reported_before_anything_is_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            Unavailable,
            match=f"test cannot listen on 127.0.0.1:{port}: Address already in use. Set another port with TEST_PORT",
        ):
            listen(Echo(), port)


async def test_a_fixed_port_is_the_one_that_is_bound() -> None:
    port = free_port()
    listener = listen(Echo(), port)
    assert listener.port == port
    serving = asyncio.create_task(listener.serve())
    await listener.started()
    listener.stop()
    await asyncio.wait_for(serving, PATIENCE_S)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - compared, not bound
        ("::", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("wallet.example", "http://wallet.example:80"),
    ],
)
def test_the_url_is_one_that_can_be_opened(host: str, url: str) -> None:
    assert url_of(host, 80) == url


async def test_a_client_cannot_forge_its_address() -> None:
    async def tell(scope: Message, _receive: object, send: Callable[[Message], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["client"][0].encode()})

    listener = listen(tell)
    serving = asyncio.create_task(listener.serve())
    await listener.started()
    forged = {"X-Forwarded-For": "203.0.113.9"}
    async with aiohttp.ClientSession(headers=forged) as session, session.get(listener.url) as response:
        assert await response.text() == "127.0.0.1"
    listener.stop()
    await serving
