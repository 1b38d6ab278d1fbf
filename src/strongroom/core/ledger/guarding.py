"""Makes what decides about a ledger's signatures, and what people do with it."""

from typing import Final, Protocol

from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.loops import Loop, Loops
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.approvals.administration import ApprovalAdministration
from strongroom.core.guard.approvals.carrying_out import Carrier, CarryingOut
from strongroom.core.guard.approvals.parking import ParkedRequests
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.guard.dry_run import DryRun
from strongroom.core.guard.guard import Guard
from strongroom.core.guard.refusals import Refusals
from strongroom.core.guard.settings import GuardSettings
from strongroom.core.intents.announcing import PaymentEvents
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.audit import Audit
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.policy import Policy, SigningGate
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage.database import Database

APPROVALS_S: Final = 2.0


class Guarded(Protocol):
    """What is asked of a ledger."""

    definition: AnyLedger
    database: Database
    audit: Audit
    trail_key: TrailKey
    tokens: Tokens
    payment_events: PaymentEvents
    clock: Clock
    entropy: Entropy
    metrics: Metrics
    loops: Loops


class LedgerGuard:
    """The guard of one ledger."""

    def __init__(self, ledger: Guarded, settings: GuardSettings) -> None:
        definition, database, audit, clock = ledger.definition, ledger.database, ledger.audit, ledger.clock
        self._ledger = ledger
        self._refusals = Refusals(definition.name, ledger.metrics)
        self.guard = Guard(clock, settings.default, definition.token_rules(), key=ledger.trail_key)
        self.rules = GuardAdministration(
            database,
            audit,
            clock,
            ledger.entropy,
            vocabulary=definition.vocabulary(),
            loosening_delay_ms=settings.loosening_delay_ms,
            approvals=settings.changes,
        )
        self.dry_run = DryRun(database, ledger.tokens, self.guard, self.rules)
        self.approvals = ApprovalAdministration(
            database, audit, clock, ledger=definition.name, apply=self.rules.apply
        )
        self.withdrawals = Withdrawals(definition.name, audit, clock)
        self._parked = ParkedRequests(audit, clock, ledger.entropy, lifetime_ms=settings.approval_lifetime_ms)

    def signing_gate(self, policy: Policy | None) -> SigningGate:
        """What every signature of the ledger passes. `policy`: what asks the guard; None: nothing is between."""
        tell, refused = self._ledger.payment_events.signed, self._refusals.count
        return SigningGate(policy or self.guard, self._ledger.audit, self._parked, tell, refused)

    def carrying_out(self, carrier: Carrier | None) -> Loop:
        """See `LedgerBase.carrying_out`."""
        name = self._ledger.definition.name
        work = CarryingOut(
            name,
            carrier,
            database=self._ledger.database,
            audit=self._ledger.audit,
            clock=self._ledger.clock,
        )
        return self._ledger.loops.every(
            f"{name}Approvals", APPROVALS_S, work.advance, wake=self.approvals.decided
        )
