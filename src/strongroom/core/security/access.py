"""Who is calling, and what they may do. A scope is `<ledger>:<right>`, `<ledger>:*` or `*`."""

from dataclasses import dataclass

from strongroom.core.errors import Forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller in whose name something is done. `name` goes into the audit trail."""

    name: str
    scopes: frozenset[str]
    limits: str = ""
    """What narrows the scopes further: a JSON document in the ledger's own terms. Empty: nothing does."""
    token: str | None = None
    """Id of the issued token that identified the caller; None: another credential did."""

    def may(self, scope: str) -> bool:
        ledger = scope.partition(":")[0]
        return not self.scopes.isdisjoint({scope, f"{ledger}:*", "*"})

    def require(self, scope: str) -> None:
        if not self.may(scope):
            raise Forbidden(f"The token of {self.name!r} lacks the scope {scope}")


# The caller of a surface that the operator left open: reaching it is enough, as with the original services.
ANONYMOUS = Principal(name="anonymous", scopes=frozenset({"*"}))


def system_principal(name: str) -> Principal:
    """The service acting by itself, for example the automatic receiver."""
    return Principal(name=f"system:{name}", scopes=frozenset({"*"}))


# A person with a shell on the machine and the database's password, who uses the commands of `strongroom`.
OPERATOR = Principal(name="operator", scopes=frozenset({"*"}))
