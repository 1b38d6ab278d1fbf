"""Who is calling, and what they may do.

A token is `sr_<id>_<secret>`: the id finds its row, the secret (256 random bits) is compared with the stored
SHA-256 in constant time. A scope is `<ledger>:<right>`, `<ledger>:*` or `*`.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import select, update

from strongroom.core import tables
from strongroom.core.clock import Clock, Entropy
from strongroom.core.database import Database
from strongroom.core.errors import Forbidden, InvalidInput, NotFound, Unauthenticated

TOKEN_PREFIX = "sr"  # noqa: S105 - the public part of every token
ID_BYTES = 8
SECRET_BYTES = 32
LONGEST_NAME = 100  # the audit trail must have room for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The one in whose name something is done. `name` goes into the audit trail."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        ledger = scope.partition(":")[0]
        return not self.scopes.isdisjoint({scope, f"{ledger}:*", "*"})

    def require(self, scope: str) -> None:
        if not self.may(scope):
            raise Forbidden(f"The token of {self.name!r} lacks the scope {scope}")


# A surface that the operator left open: whoever reaches it is trusted, as with the original services.
ANONYMOUS = Principal(name="anonymous", scopes=frozenset({"*"}))


def system_principal(name: str) -> Principal:
    """The service acting by itself, for example the automatic receiver."""
    return Principal(name=f"system:{name}", scopes=frozenset({"*"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token; never its secret."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """Shown once, at its creation."""

    id: str
    secret: str = field(repr=False)


class Tokens:
    """Issues, checks and revokes the API tokens of one ledger."""

    def __init__(self, database: Database, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy

    async def create(self, name: str, scopes: Sequence[str], expires_at_ms: int | None = None) -> NewToken:
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise InvalidInput(f"A token's name has 1 to {LONGEST_NAME} printable characters")
        if not scopes:
            raise InvalidInput("A token needs at least one scope")
        token_id = self._entropy.token(ID_BYTES).hex()
        secret = base64.b32encode(self._entropy.token(SECRET_BYTES)).decode().rstrip("=").lower()
        row = {
            "id": token_id,
            "name": name,
            "secret_hash": _digest(secret),
            "scopes": msgspec.json.encode(sorted(set(scopes))).decode(),
            "created_at_ms": self._clock.now_ms(),
            "expires_at_ms": expires_at_ms,
        }
        await self._database.write(lambda connection: connection.execute(tables.token.insert(), row))
        return NewToken(id=token_id, secret=f"{TOKEN_PREFIX}_{token_id}_{secret}")

    async def authenticate(self, presented: str) -> Principal:
        """Returns the token's principal.

        Raises:
            Unauthenticated: malformed, unknown, expired or revoked; the message does not say which of the first two.
        """
        prefix, _, rest = presented.partition("_")
        token_id, _, secret = rest.partition("_")
        row = None
        if prefix == TOKEN_PREFIX and token_id.isascii():
            row = await self._database.fetch_one(select(tables.token).where(tables.token.c.id == token_id))
        stored = row.secret_hash if row is not None else bytes(32)
        if not hmac.compare_digest(stored, _digest(secret)) or row is None:
            raise Unauthenticated("The API token is not valid")
        if row.revoked_at_ms is not None:
            raise Unauthenticated("The API token was revoked")
        if row.expires_at_ms is not None and row.expires_at_ms <= self._clock.now_ms():
            raise Unauthenticated("The API token has expired")
        return Principal(name=f"token:{row.name}", scopes=frozenset(msgspec.json.decode(row.scopes)))

    async def list(self) -> list[Token]:
        rows = await self._database.fetch_all(select(tables.token).order_by(tables.token.c.created_at_ms))
        return [
            Token(
                id=row.id,
                name=row.name,
                scopes=tuple(msgspec.json.decode(row.scopes)),
                created_at_ms=row.created_at_ms,
                expires_at_ms=row.expires_at_ms,
                revoked_at_ms=row.revoked_at_ms,
            )
            for row in rows
        ]

    async def revoke(self, token_id: str) -> None:
        statement = (
            update(tables.token)
            .where(tables.token.c.id == token_id, tables.token.c.revoked_at_ms.is_(None))
            .values(revoked_at_ms=self._clock.now_ms())
        )
        if await self._database.write(lambda connection: connection.execute(statement).rowcount) == 0:
            raise NotFound(f"No active token has the id {token_id}")


class Gatekeeper:
    """Finds the principal behind an Authorization header."""

    def __init__(self, tokens: Tokens, *, required: bool) -> None:
        self._tokens = tokens
        self._required = required

    async def identify(self, authorization: str | None) -> Principal:
        """A presented token always counts, also where none is required: its scopes then apply."""
        if authorization is None:
            if self._required:
                raise Unauthenticated("This service needs an API token: Authorization: Bearer <token>")
            return ANONYMOUS
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("Only bearer tokens are accepted: Authorization: Bearer <token>")
        return await self._tokens.authenticate(credentials.strip())


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
