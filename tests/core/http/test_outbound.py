"""How the service speaks HTTP to the outside, and what it takes from there."""

import asyncio
import gzip
import itertools
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from strongroom.core.http.outbound.client import (
    LINES_A_TURN,
    ExcessiveAnswer,
    HttpClient,
    NoAnswer,
    NotConnected,
    OutboundResponse,
    StreamRefused,
)
from strongroom.core.http.outbound.connections import MAX_HEAD_BYTES, OPTIONS
from support.hostile_peer import hostile_peer
from support.serving import serving

Message = dict[str, Any]

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"
PATIENCE_S = 30.0
BUFFERS_BYTES = 16 * 2**20
"""What the kernel takes from a peer for a process that does not read."""


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


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient({"Authorization": "Bearer x"})
    yield client
    await client.close()


def of_content(content: bytes, coding: bytes) -> Callable[[], list[bytes]]:
    head = OK + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(content))
    return lambda: [head, content]


def endless(head: bytes, piece: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: itertools.chain([head], itertools.repeat(piece))


def gzip_bomb() -> Iterator[bytes]:
    """Zeros without end, a thousand to a byte."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    yield CHUNKED + b"Content-Encoding: gzip\r\n\r\n"
    piece = pack.compress(bytes(2**24)) + pack.flush(zlib.Z_FULL_FLUSH)
    yield b"%x\r\n%s\r\n" % (len(piece), piece)
    again = pack.compress(bytes(2**24)) + pack.flush(
        zlib.Z_FULL_FLUSH
    )  # it stands for itself, as often as it comes
    while True:
        yield b"%x\r\n%s\r\n" % (len(again), again)


async def first_line(client: HttpClient, url: str) -> bytes:
    async for line in client.lines(url, data=b"{}", idle_s=PATIENCE_S):
        return line
    return b""


async def test_a_client_sends_its_headers_and_keeps_no_cookie(client: HttpClient) -> None:
    recorder = Recorder()
    async with serving(recorder) as url:
        for _ in range(2):
            assert (await client.ask("GET", url)).status == 200
    assert [headers[b"authorization"] for headers in recorder.headers] == [b"Bearer x"] * 2
    assert all(b"cookie" not in headers for headers in recorder.headers)


async def test_the_environment_s_proxy_is_not_used(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    recorder = Recorder()
    async with serving(recorder) as url:
        assert (await client.ask("GET", url)).status == 200
    assert len(recorder.headers) == 1


async def test_a_dead_peer_is_noticed(client: HttpClient) -> None:
    recorder = Recorder()
    recorder.may_end.clear()
    async with serving(recorder) as url, client._open().get(url) as response:
        assert response.connection is not None
        assert response.connection.transport is not None
        opened: socket.socket = response.connection.transport.get_extra_info("socket")
        expected = [value for _, _, value in OPTIONS]
        assert [opened.getsockopt(level, option) for level, option, _ in OPTIONS] == expected
        recorder.may_end.set()
        assert await response.read() == b""


async def test_nobody_there(client: HttpClient) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(NotConnected):
            await client.ask("GET", f"http://127.0.0.1:{nobody.getsockname()[1]}/")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b"identity"])
async def test_an_honest_answer_is_read_whole(client: HttpClient, size: int, coding: bytes) -> None:
    content = b"".join(b"%d," % number for number in range(size // 3))[:size]
    packed = content if coding == b"identity" else gzip.compress(content)
    async with hostile_peer(of_content(packed, coding)) as peer:
        assert (await client.ask("GET", peer.url)).content == content


async def test_small_answers_on_one_connection_do_not_add_up(client: HttpClient) -> None:
    head = OK + b"Content-Length: 0\r\nX-Padding: %s\r\n\r\n" % (b"x" * 4000)
    async with hostile_peer(lambda: [head]) as peer:
        for _ in range(3 * MAX_HEAD_BYTES // len(head)):
            assert (await client.ask("GET", peer.url)).status == 200


@pytest.mark.parametrize(
    "answer",
    [
        endless(OK + b"X-Long: ", b"x" * 65_536),
        endless(b"HTTP/1.1 200 ", b"x" * 65_536),
        endless(b"", b"x" * 65_536),
        endless(OK, b"X-Many: yes\r\n" * 1000),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        endless(OK + b"\r\n", b"x" * 65_536),
        endless(CHUNKED + b"\r\n", b"2\r\n{}\r\n" * 1000),
        endless(CHUNKED + b"\r\n2;", b"x" * 65_536),
        endless(CHUNKED + b"\r\n", b"1;%s\r\n \r\n" % (b"x" * 8000)),
        endless(CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX-Trailer: ", b"x" * 65_536),
        endless(CHUNKED + b"\r\n2\r\n{}\r\n0\r\n", b"X-Trailer: yes\r\n" * 1000),
        gzip_bomb,
    ],
    ids=[
        "header",
        "status",
        "nothing",
        "headers",
        "continue",
        "body",
        "chunks",
        "extension",
        "extensions",
        "trailer",
        "trailers",
        "bomb",
    ],
)
async def test_an_answer_without_end_has_one_here(
    client: HttpClient, answer: Callable[[], Iterator[bytes]]
) -> None:
    async with hostile_peer(answer) as peer:
        with pytest.raises(NoAnswer):
            await client.ask("GET", peer.url, timeout_s=PATIENCE_S, max_bytes=2**20)
        await asyncio.wait_for(peer.hung_up.wait(), PATIENCE_S)
        assert peer.sent < BUFFERS_BYTES


@pytest.mark.parametrize(
    "answer",
    [
        endless(OK + b"\r\n", b"x" * 65_536),
        endless(CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX-Trailer: ", b"x" * 65_536),
        gzip_bomb,
    ],
    ids=["line", "trailer", "bomb"],
)
async def test_a_line_without_end_has_one_here(
    client: HttpClient, answer: Callable[[], Iterator[bytes]]
) -> None:
    async with hostile_peer(answer) as peer:
        with pytest.raises(NoAnswer):
            await first_line(client, peer.url)
        await asyncio.wait_for(peer.hung_up.wait(), PATIENCE_S)
        assert peer.sent < BUFFERS_BYTES


async def test_a_peer_that_trickles_runs_into_the_limit_of_time(client: HttpClient) -> None:
    async with hostile_peer(endless(OK + b"\r\n", b" ")) as peer:
        with pytest.raises(NoAnswer) as told:
            await client.ask("GET", peer.url, timeout_s=0.2, max_bytes=2**40)
    assert type(told.value) is NoAnswer


@pytest.mark.parametrize(
    ("content", "coding"),
    [
        (b"{}", b"br"),
        (b"{}", b"gzip"),
        (gzip.compress(b"{}")[:-3], b"gzip"),
        (gzip.compress(b"{}") + b"more", b"gzip"),
        (gzip.compress(gzip.compress(b"{}")), b"gzip, gzip"),
        (zlib.compress(b"{}"), b"deflate"),
    ],
    ids=[
        "unasked",
        "broken",
        "cut",
        "more",
        "twice",
        "deflate",
    ],  # gzip writes the time, and names must not change
)
async def test_a_coding_that_was_not_asked_for_or_is_broken_is_no_answer(
    client: HttpClient, content: bytes, coding: bytes
) -> None:
    async with hostile_peer(of_content(content, coding)) as peer:
        with pytest.raises(ExcessiveAnswer):
            await client.ask("GET", peer.url)


async def test_the_size_counts_after_decompression(client: HttpClient) -> None:
    content = gzip.compress(b"0123456789" * 1000)
    async with hostile_peer(of_content(content, b"gzip")) as peer:
        assert len((await client.ask("GET", peer.url, max_bytes=10_000)).content) == 10_000
        with pytest.raises(ExcessiveAnswer):
            await client.ask("GET", peer.url, max_bytes=9_999)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(client: HttpClient, status: int) -> None:
    async with hostile_peer(lambda: [OK + b"Content-Length: 0\r\n\r\n"]) as elsewhere:
        head = b"HTTP/1.1 %d Elsewhere\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n" % (
            status,
            elsewhere.url.encode(),
        )
        async with hostile_peer(lambda: [head]) as peer:
            answer: OutboundResponse = await client.ask("GET", peer.url)
            assert answer.status == status
            with pytest.raises(StreamRefused):
                await first_line(client, peer.url)
            with pytest.raises(NoAnswer):
                await client.open_websocket(peer.url, heartbeat_s=5, max_frame_bytes=1000)
        assert elsewhere.requests == []


async def test_content_that_is_not_needed_is_not_read(client: HttpClient) -> None:
    async with hostile_peer(endless(OK + b"\r\n", b"x" * 65_536)) as peer:
        assert (await client.ask("POST", peer.url, data=b"{}", reads_content=False)).status == 200
        await asyncio.wait_for(peer.hung_up.wait(), PATIENCE_S)
        assert peer.sent < BUFFERS_BYTES


async def test_lines_without_end_leave_others_their_turn(client: HttpClient) -> None:
    """The peer sends faster than anybody reads, so there is always a line to take without waiting."""
    lines = longest = since = 0

    async def others() -> None:
        nonlocal since
        while True:
            since = 0
            await asyncio.sleep(0)

    piece = b"%x\r\n%s\r\n" % (3 * 2**14, b"{}\n" * 2**14)
    async with hostile_peer(endless(CHUNKED + b"\r\n", piece)) as peer:
        running = asyncio.create_task(others())
        async with aclosing(client.lines(peer.url, data=b"{}", idle_s=PATIENCE_S)) as stream:
            async for _ in stream:
                lines, since = lines + 1, since + 1
                longest = max(longest, since)
                if lines == 100_000:
                    break
        running.cancel()
    assert longest <= 2 * LINES_A_TURN
