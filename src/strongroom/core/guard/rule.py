"""A rule: a typed document that denies or allows signatures, or asks for approvals.

    {
      "effect": "deny",
      "when": {"wallets": ["hot"], "kinds": ["SEND"]},
      "unless": {"destinations": ["..."]},
      "limit": {"amount_raw": "5000000000000", "seconds": 86400, "per": "wallet"}
    }

A rule concerns a signature when everything in `when` holds and not everything in `unless`. A rule with a `limit` denies, or asks
for approvals of, only what goes beyond it. Amounts are whole numbers in the ledger's smallest unit, as text: JSON's readers lose digits
of large numbers. `docs/guard.md` has examples, and `core.guard.parsing` reads what people write.
"""

import enum
from typing import Any, Final

import msgspec

MAX_AMOUNT: Final = 2**256 - 1
MAX_APPROVALS: Final = 100
MAX_WINDOW_S: Final = 366 * 86_400
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
APPROVE_RIGHT: Final = "approve"
SERVICE: Final = "system:"

Facts = dict[str, tuple[str | int, ...]]


class Effect(enum.StrEnum):
    DENY = "deny"
    ALLOW = "allow"
    APPROVE = "approve"


class Per(enum.StrEnum):
    """What a window counts apart: everything that the rule concerns, or each wallet, account, principal, destination."""

    RULE = "rule"
    WALLET = "wallet"
    ACCOUNT = "account"
    PRINCIPAL = "principal"
    DESTINATION = "destination"


class Hours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """From `start` until before `end`, local time, `HH:MM`; over midnight when `end` is not later.

    A span belongs to the day on which it starts.
    """

    zone: str
    days: tuple[str, ...] = DAYS
    start: str = "00:00"
    end: str = "00:00"


class Conditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Each names what it holds for; None: for everything."""

    principals: tuple[str, ...] | None = None
    """As the audit trail names callers: `token:NAME`, `anonymous`, `system:...`."""
    wallets: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    facts: Facts | None = None
    """What else the ledger says of a signature, for example `{"netuid": [1, 2]}`."""
    other_facts: Facts | None = None
    """The same, for a signature that names a value which is not in the list."""
    above: dict[str, int] | None = None
    """Facts that are numbers, and more than this."""
    destinations: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    """Where the request came from, in CIDR form."""
    hours: Hours | None = None

    @property
    def is_empty(self) -> bool:
        return self == Conditions()


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What passes before the rule denies: in one signature, or with `seconds` in any stretch of time of that length."""

    amount_raw: str | None = None
    asset: str = ""
    """Which of the ledger's assets is counted; empty: its own coin."""
    count: int | None = None
    seconds: int | None = None
    per: Per = Per.RULE

    @property
    def max_amount(self) -> int | None:
        return None if self.amount_raw is None else int(self.amount_raw)


class Approvals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many must approve, and who may; without `of`, every principal with the scope to approve."""

    needed: int
    of: tuple[str, ...] | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    effect: Effect
    when: Conditions = msgspec.field(default_factory=Conditions)
    unless: Conditions | None = None
    limit: Limit | None = None
    approvals: Approvals | None = None
    note: str = ""
    """For people."""


def as_document(rule: Rule) -> dict[str, Any]:
    """As people write it: without what is empty."""
    document: dict[str, Any] = msgspec.to_builtins(rule)
    if not document["when"]:
        del document["when"]
    return document


def encode_rule(rule: Rule) -> str:
    return msgspec.json.encode(as_document(rule)).decode()


def approve_scope(ledger: str) -> str:
    return f"{ledger}:{APPROVE_RIGHT}"


def approval_scope(ledger: str) -> dict[str, str]:
    """The scope of those who may approve where a rule names nobody, and what it allows."""
    return {approve_scope(ledger): "approve and refuse requests that wait for approvals"}
