"""The parts of the client for peers: how much of an answer is kept, what its errors say, and how names are resolved."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from strongroom.core.http.outbound.client import ExcessiveAnswer, HttpClient, StreamRefused
from strongroom.core.http.outbound.connections import CONNECTIONS, CappedConnector
from strongroom.core.http.outbound.resolver import ThreadResolver
from support.hostile_peer import hostile_peer
from support.running import PATIENCE_S

pytestmark = pytest.mark.anyio
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
Found = Sequence[tuple[Any, ...]]


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


def answering(content: bytes) -> Any:
    return lambda: [OK % (len(content), content)]


async def test_an_answer_may_be_as_long_as_the_limit_and_no_longer(client: HttpClient) -> None:
    async with hostile_peer(answering(b"x" * 100)) as peer:
        assert (await client.ask("GET", peer.url, max_bytes=100)).content == b"x" * 100
        with pytest.raises(ExcessiveAnswer, match="the content has no end"):
            await client.ask("GET", peer.url, max_bytes=99)


@pytest.mark.parametrize(("most", "kept"), [(99, 99), (100, 100), (101, 100)])
async def test_a_longer_answer_is_cut_where_that_is_asked_for(
    client: HttpClient, most: int, kept: int
) -> None:
    async with hostile_peer(answering(b"x" * 100)) as peer:
        answer = await client.ask("GET", peer.url, max_bytes=most, cuts_content=True)
    assert answer.content == b"x" * kept


async def test_a_stream_that_is_refused_says_with_what(client: HttpClient) -> None:
    async with hostile_peer(lambda: [b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"]) as peer:
        with pytest.raises(StreamRefused, match=r"^status 503$") as refused:
            await anext(client.lines(peer.url, data=b"{}", idle_s=PATIENCE_S))
    assert refused.value.status == 503


async def test_lines_are_those_with_something_in_them_the_last_one_too(client: HttpClient) -> None:
    async with hostile_peer(answering(b"one\n\n \ntwo\nthree")) as peer:
        found = [line async for line in client.lines(peer.url, data=b"{}", idle_s=PATIENCE_S)]
    assert found == [b"one", b"two", b"three"]


@pytest.mark.parametrize(("size", "fits"), [(100, True), (101, False)])
async def test_a_line_that_has_not_ended_may_be_as_long_as_the_limit(
    client: HttpClient, size: int, *, fits: bool
) -> None:
    async with hostile_peer(answering(b"x" * size)) as peer:
        lines = client.lines(peer.url, data=b"{}", idle_s=PATIENCE_S, max_line_bytes=100)
        if fits:
            assert await anext(lines) == b"x" * size
            await lines.aclose()
        else:
            with pytest.raises(ExcessiveAnswer, match="an endless line"):
                await anext(lines)


async def test_connections_notice_a_dead_peer_within_half_a_minute() -> None:
    connector = CappedConnector()
    assert connector._socket_factory is not None
    made = connector._socket_factory((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("", 0)))
    with made:
        assert made.type == socket.SOCK_STREAM
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        idle_s, pause_s, probes = (made.getsockopt(socket.IPPROTO_TCP, name) for name in names)
        assert idle_s + pause_s * probes == 30
    assert connector.limit == CONNECTIONS
    await connector.close()


def address(host: str, family: socket.AddressFamily = socket.AF_INET) -> tuple[Any, ...]:
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, 443))


async def test_a_name_has_the_addresses_that_the_lookup_finds() -> None:
    asked: list[tuple[str, int]] = []

    def lookup(host: str, port: int) -> Found:
        asked.append((host, port))
        return [address("192.0.2.1"), address("2001:db8::1", socket.AF_INET6)]

    resolver = ThreadResolver(lookup)
    found = await resolver.resolve("shop.example", 443)
    assert asked == [("shop.example", 443)]
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    assert found[0] == {
        "hostname": "shop.example",
        "host": "192.0.2.1",
        "port": 443,
        "family": socket.AF_INET,
        "proto": socket.IPPROTO_TCP,
        "flags": flags,
    }
    assert [one["host"] for one in found] == ["192.0.2.1", "2001:db8::1"]
    only = await resolver.resolve("shop.example", 443, socket.AF_INET6)
    assert [one["host"] for one in only] == ["2001:db8::1"]
    await resolver.close()


@pytest.mark.parametrize("error", [socket.gaierror("no"), UnicodeError("label too long")])
async def test_a_name_that_cannot_be_looked_up_is_an_os_error(error: Exception) -> None:
    def lookup(_host: str, _port: int) -> Found:
        raise error

    with pytest.raises(OSError, match=str(error)):
        await ThreadResolver(lookup).resolve("shop.example", 443)


async def test_a_silent_name_server_takes_one_thread_alone() -> None:
    release, begun = threading.Event(), threading.Event()
    lookups: list[str] = []

    def lookup(host: str, _port: int) -> Found:
        lookups.append(host)
        begun.set()
        assert release.wait(PATIENCE_S)
        return [address("192.0.2.1")]

    resolver = ThreadResolver(lookup)
    impatient = asyncio.create_task(resolver.resolve("one.example", 443))
    await asyncio.to_thread(begun.wait, PATIENCE_S)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    others = [asyncio.create_task(resolver.resolve(f"{each}.example", 443)) for each in ("two", "three")]
    for _ in range(20):
        await asyncio.sleep(0)
    assert lookups == ["one.example"]
    release.set()
    assert [len(one) for one in await asyncio.gather(*others)] == [1, 1]
    assert lookups == ["one.example", "two.example", "three.example"]
