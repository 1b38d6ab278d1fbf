"""A token: what of it is shown, its secret, and how its row holds it.

A token is `sr_<id>_<secret>`. The id finds the row, which has the SHA-256 of the secret (256 random bits).
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, select

from strongroom.core.clock import Entropy
from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import Conflict, Unauthenticated
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import Principal
from strongroom.core.security.certificates import CertificateBinding, CertificateUse
from strongroom.core.security.networks import parse_networks
from strongroom.core.storage import tables
from strongroom.core.storage.database import holding

TOKEN_PREFIX = "sr"  # noqa: S105 - the public part of every token
ID_BYTES = 8
SECRET_BYTES = 32
MAX_MAKERS = 32
"""Every signature of a token looks at all of them."""
TOKEN = "token:"  # noqa: S105 - the beginning of a principal's name
REVOKED = "The API token was revoked"
_HOLD = holding(select(tables.token.c.revoked_at_ms).where(tables.token.c.id == bindparam("token_id")))


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


STORED = select(
    tables.token, tables.token_use.c.used_at_ms, tables.token_use.c.source.label("used_from")
).outerjoin(tables.token_use, tables.token_use.c.token == tables.token.c.id)


def new_token(entropy: Entropy) -> NewToken:
    return _shown(entropy.token(ID_BYTES).hex(), new_secret(entropy))


def same_token(token_id: str, entropy: Entropy) -> NewToken:
    """A new secret of a token, for all ledgers on which it stands."""
    return _shown(token_id, new_secret(entropy))


def new_secret(entropy: Entropy) -> str:
    return base64.b32encode(entropy.token(SECRET_BYTES)).decode().rstrip("=").lower()


def secret_of(token: NewToken) -> str:
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


def made_by(giver: Principal, name: str, makers: Sequence[str]) -> tuple[str, ...]:
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


def encode_makers(makers: Sequence[str]) -> str | None:
    return msgspec.json.encode(makers).decode() if makers else None


def as_token(row: Row[Any], now_ms: int) -> Token:
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


def columns_of(change: TokenChange) -> dict[str, Any]:
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
        columns |= bound_columns(change.certificate)
    return columns


def bound_columns(certificate: CertificateBinding) -> dict[str, Any]:
    return {
        "certificate": certificate.key,
        "certificate_authority": certificate.authority,
        "certificate_title": certificate.title,
    }


def details_of(change: TokenChange) -> dict[str, Any]:
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


def _shown(token_id: str, secret: str) -> NewToken:
    return NewToken(id=token_id, secret=f"{TOKEN_PREFIX}_{token_id}_{secret}")


def require_unrevoked(connection: Connection, principal: Principal) -> None:
    """Checks, in a transaction that signs or that changes tokens, that the request's token was not revoked since it was let in.

    Whoever revokes it meanwhile waits until the transaction ends, so nothing is signed or changed after a revocation. A token that has
    expired meanwhile is no obstacle: it was valid when the request was made.

    Raises:
        Unauthenticated: the principal's token was revoked.
    """
    if principal.token is None:
        return
    row = connection.execute(_HOLD, {"token_id": principal.token}).first()
    if row is None or row.revoked_at_ms is not None:
        raise Unauthenticated(REVOKED)
