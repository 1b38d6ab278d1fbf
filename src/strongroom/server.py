"""Composition root: settings in, running ledgers out."""

import asyncio
import ctypes
import gc
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from typing import Any

import structlog
from prometheus_client import disable_created_metrics

from strongroom import __version__
from strongroom.admin.estate import Estate
from strongroom.admin.settings import SURFACE as CONSOLE
from strongroom.admin.settings import AdminSettings
from strongroom.admin.surface import admin_surface
from strongroom.console.sandbox import sandbox_link
from strongroom.console.surface import Console, with_console
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.environment import SettingsError
from strongroom.core.errors import Unavailable
from strongroom.core.http.connections.admission import Gate
from strongroom.core.http.connections.limits import ConnectionLimits
from strongroom.core.http.exposure import Access, exposure_mistakes
from strongroom.core.http.hosts import is_loopback
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.http.management import create_management
from strongroom.core.http.requests.access_log import AccessLogged
from strongroom.core.http.tls.certificates import Certificates
from strongroom.core.ledger.contract import Ledger
from strongroom.core.ledger.local_networks import LocalNetworks
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.runtime.background import Background, cancel_all
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.health_metrics import show_health
from strongroom.core.runtime.loop_watch import LoopWatch
from strongroom.core.runtime.stopping import Stop
from strongroom.core.runtime.telemetry import Health, Metrics
from strongroom.core.runtime.traces import collect
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.security.attempts import Attempts
from strongroom.core.storage.patience import patiently
from strongroom.registry import LEDGERS
from strongroom.settings import MANAGEMENT, SURFACES, Settings

log = structlog.get_logger(__name__)

APPLICATION = "strongroom"
OWN_SURFACES = frozenset({MANAGEMENT, CONSOLE, *SURFACES})
"""All but those of local networks, which stand for other people's nodes."""
PR_SET_DUMPABLE = 4
MANY_FILES = 65_536
OWN_FILES = 512
MAX_MANAGEMENT_BODY = 64 * 1024
MAX_WAIT_S = 5.0
"""Seconds between two looks for a database that is away at the start."""

SIGN_IN = "sign-in"
"""What `ready` gets besides surfaces, of a sandbox: an address that signs in to the console once."""

Ready = Callable[[dict[str, str]], None]


async def serve(
    settings: Settings, ready: Ready, networks: LocalNetworks | None = None, *, workers_alone: bool = False
) -> None:
    """Runs until SIGTERM or SIGINT, with local networks beside it if given.

    `ready` gets the URL of every surface once all of them answer. `workers_alone`: the ledgers' surfaces stay closed, and
    a ledger whose work waits for a person ends the process.

    Raises:
        Exception: what such a ledger failed with.
    """
    _keep_memory_private()
    _allow_many_connections()
    disable_created_metrics()  # type: ignore[no-untyped-call]
    health, metrics = Health(), Metrics(APPLICATION)
    settings.data.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        _collect_traces(settings.traces_url, stack)
        surfaces = [_management(settings, health, metrics)]
        before_stop: list[Callable[[], Awaitable[None]]] = []
        if networks is not None:
            stack.push_async_callback(networks.close)
            surfaces += networks.open()
            before_stop.append(networks.close)
        background = Background()
        stack.push_async_callback(background.close)
        background.start(LoopWatch(SystemClock(), health, metrics).run())
        certificates = Certificates(settings.tls, SystemClock(), health, metrics)
        background.start(certificates.run())
        listeners = _bind(surfaces, settings, Gate(settings.connections, metrics), certificates)
        gate = _gate(settings.connections, metrics)
        ledgers = _ledgers(settings, health, metrics)
        show_health(metrics, health, [ledger.definition.name for ledger in ledgers])
        for ledger in ledgers:
            stack.push_async_callback(ledger.close)
            if not workers_alone:
                listeners += _bind(ledger.surfaces(), settings, gate, certificates)
        console: tuple[Console, Listener] | None = None
        if settings.admin is not None and not workers_alone:
            estate = Estate(ledgers, health, SystemClock())
            admin, console = _admin(settings, settings.admin, estate, metrics, gate, certificates)
            listeners += admin
            if console is not None:
                before_stop.append(console[0].watch.close)
        links: dict[str, str] = {}
        # Now: before anybody can ask whether the process is ready.
        waiting = [(ledger, ledger.waiting()) for ledger in ledgers]

        async def open_all() -> None:
            await _together(_open(ledger, waits, before_stop, networks) for ledger, waits in waiting)
            if networks is not None and console is not None:
                links.update(await _way_in(*console, ledgers))

        def failures() -> list[asyncio.Future[None]]:
            return [ledger.failed for ledger in ledgers] if workers_alone else []

        with _on_hangup(certificates.refresh if settings.tls else None):
            stop = Stop(lambda: _drain(health, gate), drain_s=settings.connections.drain_s)
            told: Ready = lambda urls: ready(urls | links)  # noqa: E731 - one line
            await _run(listeners, told, before_stop, stop, opening=open_all, failures=failures)


def _collect_traces(url: str | None, stack: AsyncExitStack) -> None:
    """Before any listener is made: it asks whether there is a collector."""
    if url is None:
        return
    from strongroom.core.runtime.opentelemetry import Collector  # noqa: PLC0415 - only who collects traces has it

    traces = Collector(url, APPLICATION, __version__)
    stack.push_async_callback(asyncio.to_thread, traces.close)
    stack.callback(collect, None)
    collect(traces)


def _ledgers(settings: Settings, health: Health, metrics: Metrics) -> list[Ledger]:
    surroundings = Surroundings(
        clock=SystemClock(),
        entropy=SystemEntropy(),
        health=health,
        metrics=metrics,
        guard=settings.guard,
        webhooks=settings.webhooks,
        free_attempts=settings.free_attempts,
        checkpoints=settings.checkpoints,
        redis=settings.redis,
    )
    return [
        definition.make(own, surroundings)
        for definition in LEDGERS
        if (own := settings.of(definition)) is not None
    ]


async def _open(
    ledger: Ledger,
    waits: WorkHealth,
    before_stop: list[Callable[[], Awaitable[None]]],
    networks: LocalNetworks | None,
) -> None:
    """Opens a ledger as soon as its database is there, and starts its work.

    Raises:
        Unavailable: the database needs a person.
    """
    backoff = Backoff(SystemClock(), SystemEntropy(), first_s=0.5, cap_s=MAX_WAIT_S)
    await patiently(ledger.prepare, waits, backoff)
    await ledger.wait_for_keys(waits)
    await ledger.open()
    waits.succeeded()
    if networks is not None:
        await networks.seed_wallets(ledger)
    before_stop.insert(0, ledger.drain)
    ledger.start()


async def _together(works: Iterable[Awaitable[None]]) -> None:
    """Ends with the first failure of one of them, and then ends the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        await cancel_all(tasks)


def _drain(health: Health, gate: Gate) -> None:
    health.drain()
    gate.is_draining = True


async def serve_networks(networks: LocalNetworks, ready: Ready) -> None:
    """Runs local networks alone, until a signal."""
    try:
        await _run([Listener(surface) for surface in networks.open()], ready, [networks.close], Stop())
    finally:
        await networks.close()


def _keep_memory_private() -> None:
    """Forbids core dumps, and other programs of the same user to look in: the memory holds opened keys."""
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
    if files != resource.RLIM_INFINITY and files - OWN_FILES < limits.max_connections:
        most = max(files - OWN_FILES, files // 2)
        log.warning("the limit of open files allows fewer connections", files=files, connections=most)
        limits = replace(limits, max_connections=most)
    return Gate(limits, metrics)


def _bind(
    surfaces: Sequence[Surface], settings: Settings, gate: Gate, certificates: Certificates
) -> list[Listener]:
    """Checks the surfaces themselves once more, so that none is opened by accident which the settings do not name.

    Raises:
        SettingsError: the network would reach a surface without authentication.
    """
    exposures = [surface.exposure for surface in surfaces]
    if mistakes := exposure_mistakes(exposures, settings.open_surfaces):
        raise SettingsError(mistakes)
    return [
        Listener(
            surface,
            settings.callers,
            gate,
            certificates.of(surface.name),
            entropy=SystemEntropy() if surface.name in OWN_SURFACES else None,
            logs_requests=_is_logged(surface, settings.access_log),
        )
        for surface in surfaces
    ]


def _is_logged(surface: Surface, wanted: AccessLogged) -> bool:
    if surface.name not in OWN_SURFACES:
        return False
    return wanted is AccessLogged.ALL or (wanted is AccessLogged.ON and surface.name != MANAGEMENT)


@contextmanager
def _on_hangup(refresh: Callable[[], None] | None) -> Iterator[None]:
    """SIGHUP has the certificates read again. Without certificates it ends the process, as every other one."""
    loop = asyncio.get_running_loop()
    if refresh is None:
        yield
        return
    loop.add_signal_handler(signal.SIGHUP, refresh)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


async def _run(
    listeners: list[Listener],
    ready: Ready,
    before_stop: Sequence[Callable[[], Awaitable[None]]],
    stop: Stop,
    *,
    opening: Callable[[], Awaitable[None]] | None = None,
    failures: Callable[[], Sequence[asyncio.Future[None]]] = tuple,
) -> None:
    """Serves until `stop` (or `opening` or one of the `failures` fails, which is raised), then lets running requests end.

    A server waits for its open responses, so `before_stop` ends what would keep them open. The first listener, which has
    the health, stops last.
    """
    stop.listen()
    tasks = [asyncio.ensure_future(listener.serve()) for listener in listeners]
    stopped: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    opened = asyncio.ensure_future(_opened(listeners, opening))
    try:
        if await _first(stopped, opened) is opened:
            opened.result()
            gc.collect()
            gc.freeze()  # the program itself: to look through it again takes 100 ms, in which nobody is answered
            ready({listener.surface.name: listener.url for listener in listeners})
            await (await _first(stopped, *failures()))
            await stop.drained()
        log.info("stopping")
    finally:
        stop.begin()
        await cancel_all((opened, stopped))
        for end in before_stop:
            await end()
        for listener in listeners[1:]:
            listener.stop()
        await asyncio.gather(*tasks[1:])
        listeners[0].stop()
        await tasks[0]


async def _opened(listeners: Sequence[Listener], opening: Callable[[], Awaitable[None]] | None) -> None:
    for listener in listeners:
        await listener.started()
    if opening is not None:
        await opening()


async def _first(*futures: asyncio.Future[Any]) -> asyncio.Future[Any]:
    """Returns the first of the tasks that is done."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    return next(one for one in futures if one.done())


def _admin(
    settings: Settings,
    admin: AdminSettings,
    estate: Estate,
    metrics: Metrics,
    gate: Gate,
    certificates: Certificates,
) -> tuple[list[Listener], tuple[Console, Listener] | None]:
    """The admin API, and the console on it if it has pages.

    No listener where another process of this machine has the default port: one admin API is enough for a machine.

    Raises:
        Unavailable: the operator chose the port, and it is taken.
    """
    clock, entropy = SystemClock(), SystemEntropy()
    attempts = Attempts(CONSOLE, clock, entropy, metrics, estate.record, free=settings.free_attempts)
    surface = admin_surface(admin, estate, attempts=attempts, metrics=metrics)
    console = None
    if admin.has_pages:
        console = with_console(
            surface, admin, estate, attempts=attempts, metrics=metrics, clock=clock, entropy=entropy
        )
        surface = console.surface
    try:
        listeners = _bind([surface], settings, gate, certificates)
    except Unavailable as error:
        if admin.is_port_chosen:
            raise
        log.warning("the admin API and the console are off in this process", reason=error.message)
        return [], None
    return listeners, None if console is None else (console, listeners[0])


async def _way_in(console: Console, listener: Listener, ledgers: Sequence[Ledger]) -> dict[str, str]:
    """Of a sandbox on this machine alone: what `ready` gets as SIGN_IN."""
    if not is_loopback(listener.surface.host):
        return {}
    found = await sandbox_link(console, listener.url, ledgers, SystemClock(), SystemEntropy())
    return {} if found is None else {SIGN_IN: found}


def _management(settings: Settings, health: Health, metrics: Metrics) -> Surface:
    return Surface(
        name=MANAGEMENT,
        application=create_management(health, metrics),
        host=settings.host,
        port=settings.management_port,
        access=Access.REACH,
        max_body=MAX_MANAGEMENT_BODY,
    )
