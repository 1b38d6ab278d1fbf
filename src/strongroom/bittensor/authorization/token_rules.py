"""Turns the limits of a token into rules of the guard, which decides them like every other rule."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from strongroom.bittensor.authorization.key_use import ImaginedUse, KeyUse
from strongroom.bittensor.authorization.limits import WEIGHTS, TokenLimits, decode_limits, is_wrapper
from strongroom.bittensor.protocol.call_reach import WEIGHT_CALLS
from strongroom.bittensor.protocol.messages import MessageKind
from strongroom.core.errors import Forbidden
from strongroom.core.guard.rule import Conditions, Effect, Facts, Limit, Rule
from strongroom.core.guard.token_rules import TokenRule, require_token
from strongroom.core.security.policy import SignatureRequest

TEXT: Final = f"message:{MessageKind.TEXT}"
TEXT_REFUSED: Final = "message_refused"


def token_rules(request: SignatureRequest) -> Sequence[TokenRule]:
    """See `core.guard.token_rules.TokenRules`."""
    if not isinstance(request, KeyUse):
        raise Forbidden("A signature that does not say which key it uses is not made")
    if isinstance(request, ImaginedUse) and request.principal.token is None:
        return ()  # somebody without a token, whose limits nobody here knows
    return _rules(request.principal.limits)


def require_use(use: KeyUse) -> None:
    """Asks what the guard asks first in every signature, as soon as this much of the use is known.

    Raises:
        Forbidden: with the first thing that is not allowed; its code says which.
    """
    require_token(use, token_rules(use))


def allows_text(use: KeyUse) -> bool:
    """Whether a token that may sign this message may sign any text."""
    try:
        require_use(use)
    except Forbidden as error:
        if error.instance_code != TEXT_REFUSED:
            raise
        return False
    return True


@lru_cache(maxsize=1024)
def _rules(text: str) -> tuple[TokenRule, ...]:
    limits = decode_limits(text)
    found = (*_key_rules(limits), *_call_rules(limits), *_payment_rules(limits))
    if limits.any_text:
        return found
    texts = Rule(effect=Effect.DENY, when=Conditions(kinds=(TEXT,)))
    return (
        *found,
        TokenRule(rule=texts, code=TEXT_REFUSED, refusal=lambda _: "The token does not allow any text"),
    )


def _key_rules(limits: TokenLimits) -> list[TokenRule]:
    rules = []
    if limits.wallets is not None:
        rule = Rule(effect=Effect.DENY, unless=Conditions(wallets=limits.wallets))
        rules.append(
            TokenRule(
                rule=rule,
                code="wallet_not_allowed",
                refusal=lambda use: f"The token does not reach the wallet {use.wallet}",
            )
        )
    if limits.hotkeys is not None:
        rules += [
            TokenRule(
                rule=_denies_other("asked_hotkey", limits.hotkeys),
                code="hotkey_not_allowed",
                refusal=lambda use: f"The token does not reach the hotkey {use.terms['asked_hotkey']}",
            ),
            TokenRule(
                rule=_denies({"names_other_hotkey": (1,)}),
                code="hotkey_not_allowed",
                refusal=lambda use: (
                    f"The call names another hotkey than {use.wallet}/{use.terms['asked_hotkey']}"
                ),
            ),
        ]
    return rules


def _call_rules(limits: TokenLimits) -> list[TokenRule]:
    rules = []
    if limits.netuids is not None:
        rules.append(_subnet_rule(limits.netuids))
    calls = {call for call in limits.calls if not is_wrapper(call)} - {WEIGHTS}
    if WEIGHTS in limits.calls:
        calls |= WEIGHT_CALLS
    rules.append(
        TokenRule(
            rule=_denies_other("call", tuple(calls)),
            code="call_not_allowed",
            refusal=lambda use: f"The token does not allow {use.terms['call']}",
        )
    )
    if not limits.coldkey:
        rules.append(
            TokenRule(
                rule=_denies({"key": ("coldkey",)}),
                code="coldkey_not_allowed",
                refusal=lambda _: "The token does not allow the coldkey",
            )
        )
    return rules


def _subnet_rule(allowed: tuple[int, ...]) -> TokenRule:
    def refusal(use: SignatureRequest) -> str:
        named = use.terms["netuid"]
        if not isinstance(named, tuple):
            return f"The token reaches some subnets, and {use.kind} names none: it may concern any"
        others = ", ".join(str(netuid) for netuid in named if netuid not in allowed)
        return f"The token does not reach the subnet {others}"

    return TokenRule(rule=_denies_other("netuid", allowed), code="netuid_not_allowed", refusal=refusal)


def _payment_rules(limits: TokenLimits) -> list[TokenRule]:
    rules = []
    if limits.most_rao is not None:
        most = str(limits.most_rao)
        rules.append(
            TokenRule(
                rule=Rule(effect=Effect.DENY, limit=Limit(amount_raw=most)),
                code="amount_not_allowed",
                refusal=lambda _: f"The token allows {most} rao in one call",
            )
        )
    if limits.destinations is not None:
        rules.append(
            TokenRule(
                rule=_denies_other("paid", limits.destinations),
                code="destination_not_allowed",
                refusal=lambda use: f"The token does not pay {use.destination}",
            )
        )
    return rules


def _denies(facts: Facts) -> Rule:
    return Rule(effect=Effect.DENY, when=Conditions(facts=facts))


def _denies_other(fact: str, values: Sequence[str | int]) -> Rule:
    return Rule(effect=Effect.DENY, when=Conditions(other_facts={fact: tuple(values)}))
