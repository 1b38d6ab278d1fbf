"""Fenced leases in the database: who leads, and who is alive.

A lease has a holder, an expiry and a fence: a number that grows with every change of holder. Work done under a
lease calls `Lease.check` inside its write transactions; a process that was paused past its expiry then finds a
higher fence and writes nothing. Hosts that share a database need clocks within a second of each other.

A thread of its own renews (see `core.coordination.keeper`), so that no lease lapses because the event loop is busy.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection, select, update

from strongroom.core.clock import Clock
from strongroom.core.coordination.keeper import Keeper, Pulse
from strongroom.core.errors import LeaseLost
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, locking
from strongroom.core.storage.errors import Duplicate

log = structlog.get_logger(__name__)

DEFAULT_TTL_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One term of one holder."""

    name: str
    holder: str
    fence: int

    def check(self, connection: Connection) -> None:
        """Fails the transaction unless this term still stands; holds off a successor until the commit.

        Raises:
            LeaseLost: another holder has it.
        """
        query = locking(select(tables.lease.c.fence).where(tables.lease.c.name == self.name))
        row = connection.execute(query).first()
        if row is None or row.fence != self.fence:
            raise LeaseLost(f"the lease {self.name} went to another process")


class Leases:
    """Takes, renews and gives back leases in the name of one process (`holder`)."""

    def __init__(self, database: Database, clock: Clock, holder: str, ttl_s: float = DEFAULT_TTL_S) -> None:
        self._database = database
        self._clock = clock
        self._keeper = Keeper(database)
        self.holder = holder
        self.ttl_s = ttl_s

    async def acquire(self, name: str) -> Lease | None:
        """Takes a free or expired lease, or None while another holder has it."""
        now_ms = self._clock.now_ms()
        expires_at_ms = now_ms + int(self.ttl_s * 1000)

        def work(connection: Connection) -> int | None:
            columns = tables.lease.c
            row = connection.execute(locking(select(tables.lease).where(columns.name == name))).first()
            if row is not None and row.expires_at_ms > now_ms:
                return None
            fence = 1 if row is None else row.fence + 1
            values = {"holder": self.holder, "fence": fence, "expires_at_ms": expires_at_ms}
            if row is None:
                connection.execute(tables.lease.insert(), {"name": name, **values})
            else:
                connection.execute(update(tables.lease).where(columns.name == name).values(values))
            return fence

        try:
            fence = await self._database.write(work)
        except Duplicate:
            return None  # another process put the first row in
        return None if fence is None else Lease(name=name, holder=self.holder, fence=fence)

    async def renew(self, lease: Lease) -> None:
        """Extends the term.

        Raises:
            LeaseLost: it has another holder.
        """
        await self._renew(lease, self._database)

    async def release(self, lease: Lease) -> None:
        """Lets the next holder start at once."""
        with contextlib.suppress(LeaseLost):
            await _set_expiry(self._database, lease, 0)

    async def is_held(self, name: str) -> bool:
        row = await self._database.fetch_one(
            select(tables.lease.c.expires_at_ms).where(tables.lease.c.name == name)
        )
        return row is not None and row.expires_at_ms > self._clock.now_ms()

    async def lead(
        self, name: str, work: Callable[[Lease], Awaitable[None]], health: WorkHealth | None = None
    ) -> None:
        """Runs `work` whenever this process holds the lease, until cancelled.

        `work` is cancelled when the lease cannot be renewed in time, and started again with the next term. `health` is
        told whether the lease can be asked for.
        """
        async with self._keeper.running():
            while True:
                lease = await self._acquire_patiently(name, health)
                log.info("lease taken", lease=name, fence=lease.fence)
                worker = asyncio.ensure_future(work(lease))
                keeper = asyncio.ensure_future(
                    self._keeper.run(partial(self._keep, lease, Pulse(self._clock)))
                )
                try:
                    await asyncio.wait({worker, keeper}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await _cancel(worker, keeper)
                    # Over the keeper's connection, so behind a renewal that is still under way there.
                    await self._keeper.run(partial(self._release_quietly, lease))
                if worker.done() and not worker.cancelled() and (error := worker.exception()) is not None:
                    log.error("work under a lease failed", lease=name, error=repr(error))
                await self._clock.sleep(1.0)

    async def _acquire_patiently(self, name: str, health: WorkHealth | None) -> Lease:
        while True:
            try:
                lease = await self.acquire(name)
            except Exception as error:  # noqa: BLE001 - the database may be away; leadership waits for it
                log.warning("lease not reachable", lease=name, error=type(error).__name__)
                lease = None
                if health is not None:
                    health.failed(error)
            else:
                if health is not None:
                    health.succeeded()
            if lease is not None:
                return lease
            await self._clock.sleep(self.ttl_s / 4)

    async def _keep(self, lease: Lease, pulse: Pulse, database: Database) -> None:
        """Renews in the keeper's thread; returns when the term must end."""
        good_until_s = self._clock.monotonic_s() + self.ttl_s
        while True:
            await self._clock.sleep(self.ttl_s / 4)
            if pulse.is_hung():
                log.error("the event loop is hung: the lease is left to others", lease=lease.name)
                return
            started_s = self._clock.monotonic_s()
            try:
                async with asyncio.timeout(self.ttl_s / 2):
                    await self._renew(lease, database)
                good_until_s = started_s + self.ttl_s
            except LeaseLost:
                log.warning("lease lost", lease=lease.name)
                return
            except Exception as error:  # noqa: BLE001 - a passing database fault; the expiry decides
                log.warning("lease not renewed", lease=lease.name, error=type(error).__name__)
                if self._clock.monotonic_s() >= good_until_s - self.ttl_s / 4:
                    return

    async def _renew(self, lease: Lease, database: Database) -> None:
        await _set_expiry(database, lease, self._clock.now_ms() + int(self.ttl_s * 1000))

    async def _release_quietly(self, lease: Lease, database: Database) -> None:
        try:
            async with asyncio.timeout(self.ttl_s / 4):
                await _set_expiry(database, lease, 0)
        except LeaseLost:
            return
        except Exception as error:  # noqa: BLE001 - it will expire by itself
            log.warning("lease not released", lease=lease.name, error=type(error).__name__)


async def _set_expiry(database: Database, lease: Lease, expires_at_ms: int) -> None:
    statement = (
        update(tables.lease)
        .where(tables.lease.c.name == lease.name, tables.lease.c.fence == lease.fence)
        .values(expires_at_ms=expires_at_ms)
    )
    if await database.write(lambda connection: connection.execute(statement).rowcount) == 0:
        raise LeaseLost(f"the lease {lease.name} went to another process")


async def _cancel(*futures: asyncio.Future[None]) -> None:
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
