"""Every answer of a listener has its request's id, whoever answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from litestar import Litestar, get

from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.http.requests.named import current_id
from support.clock import SeededEntropy


@get("/id", sync_to_thread=False)
def read_id() -> str:
    return current_id()


@get("/broken", sync_to_thread=False)
def break_down() -> str:
    raise RuntimeError("a defect")


async def echoing(scope: Any, receive: Any, send: Any) -> None:
    """A WebSocket that refuses those who ask for it."""
    await receive()
    if scope["path"] == "/refused":
        await send({"type": "websocket.http.response.start", "status": 503, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no"})
        return
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    await send({"type": "websocket.send", "text": current_id()})


@asynccontextmanager
async def listening(application: Any) -> AsyncIterator[str]:
    surface = Surface(name="test", application=application, host="127.0.0.1", port=0, access=Access.REACH)
    listener = Listener(surface, entropy=SeededEntropy())
    serving = asyncio.create_task(listener.serve())
    await listener.started()
    try:
        yield listener.url
    finally:
        listener.stop()
        await serving


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/id", {}, 200),
        ("/nowhere", {}, 404),
        ("/broken", {}, 500),
        ("/id", {"Origin": "https://evil.example"}, 403),
        ("/id", {"Host": "evil.example"}, 403),
    ],
)
async def test_every_answer_has_the_id(path: str, headers: dict[str, str], status: int) -> None:
    application = Litestar([read_id, break_down], openapi_config=None, logging_config=None)
    async with listening(application) as url, aiohttp.ClientSession() as session:
        asked = {"X-Request-Id": "mine", **headers}
        async with session.get(url + path, headers=asked) as response:
            assert (response.status, response.headers["X-Request-Id"]) == (status, "mine")
        async with session.get(url + path, headers=headers) as response:
            made = response.headers["X-Request-Id"]
            assert response.headers.getall("X-Request-Id") == [made]
            assert len(made) == 32
            if status == 200:
                assert await response.text() == made


async def test_a_websocket_has_the_id_of_its_handshake() -> None:
    async with listening(echoing) as url, aiohttp.ClientSession() as session:
        asked = {"X-Request-Id": "mine"}
        async with session.ws_connect(url + "/", headers=asked) as socket:
            assert socket._response.headers["X-Request-Id"] == "mine"
            assert await socket.receive_str() == "mine"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url + "/refused", headers=asked)
        assert refused.value.headers is not None
        assert refused.value.headers["X-Request-Id"] == "mine"
