"""Rules that a caller's credential carries, which narrow it alone.

They are rules like those that people add, asked by the same guard in the transaction of the signature, before freezes and rules.
They count nothing and need no database, so a surface may ask them as early as it knows enough, and for reading too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from strongroom.core.errors import Forbidden
from strongroom.core.guard.evaluation import concerns
from strongroom.core.guard.rule import Limit, Rule
from strongroom.core.guard.windows import amount_of
from strongroom.core.security.policy import SignatureRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRule:
    """A rule that denies, and the words and the code in which its ledger refuses."""

    rule: Rule
    """Without hours and without a window: it is asked without a clock."""
    code: str
    refusal: Callable[[SignatureRequest], str]


TokenRules = Callable[[SignatureRequest], Sequence[TokenRule]]
"""Gives the rules of a request's credential.

Raises:
    Forbidden: they are not understood; then nothing is allowed.
"""


def no_token_rules(request: SignatureRequest) -> Sequence[TokenRule]:
    del request
    return ()


def require_token(request: SignatureRequest, rules: Sequence[TokenRule]) -> None:
    """Raises: Forbidden: the credential lacks the scope, or one of its rules denies the request."""
    request.principal.require(request.scope)
    for each in rules:
        if concerns(each.rule, request, 0) and not is_within(each.rule.limit, request):
            raise Forbidden(each.refusal(request), code=each.code)


def is_within(limit: Limit | None, request: SignatureRequest) -> bool:
    """Whether a rule with this limit, that concerns the request, lets it pass by itself, whatever passed before."""
    if limit is None:
        return False
    if limit.max_amount is None:
        return True
    return request.is_amount_known and (
        limit.seconds is not None or amount_of(limit, request) <= limit.max_amount
    )
