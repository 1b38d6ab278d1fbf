"""Makes one source of proof of work from the settings."""

from contextlib import AsyncExitStack

import structlog

from strongroom.atto.gateway import WorkSource
from strongroom.atto.gateway.hedged_worker import HedgedWorker
from strongroom.atto.gateway.local_worker import LocalWorker
from strongroom.atto.gateway.remote_worker import RemoteWorker
from strongroom.atto.settings import AttoSettings
from strongroom.core.clock import Clock

log = structlog.get_logger(__name__)


def open_work_source(settings: AttoSettings, clock: Clock, stack: AsyncExitStack) -> WorkSource:
    """This machine, a work server, or a work server with this machine as its fallback. `stack` closes what is opened.

    A work server without a fallback is asked up to three times, because an answer may be lost.
    """
    if settings.work_url is None:
        return _open_local(settings, stack)
    remote = RemoteWorker(settings.work_url, settings.work_timeout_s)
    stack.push_async_callback(remote.close)
    sources: list[WorkSource] = [remote, remote, remote]
    if settings.work_fallback:
        sources = [remote, _open_local(settings, stack)]
    return HedgedWorker(sources, clock, settings.work_hedge_s)


def _open_local(settings: AttoSettings, stack: AsyncExitStack) -> LocalWorker:
    local = LocalWorker(settings.work_threads)
    stack.push_async_callback(local.close)
    log.info("this machine can search for proof of work", engine=local.engine, threads=settings.work_threads)
    return local
