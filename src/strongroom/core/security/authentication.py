"""Identifies callers by their API tokens."""

import hmac
import math
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, bindparam

from strongroom.core.clock import Clock
from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import Forbidden, RateLimited, Unauthenticated
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import ANONYMOUS, Principal
from strongroom.core.security.certificates import CertificateUse, read_presented
from strongroom.core.security.credentials import Credentials
from strongroom.core.security.networks import ELSEWHERE, is_within
from strongroom.core.security.rows.tokens import TOKENS, TokenRows
from strongroom.core.security.stored_tokens import (
    REVOKED,
    TOKEN_PREFIX,
    makers_of,
    networks_of,
    rate_of,
    secret_hash,
)
from strongroom.core.security.upkeep.token_uses import TokenUses
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database

# Every request with a token runs this. It is built once, because building it costs as much as executing it.
_BY_ID = TOKENS.where(tables.token.c.id == bindparam("token_id"))
_BY_CERTIFICATE = TOKENS.where(
    tables.token.c.certificate.in_([bindparam("fingerprint"), bindparam("subject_key")]),
    tables.token.c.certificate_use == CertificateUse.ALONE.value,
)


class TokenCheck:
    """Finds the principal behind a token. It reads the token's row each time, so that no change of it is missed."""

    def __init__(
        self, database: Database, clock: Clock, uses: TokenUses, rates: RateLimiter, rows: TokenRows
    ) -> None:
        self._database = database
        self._rows = rows
        self._clock = clock
        self._uses = uses
        self._rates = rates

    async def authenticate(self, presented: str, source: str, certificate: bytes | None = None) -> Principal:
        """Returns the token's principal. `source` and `certificate` are as in `Credentials`.

        Raises:
            Unauthenticated: the token is malformed, unknown, expired or revoked, or its certificate is not presented. The
                message is the same for the first two, so that it does not reveal which ids exist.
            Forbidden: the token is valid, but not from there.
            RateLimited: the token's own rate is used up.
        """
        prefix, _, rest = presented.partition("_")
        token_id, _, secret = rest.partition("_")
        row = None
        if prefix == TOKEN_PREFIX and token_id.isascii():
            row = await self._database.read(
                lambda connection: connection.execute(_BY_ID, {"token_id": token_id}).first()
            )
        now_ms = self._clock.now_ms()
        if not _is_secret(row, secret, now_ms) or row is None or not self._is_ours(row):
            raise Unauthenticated("The API token is not valid")
        if row.certificate_use == CertificateUse.ALONE:
            raise Unauthenticated("The API token is not valid")
        if row.certificate_use is not None and not _presents(row, certificate, now_ms):
            raise Unauthenticated("The API token counts only on a connection with its client certificate")
        return await self._admit(row, source, now_ms)

    async def authenticate_certificate(self, certificate: bytes, source: str) -> Principal | None:
        """Returns the principal of the token whose certificate this is; None: it is no token's.

        Raises:
            Unauthenticated: the token or the certificate has expired, the token is revoked, or there are several.
            Forbidden: the token is valid, but not from there.
            RateLimited: the token's own rate is used up.
        """
        presented = read_presented(certificate)
        if presented is None:
            return None
        keys = {"fingerprint": presented.fingerprint, "subject_key": presented.subject_key}
        rows = await self._database.read(lambda connection: connection.execute(_BY_CERTIFICATE, keys).all())
        bound = [
            row
            for row in rows
            if presented.is_bound(row.certificate, row.certificate_authority) and self._is_ours(row)
        ]
        if not bound:
            return None
        row, *others = [row for row in bound if row.revoked_at_ms is None] or bound[:1]
        if others:
            raise Unauthenticated("Several API tokens have this client certificate: revoke all but one")
        now_ms = self._clock.now_ms()
        if not presented.is_current(now_ms):
            raise Unauthenticated("The client certificate has expired")
        return await self._admit(row, source, now_ms)

    def _is_ours(self, row: Row[Any]) -> bool:
        """Whether the service wrote the row as it is. While it cannot be checked, the token reads and nothing else."""
        return not self._rows.can_check or self._rows.is_good(row)

    async def _admit(self, row: Row[Any], source: str, now_ms: int) -> Principal:
        """The principal of a token that was presented rightly, if it may be used now and from there."""
        if row.revoked_at_ms is not None:
            raise Unauthenticated(REVOKED)
        if row.expires_at_ms is not None and row.expires_at_ms <= now_ms:
            raise Unauthenticated("The API token has expired")
        principal = Principal(
            name=f"token:{row.name}",
            scopes=frozenset(decode_json(row.scopes)),
            limits=row.limits or "",
            token=row.id,
            source=source,
            makers=makers_of(row),
            rate=rate_of(row),
            is_checked=self._rows.can_check,
        )
        if row.networks and not is_within(source, networks_of(row)):
            self._uses.note_refusal(principal)
            raise Forbidden("The token may not be used from this address", code=ELSEWHERE)
        self._uses.note(principal)
        if principal.rate is not None:
            await self._require_rate(principal, principal.rate)
        return principal

    async def _require_rate(self, principal: Principal, rate: Rate) -> None:
        wait_s = await self._rates.take(principal.name, rate)
        if wait_s:
            raise RateLimited(f"More than {rate} requests with this token", retry_after_s=math.ceil(wait_s))


class Gatekeeper:
    """Finds the principal behind what a request presents."""

    def __init__(self, tokens: TokenCheck, *, required: bool) -> None:
        self._tokens = tokens
        self._required = required

    async def identify(self, credentials: Credentials) -> Principal:
        """Identifies the caller: by the token, or else by the certificate of the connection.

        A token that is given is always checked, and its scopes apply, even if none is required.

        Raises:
            Unauthenticated: a token is needed and none is given, or the given one is not valid.
            Forbidden: the token may not be used from there.
            RateLimited: the token's own rate is used up.
        """
        if credentials.authorization is None:
            if credentials.certificate is not None:
                found = await self._tokens.authenticate_certificate(
                    credentials.certificate, credentials.source
                )
                if found is not None:
                    return found
            if self._required:
                raise Unauthenticated("This service needs an API token: Authorization: Bearer <token>")
            return replace(ANONYMOUS, source=credentials.source)
        scheme, _, presented = credentials.authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("Only bearer tokens are accepted: Authorization: Bearer <token>")
        return await self._tokens.authenticate(presented.strip(), credentials.source, credentials.certificate)


def _presents(row: Row[Any], certificate: bytes | None, now_ms: int) -> bool:
    """Whether the connection has the certificate that the token is bound to."""
    presented = None if certificate is None else read_presented(certificate)
    return (
        presented is not None
        and presented.is_current(now_ms)
        and presented.is_bound(row.certificate, row.certificate_authority)
    )


def _is_secret(row: Row[Any] | None, secret: str, now_ms: int) -> bool:
    """Whether it is the token's secret, or the one before while that works. Both are always compared, whatever is stored."""
    presented = secret_hash(secret)
    stored, earlier = bytes(32), bytes(32)
    if row is not None:
        stored = row.secret_hash
        if row.earlier_hash is not None and (row.earlier_ends_at_ms or 0) > now_ms:
            earlier = row.earlier_hash
    is_current = hmac.compare_digest(stored, presented)
    is_earlier = hmac.compare_digest(earlier, presented)
    return is_current or is_earlier
