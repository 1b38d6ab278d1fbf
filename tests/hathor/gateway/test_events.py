"""What the sync takes from a node: pages that are large, frames that nobody asked for, no redirect."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from strongroom.core.errors import Unavailable
from strongroom.hathor.gateway.events import MAX_BYTES_AHEAD, HttpEventNode
from strongroom_sandbox.hathor.generate import Generator
from support.hathor.running import serving
from support.hostile_peer import hostile_peer
from support.serving import serving as serving_http

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
PATIENCE_S = 90.0


@pytest.fixture
async def event_node() -> AsyncIterator[Callable[[str], HttpEventNode]]:
    nodes: list[HttpEventNode] = []

    def open_node(url: str) -> HttpEventNode:
        nodes.append(HttpEventNode(url))
        return nodes[-1]

    yield open_node
    for node in nodes:
        await node.close()


async def test_a_page_that_is_too_large_is_asked_for_in_smaller_ones(
    event_node: Callable[[str], HttpEventNode],
) -> None:
    """Each event has 200 KB, which a node may send: 1,000 of them are more than one answer may have."""
    journal = Generator(1).run(60)
    asked: list[int] = []

    async def node(scope: Message, _receive: object, send: Send) -> None:
        size = int(scope["query_string"].decode().split("size=")[1].split("&")[0])
        asked.append(size)
        page = json.loads(journal.page(-1, min(size, 60)))
        padding = "x" * 200_000 if size < 1000 else "x" * 400_000
        for event in page["events"]:
            event["padding"] = padding
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(page).encode(), "more_body": False})

    async with serving_http(node) as url:
        page = await event_node(url).page(-1)
    assert asked == [1000, 50]
    assert [event.id for event in page.events] == list(range(50))


async def test_frames_that_nobody_takes_stay_with_the_node(
    event_node: Callable[[str], HttpEventNode],
) -> None:
    frame = "x" * 2**20
    sent = 0
    full = asyncio.Event()

    async def node(_scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        nonlocal sent
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(1000):
            try:
                async with asyncio.timeout(1.0):
                    await send({"type": "websocket.send", "text": frame})
            except TimeoutError:
                if sent < MAX_BYTES_AHEAD:
                    continue  # the machine is slow
                break
            sent += len(frame)
        full.set()

    async with serving(node) as listener, event_node(listener.url).stream():
        await asyncio.wait_for(full.wait(), PATIENCE_S)
    assert MAX_BYTES_AHEAD <= sent < 2 * MAX_BYTES_AHEAD


async def test_no_redirect_is_followed(event_node: Callable[[str], HttpEventNode]) -> None:
    async with hostile_peer(lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]) as elsewhere:
        head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n" % elsewhere.url.encode()
        async with hostile_peer(lambda: [head]) as peer:
            node = event_node(peer.url)
            with pytest.raises(Unavailable):
                await node.version()
            with pytest.raises(Unavailable):
                async with node.stream():
                    pass
        assert elsewhere.requests == []
