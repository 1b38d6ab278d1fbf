"""What the routes answer, and how it is made from what the use cases return."""

from typing import Any

import msgspec

from strongroom.core.clock import iso_instant
from strongroom.core.errors import StrongroomError
from strongroom.core.guard.administration import StoredRule
from strongroom.core.guard.dry_run import Decision
from strongroom.core.guard.rule import Rule
from strongroom.core.guard.state import Freeze, FreezeScope
from strongroom.core.intents.execution import ExecutionState
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentRecord, document_of
from strongroom.core.json_decoder import decode_json
from strongroom.core.runtime.telemetry import Health
from strongroom.core.security.stored_tokens import TOKEN, Token


class Answer(msgspec.Struct, kw_only=True, rename="camel"):
    """Base of what is answered: names in camel case, moments as RFC 3339 text, amounts as text."""


class ComponentView(Answer):
    name: str
    status: str
    detail: str | None


class LedgerView(Answer):
    ledger: str
    title: str
    is_away: bool = msgspec.field(name="away")
    """Its database does not answer."""
    components: list[ComponentView]
    """As on the management surface."""


class IdentityView(Answer):
    """Who the caller is on one ledger."""

    ledger: str
    principal: str
    token: str | None
    scopes: list[str]


class AwayView(Answer):
    """A ledger that could not be asked."""

    ledger: str
    code: str
    detail: str


class MeView(Answer):
    ledgers: list[IdentityView]
    away: list[AwayView]


class TokenView(Answer):
    """A token without its secret."""

    id: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    networks: list[str]
    """Where it may be used from; empty: from anywhere."""
    rate: str | None
    limits: dict[str, Any]
    """What narrows it further, in the ledger's own terms."""
    earlier_secret_until: str | None
    """Until then the secret before the last rotation works too."""
    used_at: str | None
    """To the minute."""
    used_from: str | None
    makers: list[str]
    """Names of the tokens that made or rotated it, or one of these. What holds one of them back holds it back too."""


class NewTokenView(Answer):
    secret: str
    token: TokenView


class RuleView(Answer):
    id: str
    name: str
    state: str
    """active, starts later, ends later or ended"""
    rule: Rule
    added_at: str
    added_by: str
    starts_at: str
    ends_at: str | None
    removed_by: str | None


class DecisionView(Answer):
    is_allowed: bool = msgspec.field(name="allowed")
    code: str
    """allowed_by_rule, allowed_by_default, or the code with which the caller would be refused"""
    rule: str | None
    reason: str


class FreezeView(Answer):
    id: str
    scope: FreezeScope
    subject: str
    """Name of the token or the wallet; empty for the ledger."""
    reason: str
    frozen_at: str
    frozen_by: str


class PaidView(Answer):
    destination: str | None
    amount_raw: str
    asset: str
    """Empty for the ledger's own coin."""


class PaymentView(Answer):
    id: str
    """As the network writes it."""
    ledger: str
    state: Outcome
    stage: str
    """The ledger's word for how far it has come."""
    execution: ExecutionState | None
    """What the ledger did with it once it has it; null: not known yet, or what this ledger accepts has its effect."""
    reason: str | None
    """Why it was rejected, why it failed on the ledger, or what it waits for."""
    stuck: bool
    """Open for longer than a minute."""
    kind: str
    wallet: str
    account: str
    amount_raw: str | None
    destination: str | None
    payments: list[PaidView]
    """Where it pays several, or another asset than the ledger's own coin."""
    principal: str
    token: str | None
    """The id of the token that asked for it."""
    rule: str | None
    """The rule that allowed it; null: the default did."""
    approval: str | None
    """The id of the request that people approved, and which this payment spent."""
    attempts: int
    created_at: str
    resolved_at: str | None
    request_id: str | None
    """The X-Request-Id of the request that had it signed."""
    client_key: str | None
    """What its client called the request, for example its Idempotency-Key."""
    first_offered_at: str | None
    last_offered_at: str | None
    last_answer: str | None
    """Why the network's last word did not end it."""
    last_answer_at: str | None
    details: dict[str, Any]


class PaymentPage(Answer):
    payments: list[PaymentView]
    cursor: str | None
    """For the next page; null: this is the last one."""
    away: list[AwayView]
    """Ledgers whose payments are missing."""


class Change(Answer, omit_defaults=True):
    """What became of one ledger."""

    ledger: str
    done: bool
    code: str | None = None
    detail: str | None = None
    approval_id: str | None = None
    """Under which the change waits for approvals on this ledger."""


class Changes(Answer):
    ledgers: list[Change]


def instant(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else iso_instant(moment_ms)


def away_view(ledger: str, error: StrongroomError) -> AwayView:
    return AwayView(ledger=ledger, code=error.instance_code, detail=error.message)


def components_of(ledger: str, health: Health) -> list[ComponentView]:
    """Those whose names begin with the ledger's: `toyNode`."""
    return [
        ComponentView(name=name, status=part.status, detail=part.detail)
        for name, part in sorted(health.components().items())
        if name.startswith(ledger) and name[len(ledger) : len(ledger) + 1].isupper()
    ]


def token_view(one: Token) -> TokenView:
    limits: dict[str, Any] = decode_json(one.limits) if one.limits else {}
    return TokenView(
        id=one.id,
        name=one.name,
        scopes=list(one.scopes),
        created_at=iso_instant(one.created_at_ms),
        expires_at=instant(one.expires_at_ms),
        revoked_at=instant(one.revoked_at_ms),
        networks=list(one.networks),
        rate=None if one.rate is None else str(one.rate),
        limits=limits,
        earlier_secret_until=instant(one.earlier_secret_until_ms),
        used_at=instant(one.used_at_ms),
        used_from=one.used_from or None,
        makers=[maker.removeprefix(TOKEN) for maker in one.makers],
    )


def rule_view(one: StoredRule, now_ms: int) -> RuleView:
    return RuleView(
        id=one.id,
        name=one.name,
        state=one.state(now_ms),
        rule=one.rule,
        added_at=iso_instant(one.added_at_ms),
        added_by=one.added_by,
        starts_at=iso_instant(one.starts_at_ms),
        ends_at=instant(one.ends_at_ms),
        removed_by=one.removed_by,
    )


def decision_view(one: Decision) -> DecisionView:
    return DecisionView(is_allowed=one.is_allowed, code=one.code, rule=one.rule, reason=one.reason)


def freeze_view(one: Freeze) -> FreezeView:
    return FreezeView(
        id=one.id,
        scope=one.scope,
        subject=one.subject,
        reason=one.reason,
        frozen_at=iso_instant(one.frozen_at_ms),
        frozen_by=one.frozen_by,
    )


def payment_view(one: PaymentRecord, network_id: str) -> PaymentView:
    return msgspec.convert(document_of(one, network_id), PaymentView)
