"""API tokens: the use cases of people who administer them.

A token is `sr_<id>_<secret>`. The id finds the row, which has the SHA-256 of the secret (256 random bits). `TokenCheck` finds the
principal behind a token.
"""

import base64
import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select, update

from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import Conflict, InvalidInput, NotFound
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import ADMIN_SCOPES, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.certificates import CertificateBinding, CertificateUse
from strongroom.core.security.networks import parse_networks
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, locking
from strongroom.core.storage.errors import Duplicate

TOKEN_PREFIX = "sr"  # noqa: S105 - the public part of every token
ID_BYTES = 8
SECRET_BYTES = 32
MAX_NAME = 100  # the audit trail's column must have room for it, with a prefix
MAX_OVERLAP_MS = 366 * 86_400_000
MAX_MAKERS = 32
"""Every signature of a token looks at all of them."""
TOKEN = "token:"  # noqa: S105 - the beginning of a principal's name


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
    networks: tuple[str, ...] = ()
    """Where it may be used from; empty: from anywhere."""
    rate: Rate | None = None
    """How often it may be used; None: as often as the surface lets everybody."""
    certificate: str = ""
    """The client certificate that it is bound to, for people; empty: none."""
    certificate_use: CertificateUse | None = None
    earlier_secret_until_ms: int | None = None
    """Until then the secret before the last rotation works too; None: it does not."""
    used_at_ms: int | None = None
    """When it was last used, to the minute; None: never, as far as is known."""
    used_from: str = ""
    makers: tuple[str, ...] = ()
    """As a principal's."""

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at_ms is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A new secret of a token, which is shown only once."""

    id: str
    secret: str = field(repr=False)
    """Empty: the token has a certificate instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken(NewToken):
    token: Token
    """As it is stored then: to read it afterwards might fail, and the secret would be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenChange:
    """What of a token changes. UNSET: it stays; None or empty: there is no such limit any more."""

    expires_at_ms: int | msgspec.UnsetType | None = msgspec.UNSET
    networks: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    rate: Rate | msgspec.UnsetType | None = msgspec.UNSET
    certificate: CertificateBinding | msgspec.UnsetType = msgspec.UNSET
    """Of a token that has one."""


class Tokens:
    """Issues, changes and revokes the API tokens of one ledger. Each change is in the audit trail.

    Every request reads its token's row, so a change counts for the next request, in every process.
    """

    def __init__(
        self, database: Database, audit: Audit, clock: Clock, entropy: Entropy, *, scopes: Collection[str]
    ) -> None:
        """`scopes`: all that a token may get."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._entropy = entropy
        self._scopes = scopes

    async def create(
        self,
        principal: Principal,
        name: str,
        scopes: Sequence[str],
        expires_at_ms: int | None = None,
        limits: str = "",
        *,
        networks: Sequence[str] = (),
        rate: Rate | None = None,
        certificate: CertificateBinding | None = None,
        certificate_use: CertificateUse = CertificateUse.ALONE,
        made: NewToken | None = None,
    ) -> IssuedToken:
        """Creates a token. `limits` narrows the scopes: a JSON document in the ledger's own terms.

        `made` is the same token as on other ledgers; None: a new one.

        `certificate` identifies the caller instead of a secret, or `certificate_use` says that both are needed.

        Raises:
            InvalidInput: the name, the scopes or the networks are not valid.
            Conflict: a token has or had this name, and its idempotency keys and jobs still belong to the name; or it has too many
                makers.
        """
        _check_name(name)
        self._check_scopes(scopes)
        made = made or new_token(self._entropy)
        token_id, secret = made.id, _secret_of(made)
        terms = _columns(
            TokenChange(expires_at_ms=expires_at_ms, networks=parse_networks(networks), rate=rate)
        )
        row = {
            "id": token_id,
            "name": name,
            "secret_hash": secret_hash(secret),
            "scopes": msgspec.json.encode(sorted(set(scopes))).decode(),
            "created_at_ms": self._clock.now_ms(),
            "limits": limits or None,
            "makers": _encode_makers(_made_by(principal, name, ())),
            **terms,
        }
        granted = {"name": name, "scopes": sorted(set(scopes)), "expiresAtMs": expires_at_ms}
        granted |= {"limits": limits} if limits else {}
        granted |= {"networks": list(parse_networks(networks))} if networks else {}
        granted |= {"rate": str(rate)} if rate is not None else {}
        if certificate is not None:
            row |= {**_bound(certificate), "certificate_use": certificate_use.value}
            granted |= {"certificate": certificate.title, "certificateUse": certificate_use.value}

        token = await self._insert(principal, row, granted)
        has_secret = certificate is None or certificate_use is not CertificateUse.ALONE
        return IssuedToken(id=token_id, secret=made.secret if has_secret else "", token=token)

    async def _insert(self, principal: Principal, row: dict[str, Any], granted: dict[str, Any]) -> Token:
        """Raises: Conflict: there is a token with this name."""

        def work(connection: Connection) -> Token:
            connection.execute(tables.token.insert(), row)
            self._audit.append(connection, principal, "token.create", row["id"], granted)
            return self._stored(connection, row["id"])

        try:
            return await self._database.write(work)
        except Duplicate:
            raise Conflict(
                f"There is already a token named {row['name']}, perhaps a revoked one. A name is used only once, because"
                " earlier requests belong to it: choose another name, or give that token a new secret with token rotate",
                code="token_exists",
            ) from None

    async def copy_from(self, principal: Principal, other: "Tokens", token_id: str) -> None:
        """Makes the same token as on another ledger, with its secret, scopes and limits.

        Raises:
            NotFound: the other ledger has no such token, or has revoked it.
            InvalidInput: it is not for the admin API alone.
            Conflict: this ledger has a token with its id or name, perhaps a revoked one.
        """
        query = select(tables.token).where(tables.token.c.id == token_id)
        row = await other._database.fetch_one(query)  # noqa: SLF001 - of the same class
        if row is None or row.revoked_at_ms is not None:
            raise NotFound(f"No active token has the id {token_id}", code="token_not_found")
        scopes: list[str] = decode_json(row.scopes)
        if not ADMIN_SCOPES.keys() >= {*scopes}:
            raise InvalidInput(
                "Only tokens of the admin API are the same on several ledgers", code="token_not_admin"
            )

        granted = {"name": row.name, "scopes": scopes, "expiresAtMs": row.expires_at_ms, "copied": True}
        await self._insert(principal, dict(row._mapping), granted)  # noqa: SLF001 - SQLAlchemy's public name

    async def rotate(
        self, principal: Principal, token_id: str, overlap_ms: int = 0, *, made: NewToken | None = None
    ) -> IssuedToken:
        """Gives an active token a new secret. The old one works for `overlap_ms` more; an even older one ends now.

        `made` has the same secret as on other ledgers; None: a new one.

        Raises:
            InvalidInput: the overlap is negative or longer than a year.
            NotFound: no active token has this id.
            Conflict: it has a certificate and no secret, or too many makers.
        """
        if not 0 <= overlap_ms <= MAX_OVERLAP_MS:
            raise InvalidInput("An overlap is at most 366 days", code="overlap_invalid")
        made = made or same_token(token_id, self._entropy)
        secret = _secret_of(made)
        ends_at_ms = self._clock.now_ms() + overlap_ms if overlap_ms else None

        def changed(row: Row[Any]) -> dict[str, Any]:
            if row.certificate_use == CertificateUse.ALONE:
                raise Conflict(
                    "The token has a certificate and no secret: change that", code="token_certificate"
                )
            return {
                "secret_hash": secret_hash(secret),
                "earlier_hash": row.secret_hash if overlap_ms else None,
                "earlier_ends_at_ms": ends_at_ms,
                "makers": _encode_makers(_made_by(principal, row.name, makers_of(row))),
            }

        details = {} if ends_at_ms is None else {"earlierSecretUntilMs": ends_at_ms}
        token = await self._change(principal, token_id, "token.rotate", changed, details)
        return IssuedToken(id=made.id, secret=made.secret, token=token)

    async def change(self, principal: Principal, token_id: str, change: TokenChange) -> Token:
        """Changes where, how often and until when an active token may be used, and returns it as it is then.

        Raises:
            InvalidInput: a network is none, or nothing is to change.
            NotFound: no active token has this id.
            Conflict: it has no certificate that could be changed.
        """
        values = _columns(change)
        if not values:
            raise InvalidInput("Say what of the token is to change", code="nothing_to_change")

        def changed(row: Row[Any]) -> dict[str, Any]:
            if "certificate" in values and row.certificate is None:
                raise Conflict("The token has a secret and no certificate", code="token_certificate")
            return values

        return await self._change(principal, token_id, "token.change", changed, _details(change))

    async def revoke(self, principal: Principal, token_id: str) -> Token:
        """Ends an active token and all its secrets for good; raises NotFound if there is none with this id."""
        values = {"revoked_at_ms": self._clock.now_ms(), "earlier_hash": None, "earlier_ends_at_ms": None}
        return await self._change(principal, token_id, "token.revoke", lambda _row: values, {})

    async def find(self, token_id: str) -> Token:
        """Raises: NotFound: no token, revoked ones included, has this id."""
        row = await self._database.fetch_one(_STORED.where(tables.token.c.id == token_id))
        if row is None:
            raise NotFound(f"No token has the id {token_id}", code="token_not_found")
        return _token(row, self._clock.now_ms())

    async def list(self, *, unused_ms: int | None = None) -> list[Token]:
        """All tokens, the oldest first; with `unused_ms` the active ones that nobody has used for so long."""
        now_ms = self._clock.now_ms()
        rows = await self._database.fetch_all(
            _STORED.order_by(tables.token.c.created_at_ms, tables.token.c.id)
        )
        found = [_token(row, now_ms) for row in rows]
        if unused_ms is None:
            return found
        return [
            each
            for each in found
            if not each.is_revoked and (each.used_at_ms or each.created_at_ms) <= now_ms - unused_ms
        ]

    async def _change(
        self,
        principal: Principal,
        token_id: str,
        action: str,
        changed: Callable[[Row[Any]], dict[str, Any]],
        details: dict[str, Any],
    ) -> Token:
        mine = tables.token.c.id == token_id

        def work(connection: Connection) -> Token:
            row = connection.execute(locking(select(tables.token).where(mine))).first()
            if row is None or row.revoked_at_ms is not None:
                raise NotFound(f"No active token has the id {token_id}", code="token_not_found")
            connection.execute(update(tables.token).where(mine).values(changed(row)))
            self._audit.append(connection, principal, action, token_id, details)
            return self._stored(connection, token_id)

        return await self._database.write(work)

    def _stored(self, connection: Connection, token_id: str) -> Token:
        row = connection.execute(_STORED.where(tables.token.c.id == token_id)).one()
        return _token(row, self._clock.now_ms())

    def _check_scopes(self, scopes: Sequence[str]) -> None:
        if not scopes:
            raise InvalidInput("A token needs at least one scope")
        unknown = sorted({*scopes} - {*self._scopes})
        if unknown:
            raise InvalidInput(
                f"unknown scope {', '.join(unknown)}; there are {', '.join(self._scopes)}",
                code="scope_unknown",
            )


_STORED = select(
    tables.token, tables.token_use.c.used_at_ms, tables.token_use.c.source.label("used_from")
).outerjoin(tables.token_use, tables.token_use.c.token == tables.token.c.id)


def new_token(entropy: Entropy) -> NewToken:
    return _shown(entropy.token(ID_BYTES).hex(), new_secret(entropy))


def same_token(token_id: str, entropy: Entropy) -> NewToken:
    """A new secret of a token, for all ledgers on which it stands."""
    return _shown(token_id, new_secret(entropy))


def new_secret(entropy: Entropy) -> str:
    return base64.b32encode(entropy.token(SECRET_BYTES)).decode().rstrip("=").lower()


def _secret_of(token: NewToken) -> str:
    return token.secret.rpartition("_")[2]


def secret_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def rate_of(row: Row[Any]) -> Rate | None:
    if row.rate_requests is None:
        return None
    return Rate(requests=row.rate_requests, seconds=row.rate_seconds)


def networks_of(row: Row[Any]) -> tuple[str, ...]:
    return tuple(decode_json(row.networks)) if row.networks else ()


def makers_of(row: Row[Any]) -> tuple[str, ...]:
    return tuple(decode_json(row.makers)) if row.makers else ()


def _made_by(giver: Principal, name: str, makers: Sequence[str]) -> tuple[str, ...]:
    """The makers of the token of this name after the giver got a secret of it. Raises: Conflict: there would be too many."""
    tokens = (each for each in (*giver.makers, giver.name) if each.startswith(TOKEN))
    after = tuple(each for each in dict.fromkeys([*makers, *tokens]) if each != f"{TOKEN}{name}")
    if len(after) > max(MAX_MAKERS, len(makers)):
        raise Conflict(
            f"More than {MAX_MAKERS} tokens would have made or rotated it or each other: have it made by another one, or on the"
            " machine",
            code="too_many_makers",
        )
    return after


def _encode_makers(makers: Sequence[str]) -> str | None:
    return msgspec.json.encode(makers).decode() if makers else None


def _token(row: Row[Any], now_ms: int) -> Token:
    overlaps = row.earlier_ends_at_ms is not None and row.earlier_ends_at_ms > now_ms
    return Token(
        id=row.id,
        name=row.name,
        scopes=tuple(decode_json(row.scopes)),
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        revoked_at_ms=row.revoked_at_ms,
        limits=row.limits or "",
        networks=networks_of(row),
        rate=rate_of(row),
        certificate=row.certificate_title or "",
        certificate_use=CertificateUse(row.certificate_use) if row.certificate_use else None,
        earlier_secret_until_ms=row.earlier_ends_at_ms if overlaps else None,
        used_at_ms=row.used_at_ms,
        used_from=row.used_from or "",
        makers=makers_of(row),
    )


def _columns(change: TokenChange) -> dict[str, Any]:
    """The row's columns that change."""
    columns: dict[str, Any] = {}
    if change.expires_at_ms is not msgspec.UNSET:
        columns["expires_at_ms"] = change.expires_at_ms
    if change.networks is not msgspec.UNSET:
        networks = parse_networks(change.networks)
        columns["networks"] = msgspec.json.encode(networks).decode() if networks else None
    if change.rate is not msgspec.UNSET:
        columns["rate_requests"] = None if change.rate is None else change.rate.requests
        columns["rate_seconds"] = None if change.rate is None else change.rate.seconds
    if change.certificate is not msgspec.UNSET:
        columns |= _bound(change.certificate)
    return columns


def _bound(certificate: CertificateBinding) -> dict[str, Any]:
    return {
        "certificate": certificate.key,
        "certificate_authority": certificate.authority,
        "certificate_title": certificate.title,
    }


def _details(change: TokenChange) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if change.expires_at_ms is not msgspec.UNSET:
        details["expiresAtMs"] = change.expires_at_ms
    if change.networks is not msgspec.UNSET:
        details["networks"] = list(parse_networks(change.networks))
    if change.rate is not msgspec.UNSET:
        details["rate"] = None if change.rate is None else str(change.rate)
    if change.certificate is not msgspec.UNSET:
        details["certificate"] = change.certificate.title
    return details


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME or not name.isprintable() or name != name.strip():
        raise InvalidInput(
            f"A token's name has 1 to {MAX_NAME} printable characters, and no space before or after them"
        )


def _shown(token_id: str, secret: str) -> NewToken:
    return NewToken(id=token_id, secret=f"{TOKEN_PREFIX}_{token_id}_{secret}")
