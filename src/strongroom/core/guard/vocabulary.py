"""What a ledger tells the guard of its signatures: the words that rules may use, and what its payloads can do."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from strongroom.core.security.policy import SignatureRequest

Normalize = Callable[[str], str]


def _as_asked(question: SignatureRequest) -> SignatureRequest:
    return question


@dataclass(frozen=True, slots=True, kw_only=True)
class Payloads:
    """What the payloads of a ledger can do, so that `core.guard.proof` looks at no more. By default they can do everything."""

    paying_kinds: str = ".*"
    """A regular expression of the kinds that may pay somebody."""
    pays_several: bool = True
    """One signature may pay several destinations."""
    hides_amounts: bool = True
    """There are signatures that do not say what they take."""
    kind_fact: str | None = None
    """The fact that always is the kind."""
    account_is_wallet: bool = False
    """A wallet has one account, which has its name."""

    def pays(self, kind: str) -> bool:
        return re.fullmatch(self.paying_kinds, kind) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The words of a ledger that rules may use, so that a misspelt one is refused and not silently never met."""

    kinds: frozenset[str] | None = None
    """None: any that `kind_form` matches."""
    kind_form: str = ".*"
    """A regular expression, for a ledger with more kinds than can be listed."""
    facts: Mapping[str, type] = field(default_factory=dict)
    fact_forms: Mapping[str, str] = field(default_factory=dict)
    """Regular expressions for the texts of facts."""
    normalized_facts: Mapping[str, Normalize] = field(default_factory=dict)
    """As `normalized_destination`, for facts that are addresses."""
    principals: tuple[str, ...] | None = None
    """Names of callers, and beginnings of names, which end in a colon. None: any."""
    asset_form: str = ""
    """A regular expression of the assets beside the ledger's own coin; empty: there are none."""
    normalized_destination: Normalize | None = None
    """Turns an address as people write it into the one that signatures name; raises ValueError. None: as it is."""
    normalized_account: Normalize | None = None
    payloads: Payloads = field(default_factory=Payloads)
    as_request: Callable[[SignatureRequest], SignatureRequest] = _as_asked
    """Turns a person's question into a request as this ledger's signatures make it."""
