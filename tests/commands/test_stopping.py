"""What others see of a process between SIGTERM and its end."""

import asyncio
import os
import signal
from typing import Any

import httpx2

from strongroom import server
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.http.management import create_management
from strongroom.core.runtime.stopping import Stop
from strongroom.core.runtime.telemetry import Health, Metrics
from support.waiting import PATIENCE_S


def surface(name: str, application: Any) -> Surface:
    return Surface(name=name, application=application, host="127.0.0.1", port=0, access=Access.PUBLIC)


async def test_from_sigterm_on_it_is_not_ready_and_still_alive() -> None:
    health, asked, release = Health(), asyncio.Event(), asyncio.Event()

    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        asked.set()
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"paid"})

    management = surface("management", create_management(health, Metrics("test")))
    listeners = [Listener(management), Listener(surface("slow", slow))]
    ready: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(server._run(listeners, ready.set_result, [], Stop(health.drain)))
    urls = await ready
    async with httpx2.AsyncClient(verify=False, trust_env=False, timeout=PATIENCE_S) as client:

        async def status(path: str) -> int:
            return (await client.get(urls["management"] + path)).status_code

        assert await status("/health/readiness") == 200
        paying = asyncio.ensure_future(client.get(urls["slow"]))
        await asked.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            while await status("/health/readiness") == 200:
                pass  # the question itself lets the rest of the loop run
        assert (await client.get(urls["management"] + "/health/readiness")).json()[
            "status"
        ] == "OUT_OF_SERVICE"
        assert await status("/health/liveness") == 200
        assert not running.done()
        release.set()
        assert (await paying).text == "paid"
    await asyncio.wait_for(running, PATIENCE_S)
