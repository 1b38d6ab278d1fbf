"""The rules and freezes that count now, read in the transaction of every signature.

Each process keeps what it read together with the generation that it read it at. A signature reads the generation, which is
one row; only after a change are the rules themselves read again. Generations are random numbers: where a change that was read is
undone after all, as in a group of units whose commit fails, the next one cannot be taken for it. So a change counts for every signature whose transaction
begins after it, in every process.
"""

import enum
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from strongroom.core.clock import Entropy
from strongroom.core.guard import tables
from strongroom.core.guard.evaluation import ActiveRule, names_hold
from strongroom.core.guard.rule import Effect, Rule
from strongroom.core.guard.tagged_state import STATE_ID, StoredRules, read_stored, require_unaltered
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.security.trail.lanes import exclude_signatures
from strongroom.core.storage.database import holding, insert_ignore, locking
from strongroom.core.storage.statements import Statement, select_value

GENERATION_BYTES = 7
"""Fit into a signed column of eight."""
MAX_NEAR = 4_096
"""So many combinations of caller, wallet, account and kind are remembered of one generation."""
_GENERATION = select(tables.guard.c.generation).where(tables.guard.c.id == STATE_ID)
CLOCKS_MS = 3_600_000
"""A rule is kept for so long after its end: where a clock is behind, it still counts, and may still park what others sign."""
# A request is parked only under the generation that it was judged at, so that none comes later without a rule that asks.
# What had a key counts for good: what people refused is not signed under that key when no rule asks any more.
_APPROVAL = (
    select(tables.approval.c.id)
    .where(
        tables.approval.c.state.in_(("parked", "approved")) | tables.approval.c.idempotency_key.is_not(None)
    )
    .limit(1)
)
_HOLD = Statement(holding(_GENERATION))
_LOCK = locking(_GENERATION)


class FreezeScope(enum.StrEnum):
    """What a freeze holds: one token, one wallet, or the whole ledger."""

    TOKEN = "token"  # noqa: S105 - the name of a scope
    WALLET = "wallet"
    LEDGER = "ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    id: str
    scope: FreezeScope
    subject: str
    """Name of the token or the wallet; empty for the ledger."""
    reason: str
    frozen_at_ms: int
    frozen_by: str

    def holds(self, request: SignatureRequest) -> bool:
        if self.scope is FreezeScope.LEDGER:
            return True
        if self.scope is FreezeScope.WALLET:
            return request.wallet == self.subject
        return self.holds_caller(request.principal.names)

    def holds_caller(self, names: Collection[str]) -> bool:
        """`names`: a principal's. Who made a token may use it, so a freeze of one holds the other."""
        return self.scope is FreezeScope.TOKEN and f"token:{self.subject}" in names

    @property
    def title(self) -> str:
        return "the ledger" if self.scope is FreezeScope.LEDGER else f"the {self.scope.value} {self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardState:
    """What counts at one generation. A rule may start or end later, by its own times."""

    generation: int
    rules: tuple[ActiveRule, ...]
    freezes: tuple[Freeze, ...]
    has_approvals: bool = False
    """False: no rule asks for approvals, no request waits for any, and none with a key did, so that a signature need not look."""
    _near: dict[tuple[str, ...], tuple[ActiveRule, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def rules_near(self, request: SignatureRequest) -> tuple[ActiveRule, ...]:
        """All rules but those that name other wallets, callers, kinds or accounts: what most signatures need not look at."""
        key = (*request.principal.names, request.wallet, request.account, request.kind)
        near = self._near.get(key)
        if near is None:
            if len(self._near) >= MAX_NEAR:
                self._near.clear()
            near = self._near[key] = tuple(
                one
                for one in self.rules
                if names_hold(one.rule.when, request, every=one.rule.effect is Effect.ALLOW)
            )
        return near


class GuardReader:
    """Gives the state of now of one ledger, and reads rules and freezes again only after a change."""

    def __init__(self, key: TrailKey) -> None:
        self._key = key
        self._state = GuardState(generation=-1, rules=(), freezes=())

    def held(self, connection: Connection, now_ms: int) -> GuardState:
        """For a signature: no rule changes until its transaction ends. Raises: RulesAltered, Sealed."""
        return self._at(connection, select_value(connection, _HOLD), now_ms)

    def seen(self, connection: Connection, now_ms: int) -> GuardState:
        """For a question. Raises: RulesAltered, Sealed."""
        return self._at(connection, connection.execute(_GENERATION).scalar_one(), now_ms)

    def _at(self, connection: Connection, generation: int | None, now_ms: int) -> GuardState:
        state = self._state
        if state.generation != generation:
            stored = read_stored(connection)
            require_unaltered(self._key, stored)
            rules = active_rules(stored, now_ms - CLOCKS_MS)
            asks = any(each.rule.effect is Effect.APPROVE for each in rules)
            state = self._state = GuardState(
                generation=stored.state.generation,
                rules=rules,
                freezes=active_freezes(stored),
                has_approvals=asks or connection.execute(_APPROVAL).first() is not None,
            )
        return state


def load_rules(connection: Connection, key: TrailKey, now_ms: int) -> tuple[ActiveRule, ...]:
    """As `active_rules`. Raises: RulesAltered, Sealed."""
    return active_rules(_unaltered(connection, key), now_ms)


def load_freezes(connection: Connection, key: TrailKey) -> tuple[Freeze, ...]:
    """As `active_freezes`. Raises: RulesAltered, Sealed."""
    return active_freezes(_unaltered(connection, key))


def _unaltered(connection: Connection, key: TrailKey) -> StoredRules:
    stored = read_stored(connection)
    require_unaltered(key, stored)
    return stored


def active_rules(stored: StoredRules, now_ms: int) -> tuple[ActiveRule, ...]:
    """Rules that have not ended, in the order in which they were added."""
    return tuple(
        ActiveRule(
            id=row.id,
            name=row.name,
            rule=decode_json(row.document, Rule),
            starts_at_ms=row.starts_at_ms,
            ends_at_ms=row.ends_at_ms,
        )
        for row in stored.rules
        if row.ends_at_ms is None or row.ends_at_ms > now_ms
    )


def active_freezes(stored: StoredRules) -> tuple[Freeze, ...]:
    """Freezes that have not ended, the oldest first."""
    return tuple(
        Freeze(
            id=row.id,
            scope=FreezeScope(row.scope),
            subject=row.subject,
            reason=row.reason,
            frozen_at_ms=row.frozen_at_ms,
            frozen_by=row.frozen_by,
        )
        for row in stored.freezes
        if row.ended_at_ms is None
    )


def begin_change(connection: Connection, key: TrailKey, entropy: Entropy) -> None:
    """Waits for the signatures under way, holds off the next ones until the commit, and gives a new generation.

    Whoever changes something ends with `tagged_state.tag_rules`.

    Raises:
        RulesAltered: what another program changed must not count by a change of ours; Sealed.
    """
    lock_rules(connection)
    _unaltered(connection, key)
    new_generation(connection, entropy)


def lock_rules(connection: Connection) -> None:
    """Waits for the signatures under way, and holds off the next ones until the commit."""
    insert_ignore(connection, tables.guard, [{"id": STATE_ID, "generation": 0}])
    connection.execute(_LOCK).one()
    exclude_signatures(connection)


def new_generation(connection: Connection, entropy: Entropy) -> None:
    """Has every process read the rules again."""
    generation = int.from_bytes(entropy.token(GENERATION_BYTES))
    connection.execute(
        update(tables.guard).where(tables.guard.c.id == STATE_ID).values(generation=generation)
    )
