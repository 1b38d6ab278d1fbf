"""API tokens, and the identification of callers by them.

A token is `sr_<id>_<secret>`. The id finds the row; the SHA-256 of the secret (256 random bits) is compared with the stored one in
constant time.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec
from sqlalchemy import Connection, select, update

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import ANONYMOUS, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.credentials import Credentials
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import Duplicate

TOKEN_PREFIX = "sr"  # noqa: S105 - the public part of every token
ID_BYTES = 8
SECRET_BYTES = 32
MAX_NAME = 100  # the audit trail's column must have room for it, with a prefix
REVOKED = "The API token was revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as stored, without its secret."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None
    limits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A new secret of a token, which is shown only once."""

    id: str
    secret: str = field(repr=False)


class Tokens:
    """Issues, checks and revokes the API tokens of one ledger."""

    def __init__(self, database: Database, audit: Audit, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._entropy = entropy

    async def create(
        self,
        principal: Principal,
        name: str,
        scopes: Sequence[str],
        expires_at_ms: int | None = None,
        limits: str = "",
    ) -> NewToken:
        """Creates a token. `limits` narrows the scopes: a JSON document in the ledger's own terms.

        Raises:
            InvalidInput: the name or the scopes are not valid.
            Conflict: a token has or had this name, and its idempotency keys and jobs still belong to the name.
        """
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidInput(f"A token's name has 1 to {MAX_NAME} printable characters")
        if not scopes:
            raise InvalidInput("A token needs at least one scope")
        token_id = self._entropy.token(ID_BYTES).hex()
        secret = self._new_secret()
        row = {
            "id": token_id,
            "name": name,
            "secret_hash": _digest(secret),
            "scopes": msgspec.json.encode(sorted(set(scopes))).decode(),
            "created_at_ms": self._clock.now_ms(),
            "expires_at_ms": expires_at_ms,
            "limits": limits or None,
        }
        granted = {"name": name, "scopes": sorted(set(scopes)), "expiresAtMs": expires_at_ms}
        if limits:
            granted["limits"] = limits

        def work(connection: Connection) -> None:
            connection.execute(tables.token.insert(), row)
            self._audit.append(connection, principal, "token.create", token_id, granted)

        try:
            await self._database.write(work)
        except Duplicate:
            raise Conflict(
                f"There is already a token named {name}, perhaps a revoked one. A name is used only once, because earlier"
                " requests belong to it: choose another name, or give that token a new secret with token rotate",
                code="token_exists",
            ) from None
        return _shown(token_id, secret)

    async def rotate(self, principal: Principal, token_id: str) -> NewToken:
        """Gives an active token a new secret; the old secret stops working at once.

        Raises:
            NotFound: no active token has this id.
        """
        secret = self._new_secret()
        statement = (
            update(tables.token)
            .where(tables.token.c.id == token_id, tables.token.c.revoked_at_ms.is_(None))
            .values(secret_hash=_digest(secret))
        )

        def work(connection: Connection) -> None:
            if connection.execute(statement).rowcount == 0:
                raise _no_active(token_id)
            self._audit.append(connection, principal, "token.rotate", token_id)

        await self._database.write(work)
        return _shown(token_id, secret)

    async def authenticate(self, presented: str) -> Principal:
        """Returns the token's principal.

        Raises:
            Unauthenticated: the token is malformed, unknown, expired or revoked. The message is the same for the first two,
                so that it does not reveal which ids exist.
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
            raise Unauthenticated(REVOKED)
        if row.expires_at_ms is not None and row.expires_at_ms <= self._clock.now_ms():
            raise Unauthenticated("The API token has expired")
        return Principal(
            name=f"token:{row.name}",
            scopes=frozenset(decode_json(row.scopes)),
            limits=row.limits or "",
            token=row.id,
        )

    async def list(self) -> list[Token]:
        rows = await self._database.fetch_all(select(tables.token).order_by(tables.token.c.created_at_ms))
        return [
            Token(
                id=row.id,
                name=row.name,
                scopes=tuple(decode_json(row.scopes)),
                created_at_ms=row.created_at_ms,
                expires_at_ms=row.expires_at_ms,
                revoked_at_ms=row.revoked_at_ms,
                limits=row.limits or "",
            )
            for row in rows
        ]

    async def revoke(self, principal: Principal, token_id: str) -> None:
        """Ends an active token for good; raises NotFound if there is none with this id."""
        statement = (
            update(tables.token)
            .where(tables.token.c.id == token_id, tables.token.c.revoked_at_ms.is_(None))
            .values(revoked_at_ms=self._clock.now_ms())
        )

        def work(connection: Connection) -> None:
            if connection.execute(statement).rowcount == 0:
                raise _no_active(token_id)
            self._audit.append(connection, principal, "token.revoke", token_id)

        await self._database.write(work)

    def _new_secret(self) -> str:
        return base64.b32encode(self._entropy.token(SECRET_BYTES)).decode().rstrip("=").lower()


class Gatekeeper:
    """Finds the principal behind what a request presents."""

    def __init__(self, tokens: Tokens, *, required: bool) -> None:
        self._tokens = tokens
        self._required = required

    async def identify(self, credentials: Credentials) -> Principal:
        """Identifies the caller. A token that is given is always checked, and its scopes apply, even if none is required.

        Raises:
            Unauthenticated: a token is needed and none is given, or the given one is not valid.
        """
        return replace(await self._principal(credentials.authorization), source=credentials.source)

    async def _principal(self, authorization: str | None) -> Principal:
        if authorization is None:
            if self._required:
                raise Unauthenticated("This service needs an API token: Authorization: Bearer <token>")
            return ANONYMOUS
        scheme, _, presented = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("Only bearer tokens are accepted: Authorization: Bearer <token>")
        return await self._tokens.authenticate(presented.strip())


def require_unrevoked(connection: Connection, principal: Principal) -> None:
    """Checks, in the transaction that carries out a delayed request, that the request's token was not revoked meanwhile.

    A token that has expired meanwhile is no obstacle: it was valid when the request was made.

    Raises:
        Unauthenticated: the principal's token was revoked.
    """
    if principal.token is None:
        return
    query = select(tables.token.c.revoked_at_ms).where(tables.token.c.id == principal.token)
    row = connection.execute(query).first()
    if row is None or row.revoked_at_ms is not None:
        raise Unauthenticated(REVOKED)


def _shown(token_id: str, secret: str) -> NewToken:
    return NewToken(id=token_id, secret=f"{TOKEN_PREFIX}_{token_id}_{secret}")


def _no_active(token_id: str) -> NotFound:
    return NotFound(f"No active token has the id {token_id}")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
