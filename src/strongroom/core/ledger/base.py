"""The part of a running ledger that all ledgers share: database, key, leases, tokens, loops, and the order of start and stop.

A ledger subclasses `LedgerBase` and defines what differs: `surfaces`, `assemble`, `applications` and `start_loops`, and, if it
needs them, `adopt` and `finish_waits`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from strongroom.core.coordination.idempotency import Idempotency
from strongroom.core.coordination.lease import Leases, holder_name
from strongroom.core.coordination.loops import Loop, Loops
from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.coordination.rate_store import DatabaseRates, RedisRates
from strongroom.core.errors import StrongroomError
from strongroom.core.guard.approvals.carrying_out import Carrier
from strongroom.core.guard.settings import GuardSettings
from strongroom.core.http.door import Dialect
from strongroom.core.http.listener import Surface
from strongroom.core.http.opening import KEYS_AWAY, Headers, Opening
from strongroom.core.http.timing import NO_ROUTE, TimedApplication
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.payments import Payments
from strongroom.core.ledger.browsing.browser import NoWallets, WalletBrowser
from strongroom.core.ledger.contract import AnyLedger, LedgerSettings
from strongroom.core.ledger.guarding import LedgerGuard
from strongroom.core.ledger.inspecting import make_inspection
from strongroom.core.ledger.keys.running import LedgerKeys
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.ledger.telling import Telling
from strongroom.core.ledger.upkeep import start_remembering, start_upkeep
from strongroom.core.ledger.watching import LedgerWatch
from strongroom.core.ledger.webhooks import LedgerWebhooks
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.security.access import ADMIN_SCOPES
from strongroom.core.security.attempts import Attempts, AuditedBursts
from strongroom.core.security.audit import Audit
from strongroom.core.security.authentication import TokenCheck
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.policy import Policy, SigningGate
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.security.short_secrets import require_long_credentials
from strongroom.core.security.tokens import Tokens
from strongroom.core.security.upkeep.token_uses import TokenUses
from strongroom.core.security.vault import Vault
from strongroom.core.security.watch import KeyWatch
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.core.transparency.file import CheckpointFile
from strongroom.core.transparency.inspection import Inspection, TrailCheck
from strongroom.core.transparency.making import Checkpoints
from strongroom.core.transparency.proving import Proofs
from strongroom.core.transparency.settings import CheckpointSettings
from strongroom.core.transparency.watching import Verifications
from strongroom.core.webhooks.settings import WebhookSettings

S = TypeVar("S", bound=LedgerSettings)


class LedgerBase(ABC, Generic[S]):
    """Implements `core.ledger.contract.Ledger`. A subclass may use all attributes without a leading underscore."""

    def __init__(self, definition: AnyLedger, settings: S, surroundings: Surroundings) -> None:
        self.definition = definition
        self.settings = settings
        self.surroundings = surroundings
        self.clock = surroundings.clock
        self.entropy = surroundings.entropy
        self.health = surroundings.health
        self.metrics = surroundings.metrics
        self.stack = AsyncExitStack()
        """Closes what the ledger opened, in reverse order."""
        self.background = Background()
        self.loops = Loops(
            health=self.health,
            metrics=self.metrics,
            clock=self.clock,
            entropy=self.entropy,
            background=self.background,
            ledger=definition.name,
        )
        self.database = Database(settings.database)
        self.stack.push_async_callback(self.database.close)
        self.trail_key = TrailKey()
        self.audit = Audit(self.clock, self.trail_key)
        self._set_webhooks(definition, surroundings.webhooks)
        self.tokens = Tokens(
            self.database,
            self.audit,
            self.clock,
            self.entropy,
            scopes=[*definition.scopes(), f"{definition.name}:*", "*", *ADMIN_SCOPES],
        )
        self._own_rates: DatabaseRates | None = None
        self.rates = self._open_rates()
        self.token_uses = TokenUses(self.database, self.audit, self.clock)
        self.token_check = TokenCheck(
            self.database, self.clock, self.token_uses, self.rates, TokenRows(self.trail_key)
        )
        self.bursts = AuditedBursts(self.database, self.audit, self.background)
        self.attempts = Attempts(
            definition.name,
            self.clock,
            self.entropy,
            self.metrics,
            self.bursts,
            free=surroundings.free_attempts,
        )
        self._set_guard(surroundings.guard)
        self._set_transparency(definition.name, surroundings.checkpoints)
        self.leases = Leases(self.database, self.clock, holder=holder_name(self.entropy))
        self._keys = LedgerKeys(self)
        self.custody = self._keys.custody
        self._openings: dict[str, Opening] = {}
        self._failed: asyncio.Future[None] | None = None
        self._is_prepared = False
        self._idempotency: Idempotency | None = None

    def _set_webhooks(self, definition: AnyLedger, settings: WebhookSettings) -> None:
        """Makes what tells the outside of events, before whatever announces one."""
        self._webhooks = LedgerWebhooks(
            definition,
            settings,
            database=self.database,
            audit=self.audit,
            key=self.trail_key,
            clock=self.clock,
            entropy=self.entropy,
        )
        self.webhooks = self._webhooks.administration
        self.announcer = self._webhooks.announcer
        self.payment_events = self._webhooks.payment_events
        self.payment_events.measure(self.metrics)

    def _set_guard(self, settings: GuardSettings) -> None:
        """Makes what decides about signatures, and what people do with it."""
        self._guarding = LedgerGuard(self, settings)
        self.guard = self._guarding.guard
        self.rules = self._guarding.rules
        self.dry_run = self._guarding.dry_run
        self.approvals = self._guarding.approvals
        self.withdrawals = self._guarding.withdrawals
        self.payments = Payments(
            self.definition.name, self.database, self.clock, self.definition.executions()
        )

    def _set_transparency(self, name: str, settings: CheckpointSettings) -> None:
        """Makes what proves the audit trail to others."""
        file = None if settings.file is None else CheckpointFile(settings.file)
        self.checkpoints = Checkpoints(name, self.database, self.trail_key, self.clock, file, self.announcer)
        self.proofs = Proofs(name, self.database)
        self.verifications = Verifications(self.inspection, self.background, self.clock, file)

    def inspection(self) -> Inspection:
        return make_inspection(self)

    def keeps_payment(self, kind: str, at_ms: int) -> bool:
        """Whether a signed payload of this kind and time must still be stored."""
        return self.definition.keeps_payment(self.settings, kind, self.clock.now_ms() - at_ms)

    def own_checks(self) -> Sequence[TrailCheck]:
        """What `strongroom audit verify` checks of this ledger's own rows."""
        return ()

    # A ledger defines these.

    @abstractmethod
    def surfaces(self) -> list[Surface]:
        """The ledger's surfaces, each with `self.opening(name, ...)` as its application."""

    def tellings(self, _connection: Connection, _intent: Intent) -> Sequence[Telling]:
        return ()

    async def has_wallet(self, name: str) -> bool | None:
        """Whether there is a wallet of this name, so that a misspelt freeze is found; None: the ledger does not say."""
        del name
        return None

    def browser(self) -> WalletBrowser:
        return NoWallets()

    async def adopt(self) -> None:
        """Adopts the data that another program left in the database. It may run several times."""

    @abstractmethod
    async def assemble(self) -> None:
        """Makes all objects of the ledger. At this point the schema is up to date and the key is open."""

    @abstractmethod
    def applications(self) -> Mapping[str, Any]:
        """The ASGI application of each surface, by the surface's name. Called after `assemble` if the process serves."""

    @abstractmethod
    def start_loops(self) -> None:
        """Starts the ledger's loops: `self.loops.start(self.loops.every(...))`, `self.under(...)`."""

    def finish_waits(self) -> None:
        """Answers callers that wait for an outcome with what is known now, because the process stops soon."""

    # The base does the rest.

    def component(self, part: str) -> str:
        """A name for health: `toyNode` for the part `Node` of the ledger `toy`."""
        return f"{self.definition.name}{part}"

    def opening(
        self, surface: str, dialect: Dialect, headers: Headers = (), route: str = NO_ROUTE
    ) -> TimedApplication:
        """The application of a surface: 503 until the ledger is open. `route`: how metrics name an application without routes."""
        self._openings[surface] = opening = Opening(dialect, headers)
        return TimedApplication(opening, self.metrics, route, self.definition.name)

    def remember_requests(self) -> Idempotency:
        """The ledger's Idempotency-Keys. `assemble` calls it once; their lease and their purge run from `start` on."""
        self._idempotency = Idempotency(self.database, self.clock, self.leases)
        return self._idempotency

    @property
    def is_served(self) -> bool:
        """Whether this process serves the surfaces; known before the ledger opens."""
        return bool(self._openings)

    @property
    def vault(self) -> Vault:
        return self._keys.opened.vault

    @property
    def bindings(self) -> Bindings:
        return self._keys.opened.bindings

    @property
    def key_watch(self) -> KeyWatch:
        return self._keys.opened.watch

    async def prepare(self) -> None:
        await require_long_credentials(self.database, self.settings.short_credentials)
        await migrate(self.database, [self.definition.revisions])
        await self.adopt()
        await self.open_trail()
        self._is_prepared = True

    @property
    def is_prepared(self) -> bool:
        return self._is_prepared

    def waiting(self) -> WorkHealth:
        return self.loops.watch(self.component("Database"), down_after=1, vital=True, initially=Status.DOWN)

    async def wait_for_keys(self, database: WorkHealth) -> None:
        """Opens the keys as soon as the backend that keeps them answers; until then health and surfaces say why they wait.

        `database` is what `waiting` gave: the database is not what is waited for.

        Raises:
            VaultError: as `open`; waiting does not help.
        """
        if self._keys.are_elsewhere:
            for opening in self._openings.values():
                opening.wait_for(KEYS_AWAY)
            await self._keys.wait(database)

    async def open(self) -> None:
        """Prepares the database, opens the keys, assembles the ledger, and lets its surfaces serve.

        Raises:
            VaultError: the key-encryption key is missing, wrong or weak, or other users may read it; or its backend refuses.
            KeyBackendAway: its backend does not answer.
        """
        await self.prepare()
        self._failed = asyncio.get_running_loop().create_future()
        await self._keys.open()
        await self.assemble()
        if self.is_served:
            for name, application in self.applications().items():
                self._openings[name].open(application)
        self._keys.say_answered()

    async def open_trail(self) -> None:
        await self._keys.open_trail()

    @property
    def failed(self) -> asyncio.Future[None]:
        if self._failed is None:
            raise AssertionError("the ledger is not open")
        return self._failed

    def fail(self, error: Exception) -> None:
        """Reports that a person must act before the work continues. A process without other work ends with this error."""
        if not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()  # marks it as seen; if no caller waits for it, health has reported it

    def start(self) -> None:
        start_upkeep(self, self._own_rates)
        self._keys.start()
        if self._idempotency is not None:
            start_remembering(self, self._idempotency)
        self._webhooks.start(self.loops, self.leases, self.metrics)
        self.start_loops()
        LedgerWatch(self).start(self.loops, self.component("Metrics"), self.component("Leases"))

    def when_sealed(self, forget: Callable[[], None]) -> None:
        """`forget` drops what was opened with the ledger's keys; it is called when the service is sealed."""
        if self.custody is not None:
            self.custody.ring.when_closed(forget)

    def _open_rates(self) -> RateLimiter:
        """What counts how often callers ask, in Redis where there is one."""
        health = self.loops.watch(self.component("Tokens"), part="rates")
        if self.surroundings.redis is None:
            self._own_rates = DatabaseRates(self.database, self.clock)
            return RateLimiter(self.clock, self._own_rates, health)
        rates = RedisRates(self.surroundings.redis, self.definition.name, self.clock)
        self.stack.push_async_callback(rates.close)
        return RateLimiter(self.clock, rates, health)

    def signing_gate(self, policy: Policy | None = None) -> SigningGate:
        """What every signature of the ledger passes. `policy`: what asks the guard; None: nothing is between."""
        return self._guarding.signing_gate(policy)

    def carrying_out(self, carrier: Carrier | None) -> Loop:
        """The loop that carries out what people approved, for the process that does the ledger's work.

        `carrier` None: whoever asked must ask again; the loop only ends what is over.
        """
        return self._guarding.carrying_out(carrier)

    def under(self, lease: str, loops: Sequence[Loop]) -> None:
        """Runs loops in the process that holds the ledger's lease of this name."""
        self.loops.under(self.leases, f"{self.definition.name}.{lease}", loops)

    async def drain(self) -> None:
        self.finish_waits()

    async def close(self) -> None:
        await self.background.close()
        with suppress(StrongroomError):  # the last minute of uses is lost while the database is away
            await self.token_uses.write(everything=True)
            if self.custody is not None:
                await self.custody.leave()
        await self.stack.aclose()
