"""What every ledger shows in metrics of its own state, besides what its parts count themselves.

What needs the database is read in one transaction, in a loop of every process. The rest is at hand at the scrape.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from sqlalchemy import Connection, func, select

from strongroom.core.clock import Clock
from strongroom.core.coordination.idempotency import INSTANCE
from strongroom.core.coordination.lease import MAX_SKEW_S, Leases, Watched
from strongroom.core.coordination.loops import Loops
from strongroom.core.guard.approvals import store as approvals
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.guard.tables import freeze
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import STUCK_AFTER_MS
from strongroom.core.intents.tables import intent
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.runtime.readings import Reading, Sample
from strongroom.core.runtime.telemetry import ComponentHealth, Metrics, Status
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.keys.versions import KeyState, KeyVersion, load_versions
from strongroom.core.security.upkeep.token_expiry import DAY_MS
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.transparency.rows import load_heads
from strongroom.core.transparency.store import load_state
from strongroom.core.transparency.tables import checkpoint

EVERY_S: Final = 15.0
FREE_S: Final = 60.0
"""A lease changes hands in seconds; free for longer, its work stands still."""
EXPIRING_DAYS: Final = (1, 7, 14)
FREEZES: Final = ("ledger", "wallet", "token")
COLLECTED: Final[Mapping[str, tuple[str, ...]]] = {
    "payments_open": ("Signed payments whose outcome is not known yet.",),
    "payments_stuck": ("Payments that have been open for more than a minute.",),
    "payments_oldest_open_age_seconds": ("How long the oldest open payment has been open; 0: none is.",),
    "approvals_waiting": ("Requests that wait for approvals.",),
    "freezes": ("Freezes in force, by what they freeze.", "scope"),
    "tokens": ("API tokens that may be used.",),
    "tokens_expiring": ("Active API tokens that expire within so many days.", "days"),
    "token_next_expiry_timestamp_seconds": (
        "When the first active API token expires, in seconds since 1970; absent: none does.",
    ),
    "instances": ("Processes that serve the ledger, by the leases that they hold.",),
    "lease_taken": ("1 while some process holds this lease.", "lease"),
    "lease_holder": ("1: the process `holder` holds this lease.", "lease", "holder"),
    "audit_uncovered_rows": ("Rows of the audit trail that no checkpoint covers yet.",),
    "audit_checkpoint_timestamp_seconds": (
        "When the last checkpoint of the audit trail was made, in seconds since 1970; absent: never.",
    ),
    "key_version": ("The version of the active key-encryption key.",),
    "key_created_timestamp_seconds": (
        "When the active key-encryption key was made known, in seconds since 1970.",
    ),
    "key_versions_replaced": (
        "Earlier key-encryption keys that rows may still be sealed under: above 0 during a rotation.",
    ),
}
"""What the loop collects: by the name without `strongroom_`, what it says and its labels besides `ledger`."""


class Term(NamedTuple):
    """A row of a lease."""

    name: str
    holder: str
    fence: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What one transaction shows."""

    open: int
    stuck: int
    oldest_open_ms: int | None
    approvals: int
    freezes: dict[str, int]
    expiries_ms: Sequence[int]
    """Of the active tokens that expire at all, the first to expire first."""
    tokens: int
    leases: Sequence[Term]
    """Those that were renewed lately, by whatever clock."""
    keys: Sequence[KeyVersion]


class Observed(Protocol):
    """What is asked of a ledger."""

    definition: AnyLedger
    database: Database
    leases: Leases
    custody: Custody | None
    clock: Clock
    metrics: Metrics


class LedgerWatch:
    """The state of one ledger in metrics."""

    def __init__(self, ledger: Observed) -> None:
        self._ledger = ledger.definition.name
        self._database = ledger.database
        self._leases = ledger.leases
        self._custody = ledger.custody
        self._clock = ledger.clock
        self._metrics = ledger.metrics
        self._terms = Watched(ledger.clock, ledger.leases.ttl_s)
        self._free_since_s: dict[str, float] = {}
        """Since when this process has seen that nobody holds a lease."""
        self._collected = {name: self._reading(name, *of) for name, of in COLLECTED.items()}

    def start(self, loops: Loops, component: str, leases: str) -> None:
        """`component` is that of the collections, `leases` the one that shows work which nobody does."""
        self._show_what_is_at_hand()
        loops.check(leases, self.check, part="")
        loops.start(loops.collect(component, "ledger", self.read, every_s=EVERY_S))
        # Apart: whoever breaks the checkpoints hides no payment.
        loops.start(loops.collect(component, "trail", self.read_trail, every_s=EVERY_S))

    async def read(self) -> list[Sample]:
        now_ms = self._clock.now_ms()
        found = await self._database.read(lambda connection: _find(connection, now_ms))
        holders = {one.name: one.holder for one in found.leases if not self._has_ended(one)}
        self._note_free(holders)
        parts = (self._payments, self._tokens, self._keys)
        samples = [sample for part in parts for sample in part(found, now_ms)]
        return [*samples, *self._leaders(holders)]

    def check(self) -> ComponentHealth:
        """Health: DEGRADED while work of every process stands by, because nobody gets its lease."""
        now_s = self._clock.monotonic_s()
        free = [name for name, since_s in self._free_since_s.items() if now_s - since_s >= FREE_S]
        if not free:
            return ComponentHealth(status=Status.UP)
        detail = f"nobody holds {', '.join(sorted(free))}: this work stands still"
        return ComponentHealth(status=Status.DEGRADED, detail=detail)

    def _has_ended(self, term: Term) -> bool:
        return self._terms.has_ended(term.name, term.fence, term.expires_at_ms)

    def _note_free(self, holders: Mapping[str, str]) -> None:
        now_s, known = self._clock.monotonic_s(), self._free_since_s
        free = [name for name in self._leases.wanted if name not in holders]
        self._free_since_s = {name: known.get(name, now_s) for name in free}

    async def read_trail(self) -> list[Sample]:
        """Raises: CheckpointsBroken, and as `read`."""
        at_ms, uncovered = await self._database.read(_find_trail)
        samples = [self._sample("audit_uncovered_rows", uncovered)]
        if at_ms is not None:
            samples.append(self._sample("audit_checkpoint_timestamp_seconds", at_ms / 1000))
        return samples

    def _payments(self, found: _Found, now_ms: int) -> Iterator[Sample]:
        oldest_s = 0.0 if found.oldest_open_ms is None else max(0, now_ms - found.oldest_open_ms) / 1000
        yield self._sample("payments_open", found.open)
        yield self._sample("payments_stuck", found.stuck)
        yield self._sample("payments_oldest_open_age_seconds", oldest_s)
        yield self._sample("approvals_waiting", found.approvals)
        for scope in FREEZES:
            yield self._sample("freezes", found.freezes.get(scope, 0), scope)

    def _tokens(self, found: _Found, now_ms: int) -> Iterator[Sample]:
        yield self._sample("tokens", found.tokens)
        for days in EXPIRING_DAYS:
            number = sum(at_ms <= now_ms + days * DAY_MS for at_ms in found.expiries_ms)
            yield self._sample("tokens_expiring", number, str(days))
        if found.expiries_ms:
            yield self._sample("token_next_expiry_timestamp_seconds", found.expiries_ms[0] / 1000)

    def _leaders(self, holders: Mapping[str, str]) -> Iterator[Sample]:
        yield self._sample("instances", sum(name.startswith(INSTANCE) for name in holders))
        for name in self._leases.wanted:
            yield self._sample("lease_taken", float(name in holders), name)
            if name in holders:
                yield self._sample("lease_holder", 1, name, holders[name])

    def _keys(self, found: _Found, _now_ms: int) -> Iterator[Sample]:
        active = next((one for one in found.keys if one.state is KeyState.ACTIVE), None)
        if active is None:
            return
        yield self._sample("key_version", active.version)
        yield self._sample("key_created_timestamp_seconds", active.created_at_ms / 1000)
        replaced = sum(one.state is KeyState.REPLACED for one in found.keys)
        yield self._sample("key_versions_replaced", replaced)

    def _show_what_is_at_hand(self) -> None:
        name, leases, custody = self._ledger, self._leases, self._custody
        held = self._reading("lease_held", "1 while this process holds the lease.", "lease")
        held.follow(name, lambda: [((name, one), float(is_held)) for one, is_held in leases.wanted.items()])
        instance = self._reading("instance_info", "The name under which this process holds leases.", "holder")
        instance.show(name, [((name, leases.holder), 1)])
        if custody is not None:
            sealed = self._reading(
                "sealed", "1 while the ledger is sealed in this process, and signs nothing."
            )
            sealed.show(name, [((name,), lambda: float(custody.check().status is Status.SEALED))])
        loads = self._database.loads
        size = self._reading("database_pool_size", "Connections that the pool has at most.", "pool")
        size.show(name, [((name, one.name), one.size) for one in loads])
        in_use = self._reading("database_pool_in_use", "Connections in use.", "pool")
        in_use.follow(name, lambda: [((name, one.name), one.in_use) for one in loads])
        waiting = self._reading("database_pool_waiting", "Units of work that wait for a connection.", "pool")
        waiting.follow(name, lambda: [((name, one.name), one.waiting) for one in loads])
        waits = self._reading(
            "database_pool_waits", "Units of work that found all connections in use.", "pool", counts=True
        )
        waits.follow(name, lambda: [((name, one.name), one.waits) for one in loads])

    def _sample(self, name: str, value: float, *labels: str) -> Sample:
        return Sample(self._collected[name], (self._ledger, *labels), value)

    def _reading(self, name: str, text: str, *labels: str, counts: bool = False) -> Reading:
        return self._metrics.reading(f"strongroom_{name}", text, ("ledger", *labels), counts=counts)


def _find(connection: Connection, now_ms: int) -> _Found:
    intents, tokens, leases = intent.c, tables.token.c, tables.lease.c
    is_open = intents.outcome == Outcome.OPEN.value
    number, oldest_ms = connection.execute(
        select(func.count(), func.min(intents.created_at_ms)).where(is_open)
    ).one()
    stuck = select(func.count()).where(is_open, intents.created_at_ms <= now_ms - STUCK_AFTER_MS)
    active = (
        tokens.revoked_at_ms.is_(None),
        tokens.expires_at_ms.is_(None) | (tokens.expires_at_ms > now_ms),
    )
    frozen = (
        select(freeze.c.scope, func.count()).where(freeze.c.ended_at_ms.is_(None)).group_by(freeze.c.scope)
    )
    expiries = select(tokens.expires_at_ms).where(*active).order_by(tokens.expires_at_ms)
    expiries_ms = connection.execute(expiries).scalars().all()
    terms = select(leases.name, leases.holder, leases.fence, leases.expires_at_ms).where(
        leases.expires_at_ms > now_ms - int(MAX_SKEW_S * 1000)
    )
    return _Found(
        open=number,
        stuck=connection.execute(stuck).scalar_one(),
        oldest_open_ms=oldest_ms,
        approvals=approvals.count(connection, (ApprovalState.PARKED,), now_ms),
        freezes={row.scope: row[1] for row in connection.execute(frozen)},
        expiries_ms=[at_ms for at_ms in expiries_ms if at_ms is not None],
        tokens=len(expiries_ms),
        leases=[Term(*row) for row in connection.execute(terms)],
        keys=load_versions(connection),
    )


def _find_trail(connection: Connection) -> tuple[int | None, int]:
    """When the last checkpoint was made, and how many rows none covers."""
    heads, covered = load_heads(connection), load_state(connection).positions
    uncovered = sum(max(0, last - covered.get(lane, 0)) for lane, last in heads.items())
    return connection.execute(select(func.max(checkpoint.c.at_ms))).scalar(), uncovered
