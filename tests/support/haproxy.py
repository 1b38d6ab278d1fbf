"""HAProxy in front of several processes of the service, as operators run it: health checks, kept connections, no retries."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from support.ports import free_port
from support.processes import Process
from support.programs import program
from support.waiting import eventually, until_true

CHECK_MS = 300
TEMPLATE = """\
global
    log stdout format raw local0 notice
defaults
    mode http
    log global
    retries 0
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout check 5s
    http-reuse always
frontend clients
    bind 127.0.0.1:{port}
    default_backend services
backend services
    balance roundrobin
    option httpchk GET /health/readiness
    http-check expect status 200
    default-server check inter {check_ms} fall 1 rise 1
{servers}
"""
"""Without retries, every request that meets a process which does not serve any more is seen by a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The ports of one process: of the surface, and of its readiness."""

    port: int
    management_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    url: str
    process: Process

    async def until_up(self, number: int, times: int = 1) -> None:
        """Returns when the proxy has seen so often that this backend, which was away, is ready again."""
        await eventually(lambda: self.ups(number) >= times)

    def ups(self, number: int) -> int:
        """How often it has seen so."""
        line = f"Server services/s{number} is UP"
        return sum(line in one for one in self.process.stdout)


@asynccontextmanager
async def running_haproxy(folder: Path, backends: Sequence[Backend]) -> AsyncIterator[Proxy]:
    """The backends must be ready."""
    port = free_port()
    servers = [
        f"    server s{number} 127.0.0.1:{one.port} port {one.management_port}"
        for number, one in enumerate(backends)
    ]
    file = folder / f"haproxy-{port}.cfg"
    file.write_text(TEMPLATE.format(port=port, check_ms=CHECK_MS, servers="\n".join(servers)))
    url = f"http://127.0.0.1:{port}"
    with Process([program("haproxy"), "-db", "-f", str(file)]) as process:
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:

            async def answers() -> bool:
                assert process.running, process.logs()
                try:
                    return (await client.get("/wallets")).status_code < httpx2.codes.INTERNAL_SERVER_ERROR
                except httpx2.HTTPError:
                    return False

            await until_true(answers)
        yield Proxy(url=url, process=process)
