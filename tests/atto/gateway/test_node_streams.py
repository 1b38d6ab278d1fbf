"""What a node's streams may say that is no node's."""

from collections.abc import AsyncIterator, Iterator
from itertools import chain, repeat
from typing import Any

import pytest
from structlog.testing import capture_logs

from strongroom.atto.gateway import InvalidNodeResponse
from strongroom.atto.gateway.node import MAX_UNREADABLE, HttpNode
from strongroom.atto.protocol import Address
from strongroom.core.clock import SystemClock
from support.atto_service import NOBODY
from support.hostile_peer import hostile_peer

pytestmark = pytest.mark.anyio


def endless(line: bytes) -> Iterator[bytes]:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return chain([head], repeat(b"%x\r\n%s\r\n" % (len(line), line)))


async def consume(items: AsyncIterator[object]) -> None:
    async for _ in items:
        pytest.fail("something was readable")


@pytest.mark.parametrize("stream", ["states", "receivables"])
@pytest.mark.parametrize("line", [b"{}\n" * 1000, b"\xff\n", b"[" * 5000 + b"\n"])
async def test_a_stream_of_nothing_readable_ends_without_filling_the_log(stream: str, line: bytes) -> None:
    async with hostile_peer(lambda: endless(line)) as peer:
        node = HttpNode(peer.url, SystemClock())
        items: Any = (
            node.states([Address.parse(NOBODY)])
            if stream == "states"
            else node.receivables([Address.parse(NOBODY)], 1)
        )
        with capture_logs() as logs, pytest.raises(InvalidNodeResponse, match="not a node's"):
            await consume(items)
        await node.close()
    assert [entry["skipped"] for entry in logs] == [1, 10, MAX_UNREADABLE]
