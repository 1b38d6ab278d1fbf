"""Servers beside each other: an endless header, requests in a second, peers that never read.

.venv/bin/python benchmarks/connections.py [uvicorn strongroom granian hypercorn]

`uvicorn` is uvicorn with httptools as it comes, `strongroom` is core.listener over it. The others are measured if they are
installed (pip install granian hypercorn, in an environment of their own). See docs/decisions/connections.md.
"""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface

PORT = 8_399
MODULE = f"{Path(__file__).stem}:application"
COMMANDS = {
    "uvicorn": f"-m uvicorn --port {PORT} --http httptools --loop uvloop --log-level error --lifespan off {MODULE}",
    "strongroom": f"{__file__} --serve",
    "granian": f"-m granian --port {PORT} --interface asginl --loop uvloop --no-log {MODULE}",
    "hypercorn": f"-m hypercorn --bind 127.0.0.1:{PORT} --worker-class uvloop {MODULE}",
}
HEADER_S = 30.0
LOAD_S = 5.0
CLIENTS = 16
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"x" * 200

Message = dict[str, Any]


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] != "http":
        return
    await receive()
    headers = [(b"content-length", b"200"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def serve() -> None:
    surface = Surface(
        name="benchmark", application=application, host="127.0.0.1", port=PORT, access=Access.PUBLIC
    )
    uvloop.run(Listener(surface).serve())


def processes(pid: int) -> list[int]:
    """The process and its children: Granian's workers are processes."""
    pids = [pid]
    for task in pids:
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{task}/task/{task}/children").read_text()
            pids += [int(child) for child in children.split()]
    return pids


def cpu_s(pid: int) -> float:
    total = 0
    for each in processes(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    total = 0
    for each in processes(pid):
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * resource.getpagesize()
    return total / 1e6


async def until_up() -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", PORT)
            writer.close()
            return
        await asyncio.sleep(0.1)


async def endless_header(pid: int) -> None:
    """One peer sends as fast as it is read; another asks once a second how long an answer takes."""
    before = memory_mb(pid)
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
    sent, slowest_s, end_s = 0, 0.0, time.monotonic() + HEADER_S
    asking = asyncio.create_task(slowest(end_s))
    answer = b"nothing"
    with contextlib.suppress(OSError):
        while time.monotonic() < end_s and not writer.is_closing():
            writer.write(b"y" * 65_536)
            sent += 65_536
            await asyncio.wait_for(writer.drain(), max(0.1, end_s - time.monotonic()))
            await asyncio.sleep(0)
            if reader.at_eof() or len(reader._buffer):  # type: ignore[attr-defined]  # noqa: SLF001 - to look without waiting
                break
        answer = (await asyncio.wait_for(reader.read(100), 1)).split(b"\r\n")[0] or b"closed"
    writer.close()
    slowest_s = await asking
    print(
        f"  endless header: {sent / 1e6:.1f} MB sent, answer {answer.decode()!r},"
        f" memory {before:.0f} -> {memory_mb(pid):.0f} MB, slowest other answer {slowest_s * 1000:.0f} ms"
    )


async def slowest(end_s: float) -> float:
    worst_s = 0.0
    while time.monotonic() < end_s:
        begun_s = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        writer.write(REQUEST)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
        writer.close()
        worst_s = max(worst_s, time.monotonic() - begun_s)
        await asyncio.sleep(0.25)
    return worst_s


async def load(pid: int) -> None:
    count, used_s = 0, cpu_s(pid)
    end_s = time.monotonic() + LOAD_S

    async def client() -> None:
        nonlocal count
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        while time.monotonic() < end_s:
            writer.write(REQUEST)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:  # Hypercorn ends a connection after 1,000 requests
                reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
                continue
            if b" 200 " not in head:
                raise RuntimeError(head.decode())
            await reader.readexactly(len(BODY))
            count += 1
        writer.close()

    begun_s = time.monotonic()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    print(
        f"  {count / (time.monotonic() - begun_s):.0f} requests/s over {CLIENTS} connections,"
        f" {(cpu_s(pid) - used_s) / count * 1e6:.0f} µs of the server's CPU time each"
    )


async def unread(pid: int) -> None:
    """50 peers pipeline requests for 10 s and read nothing."""
    before = memory_mb(pid)
    end_s = time.monotonic() + 10
    asking = asyncio.create_task(slowest(end_s))

    async def peer() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", PORT, limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket
        with contextlib.suppress(OSError, TimeoutError):
            while time.monotonic() < end_s:
                writer.write(REQUEST * 1_000)
                await asyncio.wait_for(writer.drain(), max(0.01, end_s - time.monotonic()))
        writer.transport.abort()

    await asyncio.gather(*(peer() for _ in range(50)))
    print(
        f"  50 unread pipelines: memory {before:.0f} -> {memory_mb(pid):.0f} MB,"
        f" slowest other answer {await asking * 1000:.0f} ms"
    )


async def measure(pid: int) -> None:
    await asyncio.wait_for(until_up(), 30)
    for _ in range(3):
        await load(pid)
    await unread(pid)
    await endless_header(pid)


def main() -> None:
    for server in sys.argv[1:] or COMMANDS:
        print(server)
        command = [sys.executable, *COMMANDS[server].split()]
        process = subprocess.Popen(command, cwd=Path(__file__).parent)
        try:
            uvloop.run(measure(process.pid))
        except TimeoutError:
            print("  did not start: is it installed?")
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        main()
