"""How the service speaks HTTP to the outside."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from strongroom.core.outbound import OPTIONS, open_session
from support.serving import serving

Message = dict[str, Any]


class Recorder:
    """Notes the headers of each request, and sets a cookie."""

    def __init__(self) -> None:
        self.headers: list[dict[bytes, bytes]] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(
        self, scope: Message, _receive: object, send: Callable[[Message], Awaitable[None]]
    ) -> None:
        self.headers.append(dict(scope["headers"]))
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"a=b; Path=/")]}
        )
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await self.may_end.wait()
        await send({"type": "http.response.body", "body": b""})


async def test_a_session_sends_its_headers_and_keeps_no_cookie() -> None:
    recorder = Recorder()
    async with serving(recorder) as url, open_session({"Authorization": "Bearer x"}) as session:
        for _ in range(2):
            async with session.get(url) as response:
                assert response.status == 200
    assert [headers[b"authorization"] for headers in recorder.headers] == [b"Bearer x"] * 2
    assert all(b"cookie" not in headers for headers in recorder.headers)


async def test_the_environment_s_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    recorder = Recorder()
    async with serving(recorder) as url, open_session({}) as session, session.get(url) as response:
        assert response.status == 200
    assert len(recorder.headers) == 1


async def test_a_dead_peer_is_noticed() -> None:
    recorder = Recorder()
    recorder.may_end.clear()
    async with serving(recorder) as url, open_session({}) as session, session.get(url) as response:
        assert response.connection is not None
        assert response.connection.transport is not None
        opened: socket.socket = response.connection.transport.get_extra_info("socket")
        expected = [value for _, _, value in OPTIONS]
        assert [opened.getsockopt(level, option) for level, option, _ in OPTIONS] == expected
        recorder.may_end.set()
        assert await response.read() == b""
