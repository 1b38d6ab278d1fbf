"""Principals and their scopes. A scope is `<ledger>:<right>`, `<ledger>:*`, `*`, or one of `ADMIN_SCOPES`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import Forbidden

ADMIN: Final = "admin"
ADMIN_SCOPES: Final[Mapping[str, str]] = {
    ADMIN: "everything of the admin API",
    "admin:read": "read ledgers, tokens, rules and freezes; ask what would be decided",
    "admin:payments": "read payments",
    "admin:wallets": "read wallets, with their accounts, balances and histories",
    "admin:audit": "read the audit trail",
    "admin:tokens": "create, change, rotate and revoke tokens with no more rights than its own",
    "admin:rules": "add and remove rules",
    "admin:freeze": "freeze",
    "admin:unfreeze": "unfreeze",
    "admin:webhooks": "see, add, change and remove endpoints of webhooks, and replay events",
    "admin:keys": "change the key-encryption key",
    "admin:seal": "seal ledgers: their keys leave memory",
    "admin:unseal": "unseal ledgers with their key-encryption key",
    "admin:approve": "see, approve and refuse what others asked for",
}
"""Scopes of the admin API. Only these open it: `*` is everything on a ledger's own surfaces."""

EXPORT_RIGHT: Final = "export"
NAMED_RIGHTS: Final = frozenset({EXPORT_RIGHT})
"""Rights that `*` and `<ledger>:*` do not have in them: a token must name them."""


def export_scope(ledger: str) -> dict[str, str]:
    """The scope of those who may have secrets given out, and what it allows."""
    return {
        f"{ledger}:{EXPORT_RIGHT}": "have secrets given out, after others approve it; * does not have it in it"
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller in whose name something is done. The audit trail records its `name`."""

    name: str
    scopes: frozenset[str]
    limits: str = ""
    """Limits that narrow the scopes: a JSON document in the ledger's own terms, or empty for no limits."""
    token: str | None = None
    """The id of the API token that identified the caller; None if another credential did."""
    source: str = ""
    """The client's address, or the network of 64 bits that one IPv6 client has; empty: the request came from no network."""
    makers: tuple[str, ...] = ()
    """The tokens that got a secret of this one, by making or rotating it or one that did; named as principals are."""
    rate: Rate | None = None
    """How often the token may be used; None: as often as the surface lets everybody."""
    is_service: bool = False
    """The service acts by itself."""
    is_checked: bool = True
    """False: the service was sealed when the request came, so that its token's row could not be checked; it signs and changes nothing."""
    request_id: str = ""
    """Names the request, in the audit trail and in what it signs; empty: what asks has no such id. Callers choose it: it proves nothing."""

    @property
    def names(self) -> tuple[str, ...]:
        """All whose wrongs the principal may be doing: what holds back one of these holds back the principal."""
        return (self.name, *self.makers)

    @property
    def rights(self) -> dict[str, Any]:
        """What must be known of the principal, beside its name, when its request is carried out later; there is no secret in it."""
        known = {
            "scopes": sorted(self.scopes),
            "limits": self.limits,
            "token": self.token,
            "source": self.source,
            "makers": list(self.makers),
        }
        # Not where there is none: rows of earlier versions are tagged as they were written.
        return {**known, "requestId": self.request_id} if self.request_id else known

    def may(self, scope: str) -> bool:
        ledger, _, right = scope.partition(":")
        if right in NAMED_RIGHTS:
            return scope in self.scopes
        return not self.scopes.isdisjoint({scope, f"{ledger}:*", "*"})

    def may_administer(self, scope: str) -> bool:
        """Whether the principal has this one of `ADMIN_SCOPES`."""
        return not self.scopes.isdisjoint({scope, ADMIN})

    def require(self, scope: str) -> None:
        if not self.may(scope):
            raise Forbidden(f"The token of {self.name!r} lacks the scope {scope}")


def principal_with(name: str, rights: Mapping[str, Any]) -> Principal:
    """The principal whose `rights` were stored. Earlier versions stored fewer."""
    return Principal(
        name=name,
        scopes=frozenset(rights["scopes"]),
        limits=rights["limits"],
        token=rights.get("token"),
        source=rights.get("source", ""),
        makers=tuple(rights.get("makers", ())),
        request_id=rights.get("requestId", ""),
    )


# The caller of a surface that requires no credentials, as the original services.
ANONYMOUS = Principal(name="anonymous", scopes=frozenset({"*"}))


def system_principal(name: str) -> Principal:
    """The principal of the service's own work, for example of the automatic receiver."""
    return Principal(name=f"system:{name}", scopes=frozenset({"*"}), is_service=True)


# The person who runs commands of `strongroom` on the machine, and so has the database's password anyway.
OPERATOR = Principal(name="operator", scopes=frozenset({"*"}))
