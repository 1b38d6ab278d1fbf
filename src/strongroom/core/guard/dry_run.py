"""Says what would be decided about a signature that nobody asks for. Nothing is counted, signed or recorded."""

from dataclasses import dataclass
from typing import Final

import msgspec

from strongroom.core.errors import Forbidden, InvalidInput
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.guard import Guard
from strongroom.core.guard.parsing import is_amount
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage.database import Database

BY_RULE: Final = "allowed_by_rule"
BY_DEFAULT: Final = "allowed_by_default"
EVERYTHING: Final = "*"


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A signature that somebody might ask for."""

    kind: str
    """In the ledger's word."""
    principal: str = OPERATOR.name
    """Who would ask, as the audit trail names callers."""
    wallet: str = ""
    account: str = ""
    """The address that would sign."""
    amount_raw: str = "0"
    destination: str | None = None
    source: str = ""
    """The address that the request would come from."""
    facts: dict[str, str | int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What would be decided now."""

    is_allowed: bool
    code: str
    """`BY_RULE`, `BY_DEFAULT`, or the code with which the caller would be refused."""
    rule: str | None
    reason: str


class DryRun:
    """Asks the guard of one ledger."""

    def __init__(self, database: Database, tokens: Tokens, guard: Guard, rules: GuardAdministration) -> None:
        self._database = database
        self._tokens = tokens
        self._guard = guard
        self._rules = rules

    async def decide(self, question: Question) -> Decision:
        """Scopes are not looked at. Raises: InvalidInput: the question has words that no signature here has."""
        if not is_amount(question.amount_raw):
            raise InvalidInput(
                "The amount is a whole number from 0 to 2^256-1, as text", code="question_invalid"
            )
        request = self._rules.normalized(
            SignatureRequest(
                principal=await self._imagined(question.principal, question.source),
                scope=EVERYTHING,
                account=question.account,
                kind=question.kind,
                payload_hash=bytes(32),
                wallet=question.wallet,
                amount_raw=int(question.amount_raw),
                destination=question.destination,
                facts=question.facts,
            )
        )
        try:
            rule = (await self._database.read(lambda connection: self._guard.ask(connection, request))).rule
        except Forbidden as refusal:
            return Decision(
                is_allowed=False, code=refusal.instance_code, rule=refusal.rule, reason=refusal.message
            )
        if rule is None:
            return Decision(
                is_allowed=True,
                code=BY_DEFAULT,
                rule=None,
                reason="allowed by default: no rule says otherwise",
            )
        return Decision(is_allowed=True, code=BY_RULE, rule=rule, reason=f"allowed by the rule {rule!r}")

    async def _imagined(self, name: str, source: str) -> Principal:
        """The caller of this name, with the limits of its token."""
        token = next((one for one in await self._tokens.list() if name == f"token:{one.name}"), None)
        return Principal(
            name=name,
            scopes=frozenset({EVERYTHING}),
            limits="" if token is None else token.limits,
            token=None if token is None else token.id,
            source=source,
            makers=() if token is None else token.makers,
        )
