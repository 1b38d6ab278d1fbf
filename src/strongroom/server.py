"""Composition root: settings in, running ledgers out."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import structlog

from strongroom.atto.ledger import AttoLedger
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.listener import Listener, Surface
from strongroom.core.management import create_management
from strongroom.core.telemetry import Health, Metrics
from strongroom.sandbox.local_network import LocalNetworks
from strongroom.settings import MANAGEMENT, Settings

log = structlog.get_logger(__name__)

APPLICATION = "strongroom"

Ready = Callable[[dict[str, str]], None]


async def serve(settings: Settings, ready: Ready, networks: LocalNetworks | None = None) -> None:
    """Runs until SIGTERM or SIGINT, with local networks beside it if given.

    `ready` gets the URL of every surface once all of them answer.
    """
    health, metrics = Health(), Metrics(APPLICATION)
    settings.data.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        surfaces = [_management(settings, health, metrics)]
        before_stop: list[Callable[[], Awaitable[None]]] = []
        if networks is not None:
            stack.push_async_callback(networks.close)
            surfaces += networks.open()
            before_stop.append(networks.close)
        listeners = _bind(surfaces)
        if settings.atto is not None:
            ledger = AttoLedger(
                settings.atto, clock=SystemClock(), entropy=SystemEntropy(), health=health, metrics=metrics
            )
            stack.push_async_callback(ledger.close)
            await ledger.open()
            listeners += _bind(ledger.surfaces())
            before_stop.insert(0, ledger.wind_down)
            ledger.start()
        await _run(listeners, ready, before_stop)


async def serve_networks(networks: LocalNetworks, ready: Ready) -> None:
    """Runs local networks alone, until a signal."""
    try:
        await _run(_bind(networks.open()), ready, [networks.close])
    finally:
        await networks.close()


def _bind(surfaces: Sequence[Surface]) -> list[Listener]:
    return [Listener(surface) for surface in surfaces]


async def _run(
    listeners: list[Listener], ready: Ready, before_stop: Sequence[Callable[[], Awaitable[None]]]
) -> None:
    """Serves until a signal says stop, then lets running requests end.

    A server waits for its open responses, so `before_stop` ends what would keep them open.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.ensure_future(listener.serve()) for listener in listeners]
    try:
        for listener in listeners:
            await listener.started()
        ready({listener.surface.name: listener.url for listener in listeners})
        await stop.wait()
        log.info("stopping")
    finally:
        for end in before_stop:
            await end()
        for listener in listeners:
            listener.stop()
        await asyncio.gather(*tasks)


def _management(settings: Settings, health: Health, metrics: Metrics) -> Surface:
    return Surface(
        name=MANAGEMENT,
        application=create_management(health, metrics),
        host=settings.host,
        port=settings.management_port,
        authenticated=False,
    )
