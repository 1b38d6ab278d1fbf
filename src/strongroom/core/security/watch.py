"""Checks a running ledger's key and sealed rows, and reports problems in health, log and audit trail."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock, sleep_unless
from strongroom.core.errors import Sealed, StrongroomError, VaultError
from strongroom.core.runtime.telemetry import Health, Status
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings, HeldRow
from strongroom.core.security.custody.backends import KeyBackends
from strongroom.core.security.holdings import SYSTEM, Holdings
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.keys.source import KeySource
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

PAUSE_S = 60.0
RETRY_S = 5.0
"""The pause after a failed check."""
REFUSED = "vault.refuse"
SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A ledger's key-encryption keys, their source, and the rows that they sealed."""

    component: str
    """The name of the health component."""
    source: KeySource
    ring: KeyRing
    holdings: Holdings
    backends: KeyBackends | None = None


class KeyWatch:
    """Checks every sealed row once a minute, and reports a row at once when its use was refused."""

    def __init__(
        self, watched: Watched, *, database: Database, audit: Audit, health: Health, clock: Clock
    ) -> None:
        self._component = watched.component
        self._source = watched.source
        self._backends = watched.backends
        self._ring = watched.ring
        self._holdings = watched.holdings
        self._bindings = Bindings(watched.ring, watched.holdings.kind)
        self._database = database
        self._audit = audit
        self._health = health
        self._clock = clock
        self._problems: dict[str, str] = {}
        self._audited: set[tuple[str, str]] = set()
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def notice(self, name: str, problem: str) -> None:
        """Notes that a row was refused. May be called from any thread."""
        if self._problems.get(name) != problem:
            self._loop.call_soon_threadsafe(self._add, name, problem)

    async def check(self) -> dict[str, str]:
        """Checks all rows and reports to health; returns the problems by the rows' names."""
        if not self._ring.is_open:  # sealed, which health says elsewhere
            self._health.report(self._component, Status.UP)
            return {}
        self._problems = await self._find()
        self._report(len(self._problems))
        await self._write_down()
        return self._problems

    async def run(self) -> None:
        while True:
            pause_s = PAUSE_S
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001 - a failed check must not end the watch
                words = error.message if isinstance(error, StrongroomError) else type(error).__name__
                self._health.report(self._component, Status.DEGRADED, f"cannot be checked: {words}")
                pause_s = RETRY_S
            await sleep_unless(self._wake, self._clock, pause_s)

    async def _find(self) -> dict[str, str]:
        def work(connection: Connection) -> tuple[Sequence[HeldRow], dict[str, str]]:
            rows = self._holdings.rows(connection)
            return rows, self._bindings.problems(connection, rows)

        rows, problems = await self._database.read(work)
        await asyncio.to_thread(self._add_unopened, rows, problems)
        return problems

    def _add_unopened(self, rows: Sequence[HeldRow], problems: dict[str, str]) -> None:
        for row in rows:
            if self._holdings.is_sealed(row) and not self._holdings.opens(self._ring, row):
                problems[row.name] = "does not open with this key-encryption key"

    def _add(self, name: str, problem: str) -> None:
        self._problems[name] = problem
        self._wake.set()

    def _report(self, count: int) -> None:
        names = list(self._problems)
        parts = [f"{name} {self._problems[name]}" for name in names[:SHOWN]]
        if count > SHOWN:
            parts.append(f"and {count - SHOWN} more")
        lost = self._lost_file()
        if lost is not None:
            parts.append(lost)
        if parts:
            self._health.report(self._component, Status.DEGRADED, "; ".join(parts))
        else:
            self._health.report(self._component, Status.UP)

    def _lost_file(self) -> str | None:
        """What is wrong with the installation's own key file. While the process runs, the key in memory can still be saved."""
        if self._source.given is not None or self._is_in_backend():
            return None
        try:
            stored = self._source.load()
            here = {self._ring.key(version).check() for version in self._ring.versions}
        except VaultError as error:
            return error.message
        if stored is None or stored.check() not in here:
            state = "is missing" if stored is None else "has another key"
            return f"{self._source.file} {state}: put it back before this process ends"
        return None

    def _is_in_backend(self) -> bool:
        """Whether the current key is in the database, wrapped, and in no file."""
        try:
            return self._backends is not None and self._backends.has_opened(self._ring.current.check())
        except Sealed:
            return False

    async def _write_down(self) -> None:
        """Writes one log line and one audit row for each new problem."""
        fresh = [problem for problem in self._problems.items() if problem not in self._audited]
        self._audited &= set(self._problems.items())
        if not fresh:
            return

        def work(connection: Connection) -> None:
            for name, problem in fresh:
                self._audit.append(connection, SYSTEM, REFUSED, name, {"why": problem})

        await self._database.write(work)
        for name, problem in fresh:
            log.error("a sealed row is refused", row=name, why=problem)
        self._audited.update(fresh)
