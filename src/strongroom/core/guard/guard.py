"""The policy of every ledger: scope, rules of the caller's credential, freezes, rules, approvals, in this order.

What denies wins, and no approval overrides it: it is asked again when an approved request is signed. What no rule allows or denies
is decided by the default; what the service does by itself, such as to receive, is allowed unless a rule denies it.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.errors import Forbidden
from strongroom.core.guard.approvals.spending import settle
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.guard.rule import Effect
from strongroom.core.guard.state import Freeze, GuardReader, GuardState
from strongroom.core.guard.token_rules import TokenRules, is_within, no_token_rules, require_token
from strongroom.core.guard.windows import (
    LIMIT_CODE,
    Charge,
    Count,
    amount_of,
    charges_of,
    look,
    spend,
)
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.policy import Allowed, SignatureRequest

FROZEN_CODE = "frozen"
DENIED_CODE = "rule_denied"
UNALLOWED_CODE = "no_rule_allows"


class Default(enum.StrEnum):
    """What happens to a signature that no rule concerns."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    allowed_by: str | None
    charges: Sequence[Charge]
    asking: Sequence[ActiveRule]
    """Rules that ask for approvals, whatever passed before."""
    limiting: Sequence[ActiveRule]
    """Rules that ask for approvals of what goes beyond their windows."""

    def all_asking(self, count: Count) -> list[ActiveRule]:
        return [*self.asking, *(rule for rule in self.limiting if rule.id in count.asking)]


class Guard:
    """See `core.security.policy.Policy`."""

    def __init__(
        self, clock: Clock, default: Default, token_rules: TokenRules = no_token_rules, *, key: TrailKey
    ) -> None:
        """`key` tells rules, freezes and approvals that the service wrote from others."""
        self._clock = clock
        self._default = default
        self._token_rules = token_rules
        self._reader = GuardReader(key)
        self._settle = partial(settle, ApprovalRows(key))

    @property
    def default(self) -> Default:
        return self._default

    def authorize(self, connection: Connection, request: SignatureRequest) -> Allowed:
        """Spends the approval of a request that needs one.

        Raises:
            Forbidden: its code says whether the scope, a freeze, a rule or its limit is the reason.
            Unapproved: people must approve it first.
            RulesAltered: rules or freezes are not as the service wrote them.
            What `approvals.spending.settle` raises.
        """
        require_token(request, self._token_rules(request))
        now_ms = self._clock.now_ms()
        state = self._reader.held(connection, now_ms)
        verdict = self._judge(state, request, now_ms)
        count = spend(connection, verdict.charges, now_ms) if verdict.charges else Count()
        approval = self._settle(connection, state, request, verdict.all_asking(count), now_ms, spends=True)
        return Allowed(rule=verdict.allowed_by, counted=count.counted, approval=approval)

    def ask(self, connection: Connection, request: SignatureRequest) -> Allowed:
        """What `authorize` would say now; nothing is counted or spent. Raises: as `authorize`."""
        require_token(request, self._token_rules(request))
        now_ms = self._clock.now_ms()
        state = self._reader.seen(connection, now_ms)
        verdict = self._judge(state, request, now_ms)
        count = look(connection, verdict.charges, now_ms) if verdict.charges else Count()
        approval = self._settle(connection, state, request, verdict.all_asking(count), now_ms, spends=False)
        return Allowed(rule=verdict.allowed_by, approval=approval)

    def _judge(self, state: GuardState, request: SignatureRequest, now_ms: int) -> _Verdict:
        for freeze in state.freezes:
            if freeze.holds(request):
                raise _frozen(freeze)
        payments = request.payments  # made anew at each reading
        concerned = [rule for rule in state.rules_near(request) if rule.concerns(request, now_ms, payments)]
        for rule in concerned:
            if rule.rule.effect is Effect.DENY:
                _require_within(rule, request)
        # What the service does by itself waits for nobody.
        askers = [] if request.principal.is_service else _of(concerned, Effect.APPROVE)
        asking = [rule for rule in askers if not is_within(rule.rule.limit, request)]
        limiting = [rule for rule in askers if rule not in asking]
        allowing = next((rule.name for rule in concerned if rule.rule.effect is Effect.ALLOW), None)
        if allowing is None and self._default is Default.DENY and not request.principal.is_service:
            raise Forbidden(
                f"No rule allows {request.kind} from {request.account}, and the default is to deny",
                code=UNALLOWED_CODE,
            )
        charges = charges_of([*_of(concerned, Effect.DENY), *limiting], request)
        return _Verdict(allowed_by=allowing, charges=charges, asking=asking, limiting=limiting)


def _of(rules: Sequence[ActiveRule], effect: Effect) -> list[ActiveRule]:
    return [rule for rule in rules if rule.rule.effect is effect]


def _require_within(rule: ActiveRule, request: SignatureRequest) -> None:
    """Raises: Forbidden: the rule denies this by itself, whatever passed before."""
    limit = rule.rule.limit
    if is_within(limit, request):
        return
    if limit is None:
        raise Forbidden(f"The rule {rule.name!r} denies it", code=DENIED_CODE, rule=rule.name)
    if not request.is_amount_known:
        raise Forbidden(
            f"The rule {rule.name!r} limits amounts, and {request.kind} does not say what it takes",
            code=LIMIT_CODE,
            rule=rule.name,
        )
    raise Forbidden(
        f"The rule {rule.name!r} lets {limit.amount_raw} raw pass at once, not {amount_of(limit, request)}",
        code=LIMIT_CODE,
        rule=rule.name,
    )


def _frozen(freeze: Freeze) -> Forbidden:
    return Forbidden(f"Nothing is signed: {freeze.title} is frozen ({freeze.reason})", code=FROZEN_CODE)
