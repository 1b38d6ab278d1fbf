"""Composition root: settings in, running ledgers out."""

import asyncio
import ctypes
import gc
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import structlog

from strongroom.atto.ledger import AttoLedger
from strongroom.bittensor.ledger import BittensorLedger
from strongroom.core.background import Background
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.environment import SettingsError
from strongroom.core.errors import InvalidInput
from strongroom.core.http.admission import Gate
from strongroom.core.http.exposure import Access, exposure_mistakes
from strongroom.core.http.limits import ConnectionLimits
from strongroom.core.listener import Listener, Surface
from strongroom.core.management import create_management
from strongroom.core.runtime.loop_watch import LoopWatch
from strongroom.core.telemetry import Health, Metrics
from strongroom.hathor.ledger import HathorLedger
from strongroom.sandbox.local_network import LocalNetworks
from strongroom.settings import MANAGEMENT, Settings

log = structlog.get_logger(__name__)

APPLICATION = "strongroom"
PR_SET_DUMPABLE = 4
MANY_FILES = 65_536
OWN_FILES = 512
LARGEST_MANAGEMENT_BODY = 64 * 1024

Ready = Callable[[dict[str, str]], None]


async def serve(settings: Settings, ready: Ready, networks: LocalNetworks | None = None) -> None:
    """Runs until SIGTERM or SIGINT, with local networks beside it if given.

    `ready` gets the URL of every surface once all of them answer.
    """
    _keep_memory_private()
    _allow_many_connections()
    health, metrics = Health(), Metrics(APPLICATION)
    settings.data.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        surfaces = [_management(settings, health, metrics)]
        before_stop: list[Callable[[], Awaitable[None]]] = []
        if networks is not None:
            stack.push_async_callback(networks.close)
            surfaces += networks.open()
            before_stop.append(networks.close)
        background = Background()
        stack.push_async_callback(background.close)
        background.start(LoopWatch(SystemClock(), health, metrics).run())
        listeners = _bind(surfaces, settings, Gate(settings.connections, metrics))
        gate = _gate(settings.connections, metrics)
        if settings.atto is not None:
            ledger = AttoLedger(
                settings.atto, clock=SystemClock(), entropy=SystemEntropy(), health=health, metrics=metrics
            )
            stack.push_async_callback(ledger.close)
            await ledger.open()
            listeners += _bind(ledger.surfaces(), settings, gate)
            before_stop.insert(0, ledger.wind_down)
            ledger.start()
        if settings.hathor is not None:
            hathor = HathorLedger(
                settings.hathor, clock=SystemClock(), entropy=SystemEntropy(), health=health, metrics=metrics
            )
            stack.push_async_callback(hathor.close)
            await hathor.open()
            listeners += _bind(hathor.surfaces(), settings, gate)
            before_stop.insert(0, hathor.wind_down)
            hathor.start()
        if settings.bittensor is not None:
            bittensor = BittensorLedger(
                settings.bittensor,
                clock=SystemClock(),
                entropy=SystemEntropy(),
                health=health,
                metrics=metrics,
            )
            stack.push_async_callback(bittensor.close)
            await bittensor.open()
            if networks is not None:
                await networks.welcome(bittensor.wallets)
            listeners += _bind(bittensor.surfaces(), settings, gate)
            before_stop.insert(0, bittensor.wind_down)
            bittensor.start()
        await _run(listeners, ready, before_stop)


async def sync_hathor(settings: Settings, ready: Ready) -> None:
    """Runs the sync of Hathor and the management surface until a signal.

    Raises:
        WrongSourceError: the node is not the one that the database follows.
    """
    if settings.hathor is None:
        raise InvalidInput("Hathor is not configured")
    health, metrics = Health(), Metrics(APPLICATION)
    settings.data.mkdir(parents=True, exist_ok=True)
    ledger = HathorLedger(
        settings.hathor, clock=SystemClock(), entropy=SystemEntropy(), health=health, metrics=metrics
    )
    gate = Gate(settings.connections, metrics)
    listeners = _bind([_management(settings, health, metrics)], settings, gate)
    try:
        await ledger.open()
        ledger.start()
        await _run(listeners, ready, [], failed=ledger.stopped)
    finally:
        await ledger.close()


async def serve_networks(networks: LocalNetworks, ready: Ready) -> None:
    """Runs local networks alone, until a signal."""
    try:
        await _run([Listener(surface) for surface in networks.open()], ready, [networks.close])
    finally:
        await networks.close()


def _keep_memory_private() -> None:
    """It holds opened keys: no core dump, and no look into it by other programs of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _allow_many_connections() -> None:
    """A shell's soft limit is often 1,024 files, and each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _gate(limits: ConnectionLimits, metrics: Metrics) -> Gate:
    """No more connections than this process may have files, without those that it needs itself."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files != resource.RLIM_INFINITY and files - OWN_FILES < limits.most_connections:
        most = max(files - OWN_FILES, files // 2)
        log.warning("the limit of open files allows fewer connections", files=files, connections=most)
        limits = replace(limits, most_connections=most)
    return Gate(limits, metrics)


def _bind(surfaces: Sequence[Surface], settings: Settings, gate: Gate) -> list[Listener]:
    """Asks the surfaces themselves once more: one that the settings do not tell of is not opened by accident.

    Raises:
        SettingsError: the network would reach a surface without authentication.
    """
    exposures = [surface.exposure for surface in surfaces]
    if mistakes := exposure_mistakes(exposures, settings.open_surfaces):
        raise SettingsError(mistakes)
    return [Listener(surface, settings.callers, gate) for surface in surfaces]


async def _run(
    listeners: list[Listener],
    ready: Ready,
    before_stop: Sequence[Callable[[], Awaitable[None]]],
    failed: asyncio.Future[None] | None = None,
) -> None:
    """Serves until a signal says stop (or `failed` fails, which is raised), then lets running requests end.

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
        gc.collect()
        gc.freeze()  # the program itself: to look through it again takes 100 ms, in which nobody is answered
        ready({listener.surface.name: listener.url for listener in listeners})
        stopped: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        waiting = [stopped] if failed is None else [stopped, failed]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        log.info("stopping")
        if failed is not None and failed in done:
            failed.result()
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
        access=Access.REACH,
        largest_body=LARGEST_MANAGEMENT_BODY,
    )
