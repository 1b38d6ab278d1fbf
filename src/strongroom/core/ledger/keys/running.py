"""The key-encryption keys of a running ledger: what keeps them, when they are opened, and what follows their changes."""

from contextlib import AsyncExitStack
from typing import Final, Protocol

from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.lease import Leases
from strongroom.core.coordination.loops import Loops
from strongroom.core.errors import KeyBackendAway, Sealed, VaultError
from strongroom.core.guard.rows.binding import tag_existing
from strongroom.core.ledger.contract import AnyLedger, LedgerSettings
from strongroom.core.ledger.keys.backends import open_backends
from strongroom.core.ledger.keys.opened import OpenedKeys, open_checked
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.telemetry import Health, Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.security.audit import Audit
from strongroom.core.security.custody.backends import KeyBackends
from strongroom.core.security.custody.custody import CARRY_ON_S, POLL_S, Custody
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.keys.kept import open_kept
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage.database import Database
from strongroom.core.storage.patience import patiently
from strongroom.core.transparency.tables import SIGNS

KEYS_FIRST_S: Final = 0.5
KEYS_PAUSE_S: Final = 5.0
"""Between two looks for a backend of keys that is away at the start."""


class Keyed(Protocol):
    """What is asked of a ledger."""

    definition: AnyLedger
    database: Database
    audit: Audit
    trail_key: TrailKey
    leases: Leases
    clock: Clock
    entropy: Entropy
    health: Health
    loops: Loops
    background: Background
    stack: AsyncExitStack

    @property
    def settings(self) -> LedgerSettings: ...

    @property
    def is_served(self) -> bool: ...


class LedgerKeys:
    """The keys of one running ledger."""

    def __init__(self, ledger: Keyed) -> None:
        self._ledger = ledger
        self._name = f"{ledger.definition.name}Keys"
        """The component of health."""
        self._backends = self._open_backends()
        self.custody = self._make_custody()
        """None if the ledger seals nothing."""
        self._opened: OpenedKeys | None = None
        self._backend_health: WorkHealth | None = None

    def _open_backends(self) -> KeyBackends | None:
        """What keeps the ledger's keys besides variables and files."""
        ledger = self._ledger
        if ledger.settings.key is None:
            return None
        backends = open_backends(ledger.settings.key, ledger.clock, ledger.entropy)
        ledger.stack.push_async_callback(backends.close)
        return backends

    def _make_custody(self) -> Custody | None:
        ledger = self._ledger
        holdings, source = ledger.definition.holdings(), ledger.settings.key
        if holdings is None or source is None:
            return None
        keeping = Keeping(
            source=source,
            holdings=holdings,
            database=ledger.database,
            clock=ledger.clock,
            entropy=ledger.entropy,
            backends=self._backends,
        )
        return Custody(keeping, ledger.audit, ledger.trail_key, ledger.leases.holder)

    @property
    def opened(self) -> OpenedKeys:
        """What there is once the keys are open. Raises: VaultError: the ledger has none."""
        if self._opened is None:
            raise VaultError(f"the ledger {self._ledger.definition.name} has no key-encryption key")
        return self._opened

    @property
    def are_elsewhere(self) -> bool:
        """Whether a backend keeps the key-encryption key, which may be away."""
        return self._backends is not None and self._backends.newest is not None

    async def wait(self, database: WorkHealth) -> None:
        """Opens the keys as soon as the backend that keeps them answers; until then health says why the ledger waits.

        `database` is the health of the database, which is not what is waited for.

        Raises:
            VaultError: as `open`; waiting does not help.
        """
        ledger = self._ledger
        health = self._backend_health = ledger.loops.watch(
            f"{ledger.definition.name}KeyBackend", down_after=1, vital=True, initially=Status.DOWN
        )
        database.succeeded()
        backoff = Backoff(ledger.clock, ledger.entropy, first_s=KEYS_FIRST_S, cap_s=KEYS_PAUSE_S)
        await patiently(self.open, health, backoff)

    async def open(self) -> None:
        """Opens the keys, unless they are open. It may run several times.

        Raises:
            VaultError: the key-encryption key is missing, wrong or weak, or other users may read it; or its backend refuses.
            KeyBackendAway: its backend does not answer.
        """
        if self.custody is not None and self._opened is None:
            self._opened = await open_checked(
                self.custody, self._name, health=self._ledger.health, audit=self._ledger.audit
            )

    def say_answered(self) -> None:
        """Tells health, now that the ledger is open, that the backend which it waited for has answered."""
        if self._backend_health is not None:
            self._backend_health.succeeded("answered when the keys were opened")

    async def open_trail(self) -> None:
        """Opens the secret of the audit trail, so that people can administer a ledger that is not open.

        Where there is none, this process writes no rows, and says why to who needs one. A new installation that
        keeps its own key-encryption key gets it now.
        """
        ledger = self._ledger
        if ledger.trail_key.is_open:
            return
        if ledger.is_served and self.are_elsewhere:
            ledger.trail_key.close("What keeps the key-encryption key has not answered yet")
            return
        try:
            if self.custody is None:
                given = ledger.definition.trail_secrets(ledger.settings)
                ledger.trail_key.open(await open_kept(ledger.database, given, ledger.entropy))
            else:
                await self.custody.open()
        except (KeyBackendAway, Sealed, VaultError) as error:
            ledger.trail_key.close(error.message)
            return
        await tag_existing(ledger.database, ledger.audit, SIGNS)

    def start(self) -> None:
        """Starts what looks for changes of the keys."""
        ledger = self._ledger
        if self._opened is not None:
            ledger.background.start(self._opened.watch.run())
        if self.custody is not None:
            self._follow(self.custody)

    def _follow(self, custody: Custody) -> None:
        loops, name = self._ledger.loops, self._name
        loops.check(name, custody.check, part="seal")
        loops.start(loops.every(name, POLL_S, custody.look, part="versions", max_pause_s=POLL_S))
        loops.under(
            self._ledger.leases,
            f"{self._ledger.definition.name}.keys",
            [loops.every(name, CARRY_ON_S, custody.carry_on, part="rotation", wake=custody.news)],
        )
