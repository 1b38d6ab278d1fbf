"""Fenced leases in the database, which decide what process does a piece of work and show which processes are alive.

A lease has a holder, an expiry and a fence: a number that grows with every new holder. Work under a lease calls `Lease.check` in
its write transactions. If the process was paused until its lease expired, it finds a higher fence there and writes nothing.

The clocks of hosts that share a database need not agree (`Watched`): a lease has expired for a process that sees its row unchanged
for the length of a term, by the process's own monotonic clock. Only a process that has not looked for so long believes the
calendar, and not before the expiry is a minute past.

A thread of its own renews leases (`core.coordination.keeper`), so that no lease expires because the event loop is busy.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection, select, update

from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.keeper import Keeper, Pulse
from strongroom.core.errors import LeaseLost
from strongroom.core.runtime.background import cancel_all
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, locking
from strongroom.core.storage.errors import Duplicate

log = structlog.get_logger(__name__)

DEFAULT_TTL_S = 7.0
RELEASED = 0
"""The expiry of a lease that its holder gave back."""
MAX_SKEW_S = 60.0
"""Calendars of hosts may differ by this much."""
HOLDER_BYTES = 8
LOOKS = 8
"""How often in a term others look for a lease."""


def holder_name(entropy: Entropy) -> str:
    """A name for this process: its machine and process id, for people, and what no other process has."""
    machine = socket.gethostname().encode("ascii", "replace").decode()
    return f"{machine[:36]}:{os.getpid()}:{entropy.token(HOLDER_BYTES).hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One term of one holder: from taking the lease until it expires, is released or is lost."""

    name: str
    holder: str
    fence: int

    def check(self, connection: Connection) -> None:
        """Makes sure that this term still holds, so that no other holder starts before the commit.

        It writes the lease's row: a row that is only locked is locked on one database node, and another node would give the
        lease away meanwhile. On SQLite there is one writer, so that reading it is enough.

        Raises:
            LeaseLost: another process has the lease.
        """
        columns = tables.lease.c
        this_term = (columns.name == self.name, columns.fence == self.fence)
        if connection.dialect.name == "sqlite":
            holds = connection.execute(select(columns.fence).where(*this_term)).first() is not None
        else:
            checked = update(tables.lease).where(*this_term).values(checks=columns.checks + 1)
            holds = connection.execute(checked).rowcount > 0
        if not holds:
            raise LeaseLost(f"the lease {self.name} went to another process")


class Watched:
    """The leases that this process has seen others hold, and since when each looks as it does."""

    def __init__(self, clock: Clock, ttl_s: float) -> None:
        self._clock = clock
        self._ttl_s = ttl_s
        self._seen: dict[str, tuple[int, int, float]] = {}

    def has_ended(self, name: str, fence: int, expires_at_ms: int) -> bool:
        """Whether nobody renews the term any more. Each renewal of a living holder changes the row."""
        if expires_at_ms == RELEASED or self._clock.now_ms() - expires_at_ms >= MAX_SKEW_S * 1000:
            self._seen.pop(name, None)
            return True
        now_s = self._clock.monotonic_s()
        seen = self._seen.get(name)
        if seen is None or seen[:2] != (fence, expires_at_ms):
            self._seen[name] = (fence, expires_at_ms, now_s)
            return False
        return now_s - seen[2] >= self._ttl_s


class Leases:
    """Takes, renews and releases leases in the name of one process (`holder`)."""

    def __init__(self, database: Database, clock: Clock, holder: str, ttl_s: float = DEFAULT_TTL_S) -> None:
        self._database = database
        self._clock = clock
        self._keeper = Keeper(database)
        self.holder = holder
        self.ttl_s = ttl_s
        self._watched = Watched(clock, ttl_s)
        self.wanted: dict[str, bool] = {}
        """The leases of work that this process shares with others: whether it holds them."""

    async def acquire(self, name: str) -> Lease | None:
        """Takes a free or expired lease; None if another process has it, or may have it: see `Watched`."""
        now_ms = self._clock.now_ms()
        expires_at_ms = now_ms + int(self.ttl_s * 1000)

        def work(connection: Connection) -> int | None:
            columns = tables.lease.c
            row = connection.execute(locking(select(tables.lease).where(columns.name == name))).first()
            if row is not None and not self._watched.has_ended(name, row.fence, row.expires_at_ms):
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
            return None  # another process inserted the first row
        return None if fence is None else Lease(name=name, holder=self.holder, fence=fence)

    async def renew(self, lease: Lease) -> None:
        """Extends the term.

        Raises:
            LeaseLost: another process has the lease.
        """
        await self._renew(lease, self._database)

    async def release(self, lease: Lease) -> None:
        """Ends the term, so that another process can take the lease at once."""
        with contextlib.suppress(LeaseLost):
            await _set_expiry(self._database, lease, RELEASED)

    async def is_held(self, name: str) -> bool:
        row = await self._database.fetch_one(select(tables.lease).where(tables.lease.c.name == name))
        return row is not None and not self._watched.has_ended(name, row.fence, row.expires_at_ms)

    async def lead(
        self, name: str, work: Callable[[Lease], Awaitable[None]], health: WorkHealth | None = None
    ) -> None:
        """Runs `work` whenever this process holds the lease, until cancelled.

        `work` is cancelled when the lease is not renewed in time, and starts again with the next term. `health` learns
        whether the database answers the question for the lease.
        """
        async with self._keeper.running():
            while True:
                lease = await self._acquire_patiently(name, health)
                log.info("lease taken", lease=name, fence=lease.fence)
                self._note(name, holds=True)
                worker = asyncio.ensure_future(work(lease))
                keeper = asyncio.ensure_future(
                    self._keeper.run(partial(self._keep, lease, Pulse(self._clock)))
                )
                try:
                    await asyncio.wait({worker, keeper}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    self._note(name, holds=False)
                    await cancel_all((worker, keeper))
                    # On the keeper's connection, so that it comes after a renewal that is still running there.
                    await self._keeper.run(partial(self._release_quietly, lease))
                if worker.done() and not worker.cancelled() and (error := worker.exception()) is not None:
                    log.error("work under a lease failed", lease=name, error=repr(error))
                await self._clock.sleep(1.0)

    def _note(self, name: str, *, holds: bool) -> None:
        if name in self.wanted:
            self.wanted[name] = holds

    async def _acquire_patiently(self, name: str, health: WorkHealth | None) -> Lease:
        while True:
            try:
                lease = await self.acquire(name)
            except Exception as error:  # noqa: BLE001 - whatever failed, the process asks for the lease again
                log.warning("lease not reachable", lease=name, error=type(error).__name__)
                lease = None
                if health is not None:
                    health.failed(error)
            else:
                if health is not None:
                    health.succeeded()
            if lease is not None:
                return lease
            await self._clock.sleep(self.ttl_s / LOOKS)

    async def _keep(self, lease: Lease, pulse: Pulse, database: Database) -> None:
        """Renews in the keeper's thread; returns when the term must end.

        The term ends here a quarter of its length before the lease expires, so that this process stops before another starts.
        """
        good_until_s = self._clock.monotonic_s() + self.ttl_s
        while True:
            await self._clock.sleep(self.ttl_s / 4)
            if pulse.is_hung():
                log.error("the event loop is hung: another process may take the lease", lease=lease.name)
                return
            started_s = self._clock.monotonic_s()
            try:
                async with asyncio.timeout(self.ttl_s / 2):
                    await self._renew(lease, database)
                good_until_s = started_s + self.ttl_s
            except LeaseLost:
                log.warning("lease lost", lease=lease.name)
                return
            except Exception as error:  # noqa: BLE001 - the database may answer again before the lease expires
                log.warning("lease not renewed", lease=lease.name, error=type(error).__name__)
                if self._clock.monotonic_s() >= good_until_s - self.ttl_s / 4:
                    log.warning("lease lost", lease=lease.name)
                    return

    async def _renew(self, lease: Lease, database: Database) -> None:
        await _set_expiry(database, lease, self._clock.now_ms() + int(self.ttl_s * 1000))

    async def _release_quietly(self, lease: Lease, database: Database) -> None:
        try:
            async with asyncio.timeout(self.ttl_s / 4):
                await _set_expiry(database, lease, RELEASED)
        except LeaseLost:
            return
        except Exception as error:  # noqa: BLE001 - the lease expires by itself
            log.warning("lease not released", lease=lease.name, error=type(error).__name__)


async def _set_expiry(database: Database, lease: Lease, expires_at_ms: int) -> None:
    statement = (
        update(tables.lease)
        .where(tables.lease.c.name == lease.name, tables.lease.c.fence == lease.fence)
        .values(expires_at_ms=expires_at_ms)
    )
    if await database.write(lambda connection: connection.execute(statement).rowcount) == 0:
        raise LeaseLost(f"the lease {lease.name} went to another process")
