"""The part of a running ledger that all ledgers share: database, key, leases, tokens, loops, and the order of start and stop.

A ledger subclasses `LedgerBase` and defines what differs: `surfaces`, `assemble`, `applications` and `start_loops`, and, if it
needs them, `adopt` and `finish_waits`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from strongroom.core.coordination.idempotency import Idempotency, instance_lease
from strongroom.core.coordination.lease import Lease, Leases
from strongroom.core.coordination.loops import Loop, LoopContext, Loops
from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.coordination.rate_store import DatabaseRates, RedisRates
from strongroom.core.errors import KeyBackendAway, Sealed, StrongroomError, VaultError
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.approvals.administration import ApprovalAdministration
from strongroom.core.guard.approvals.carrying_out import Carrier, CarryingOut
from strongroom.core.guard.approvals.parking import ParkedRequests
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.guard.dry_run import DryRun
from strongroom.core.guard.guard import Guard
from strongroom.core.guard.refusals import Refusals
from strongroom.core.guard.rows.binding import tag_existing
from strongroom.core.guard.rows.watch import RowWatch
from strongroom.core.guard.settings import GuardSettings
from strongroom.core.http.door import Dialect
from strongroom.core.http.listener import Surface
from strongroom.core.http.opening import KEYS_AWAY, Headers, Opening
from strongroom.core.http.timing import NO_ROUTE, TimedApplication
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.payments import Payments
from strongroom.core.ledger.contract import AnyLedger, LedgerSettings, Surroundings
from strongroom.core.ledger.inspecting import make_inspection
from strongroom.core.ledger.key_backends import open_backends
from strongroom.core.ledger.opened_keys import OpenedKeys, open_checked
from strongroom.core.ledger.telling import Telling
from strongroom.core.ledger.watching import LedgerWatch
from strongroom.core.ledger.webhooks import LedgerWebhooks
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.telemetry import Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.security.access import ADMIN_SCOPES
from strongroom.core.security.attempts import Attempts, AuditedBursts
from strongroom.core.security.audit import Audit
from strongroom.core.security.authentication import TokenCheck
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.custody.backends import KeyBackends
from strongroom.core.security.custody.custody import CARRY_ON_S, POLL_S, Custody
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.keys.kept import open_kept
from strongroom.core.security.keys.source import KeySource
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.policy import Policy, SigningGate
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.security.short_secrets import require_long_credentials
from strongroom.core.security.tokens import Tokens
from strongroom.core.security.upkeep.token_expiry import CHECK_S as LOOK_S
from strongroom.core.security.upkeep.token_expiry import TokenExpiry
from strongroom.core.security.upkeep.token_uses import WRITE_S, TokenUses
from strongroom.core.security.vault import Vault
from strongroom.core.security.watch import KeyWatch
from strongroom.core.storage.check import CHECK_S, check_database
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.patience import patiently
from strongroom.core.transparency.file import CheckpointFile
from strongroom.core.transparency.inspection import Inspection, TrailCheck
from strongroom.core.transparency.making import Checkpoints
from strongroom.core.transparency.proving import Proofs
from strongroom.core.transparency.settings import CheckpointSettings
from strongroom.core.transparency.tables import SIGNS
from strongroom.core.transparency.watching import Verifications
from strongroom.core.webhooks.settings import WebhookSettings

HOLDER_BYTES = 8
PURGE_S = 3600.0
RATES_PURGE_S = 300.0
APPROVALS_S = 2.0
KEYS_FIRST_S, KEYS_PAUSE_S = 0.5, 5.0
"""Between two looks for a backend of keys that is away at the start."""

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
        self._set_guard(definition, surroundings.guard)
        self._backends = None if settings.key is None else self._open_backends(settings.key)
        self._set_transparency(definition.name, surroundings.checkpoints)
        self.leases = Leases(self.database, self.clock, holder=self.entropy.token(HOLDER_BYTES).hex())
        self.custody = self._make_custody()
        self._sealed: OpenedKeys | None = None
        self._keys_health: WorkHealth | None = None
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

    def _open_backends(self, source: KeySource) -> KeyBackends:
        """What keeps the ledger's keys besides variables and files."""
        backends = open_backends(source, self.clock, self.entropy)
        self.stack.push_async_callback(backends.close)
        return backends

    def _make_custody(self) -> Custody | None:
        """The ledger's keys; None if it seals nothing."""
        holdings, source = self.definition.holdings(), self.settings.key
        if holdings is None or source is None:
            return None
        keeping = Keeping(
            source=source,
            holdings=holdings,
            database=self.database,
            clock=self.clock,
            entropy=self.entropy,
            backends=self._backends,
        )
        return Custody(keeping, self.audit, self.trail_key, self.leases.holder)

    def _set_guard(self, definition: AnyLedger, settings: GuardSettings) -> None:
        """Makes what decides about signatures, and what people do with it."""
        self._refusals = Refusals(definition.name, self.metrics)
        self.guard = Guard(self.clock, settings.default, definition.token_rules(), key=self.trail_key)
        self.rules = GuardAdministration(
            self.database,
            self.audit,
            self.clock,
            self.entropy,
            vocabulary=definition.vocabulary(),
            loosening_delay_ms=settings.loosening_delay_ms,
            approvals=settings.changes,
        )
        self.dry_run = DryRun(self.database, self.tokens, self.guard, self.rules)
        self.payments = Payments(definition.name, self.database, self.clock)
        self.approvals = ApprovalAdministration(
            self.database, self.audit, self.clock, ledger=definition.name, apply=self.rules.apply
        )
        self.withdrawals = Withdrawals(definition.name, self.audit, self.clock)
        self._parked = ParkedRequests(
            self.audit, self.clock, self.entropy, lifetime_ms=settings.approval_lifetime_ms
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
        return self._key.vault

    @property
    def bindings(self) -> Bindings:
        return self._key.bindings

    @property
    def key_watch(self) -> KeyWatch:
        return self._key.watch

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
        if self._backends is None or self._backends.newest is None:
            return
        for opening in self._openings.values():
            opening.wait_for(KEYS_AWAY)
        name = self.component("KeyBackend")
        health = self.loops.watch(name, down_after=1, vital=True, initially=Status.DOWN)
        database.succeeded()
        backoff = Backoff(self.clock, self.entropy, first_s=KEYS_FIRST_S, cap_s=KEYS_PAUSE_S)
        await patiently(self.open_keys, health, backoff)
        self._keys_health = health

    async def open_keys(self) -> None:
        """Opens the keys, unless they are open. It may run several times. Raises as `open`."""
        if self.custody is not None and self._sealed is None:
            self._sealed = await open_checked(
                self.custody, self.component("Keys"), health=self.health, audit=self.audit
            )

    async def open(self) -> None:
        """Prepares the database, opens the keys, assembles the ledger, and lets its surfaces serve.

        Raises:
            VaultError: the key-encryption key is missing, wrong or weak, or other users may read it; or its backend refuses.
            KeyBackendAway: its backend does not answer.
        """
        await self.prepare()
        self._failed = asyncio.get_running_loop().create_future()
        await self.open_keys()
        await self.assemble()
        if self.is_served:
            for name, application in self.applications().items():
                self._openings[name].open(application)
        if self._keys_health is not None:
            self._keys_health.succeeded("answered when the keys were opened")

    async def open_trail(self) -> None:
        """Opens the secret of the audit trail, so that people can administer a ledger that is not open.

        Where there is none, this process writes no rows, and says why to who needs one. A new installation that
        keeps its own key-encryption key gets it now.
        """
        if self.trail_key.is_open:
            return
        if self.is_served and self._backends is not None and self._backends.newest is not None:
            self.trail_key.close("What keeps the key-encryption key has not answered yet")
            return
        try:
            if self.custody is None:
                given = self.definition.trail_secrets(self.settings)
                self.trail_key.open(await open_kept(self.database, given, self.entropy))
            else:
                await self.custody.open()
        except (KeyBackendAway, Sealed, VaultError) as error:
            self.trail_key.close(error.message)
            return
        await tag_existing(self.database, self.audit, SIGNS)

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
        self.loops.start(self._database_loop())
        self.loops.start(
            self.loops.every(self.component("Tokens"), WRITE_S, self.token_uses.write, part="uses")
        )
        expiry = TokenExpiry(self.definition.name, database=self.database, clock=self.clock)
        self.loops.start(self.loops.every(self.component("Tokens"), LOOK_S, expiry.look, part="expiry"))
        if interval_s := self.surroundings.checkpoints.interval_s:
            make = self.loops.every(self.component("Checkpoints"), interval_s, self.checkpoints.make_due)
            self.under("checkpoints", [make])
        RowWatch(self.database, self.audit).start(self.loops, self.component("Rows"))
        if self._own_rates is not None:
            purge = self._own_rates.purge
            self.loops.start(self.loops.every(self.component("Tokens"), RATES_PURGE_S, purge, part="purge"))
        if self._sealed is not None:
            self.background.start(self._sealed.watch.run())
        if self.custody is not None:
            self._start_custody(self.custody)
        if self._idempotency is not None:
            self.loops.start(self.loops.run(self.component("Instance"), self._live))
            self.loops.start(self.loops.every(self.component("Purge"), PURGE_S, self._idempotency.purge))
        self._webhooks.start(self.loops, self.leases, self.metrics)
        self.start_loops()
        LedgerWatch(self).start(self.loops, self.component("Metrics"), self.component("Leases"))

    def when_sealed(self, forget: Callable[[], None]) -> None:
        """`forget` drops what was opened with the ledger's keys; it is called when the service is sealed."""
        if self.custody is not None:
            self.custody.ring.when_closed(forget)

    def _start_custody(self, custody: Custody) -> None:
        name = self.component("Keys")
        self.loops.check(name, custody.check, part="seal")
        self.loops.start(self.loops.every(name, POLL_S, custody.look, part="versions", max_pause_s=POLL_S))
        self.under(
            "keys",
            [self.loops.every(name, CARRY_ON_S, custody.carry_on, part="rotation", wake=custody.news)],
        )

    def _open_rates(self) -> RateLimiter:
        """What counts how often callers ask, in Redis where there is one."""
        health = self.loops.watch(self.component("Tokens"), part="rates")
        if self.surroundings.redis is None:
            self._own_rates = DatabaseRates(self.database, self.clock)
            return RateLimiter(self.clock, self._own_rates, health)
        rates = RedisRates(self.surroundings.redis, self.definition.name, self.clock)
        self.stack.push_async_callback(rates.close)
        return RateLimiter(self.clock, rates, health)

    async def _live(self, context: LoopContext) -> None:
        """Holds the lease that says that this process lives."""

        async def hold(_lease: Lease) -> None:
            await asyncio.Event().wait()

        await self.leases.lead(instance_lease(self.leases.holder), hold, context.health)

    def signing_gate(self, policy: Policy | None = None) -> SigningGate:
        """What every signature of the ledger passes. `policy`: what asks the guard; None: nothing is between."""
        tell, refused = self.payment_events.signed, self._refusals.count
        return SigningGate(policy or self.guard, self.audit, self._parked, tell, refused)

    def carrying_out(self, carrier: Carrier | None) -> Loop:
        """The loop that carries out what people approved, for the process that does the ledger's work.

        `carrier` None: whoever asked must ask again; the loop only ends what is over.
        """
        work = CarryingOut(
            self.definition.name,
            carrier,
            database=self.database,
            audit=self.audit,
            clock=self.clock,
        )
        return self.loops.every(
            self.component("Approvals"), APPROVALS_S, work.advance, wake=self.approvals.decided
        )

    def under(self, lease: str, loops: Sequence[Loop]) -> None:
        """Runs loops in the process that holds the ledger's lease of this name."""
        self.loops.under(self.leases, f"{self.definition.name}.{lease}", loops)

    def _database_loop(self) -> Loop:
        """The check of the database; the vital component is DOWN after one failure and UP after one success."""
        return self.loops.every(
            self.component("Database"),
            CHECK_S,
            partial(check_database, self.database),
            down_after=1,
            max_pause_s=CHECK_S,
            vital=True,
        )

    async def drain(self) -> None:
        self.finish_waits()

    async def close(self) -> None:
        await self.background.close()
        with suppress(StrongroomError):  # the last minute of uses is lost while the database is away
            await self.token_uses.write(everything=True)
            if self.custody is not None:
                await self.custody.leave()
        await self.stack.aclose()

    @property
    def _key(self) -> OpenedKeys:
        if self._sealed is None:
            raise VaultError(f"the ledger {self.definition.name} has no key-encryption key")
        return self._sealed
