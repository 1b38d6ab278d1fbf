"""Lets a token administer tokens, and never gain by it.

What a token makes, changes or rotates has no right that it has not itself, lives no longer, and is used from nowhere else. Rights
to approve and to export, and `admin` itself, are given on the machine alone: whoever could hand them on could approve a request of their own
under another name. To revoke a token only takes rights away, so every token may be revoked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import Forbidden
from strongroom.core.security.access import ADMIN, ADMIN_SCOPES, Principal
from strongroom.core.security.networks import is_within, parse_networks
from strongroom.core.security.stored_tokens import IssuedToken, Token, TokenChange
from strongroom.core.security.tokens import Tokens

KEPT: Final = frozenset({ADMIN, "*"})
"""Rights that no token gives another one, because they have the right to approve in them."""
KEPT_RIGHTS: Final = (":approve", ":export", ":*")
CODE: Final = "more_rights"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWish:
    """A token to be made. Everything beyond the scopes narrows it."""

    name: str
    scopes: Sequence[str]
    expires_at_ms: int | None = None
    limits: str = ""
    networks: Sequence[str] = ()
    rate: Rate | None = None


class Delegation:
    """The tokens of one ledger, as other tokens administer them."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def create(self, principal: Principal, wish: TokenWish) -> IssuedToken:
        """Raises: Forbidden: it would have more rights than the principal; what `Tokens.create` raises."""
        giver = await self._giver(principal)
        _require_no_more(giver, _rights_of(wish))
        return await self._tokens.create(
            principal,
            wish.name,
            wish.scopes,
            wish.expires_at_ms,
            wish.limits,
            networks=wish.networks,
            rate=wish.rate,
        )

    async def change(self, principal: Principal, token_id: str, change: TokenChange) -> Token:
        """Raises: Forbidden: it would have more rights than the principal; what `Tokens.change` raises."""
        giver = await self._giver(principal)
        _require_no_more(giver, _changed(await self._tokens.find_good(token_id), change))
        return await self._tokens.change(principal, token_id, change)

    async def rotate(self, principal: Principal, token_id: str, overlap_ms: int) -> IssuedToken:
        """Whoever rotates a token gets it. A token may rotate itself, whatever its rights.

        Raises: Forbidden: it has more rights than the principal; what `Tokens.rotate` raises.
        """
        giver = await self._giver(principal)
        if token_id != principal.token:
            _require_no_more(giver, await self._tokens.find_good(token_id))
        return await self._tokens.rotate(principal, token_id, overlap_ms)

    async def _giver(self, principal: Principal) -> Token:
        if principal.token is None:
            raise Forbidden("Only a token makes tokens here", code=CODE)
        return await self._tokens.find_good(principal.token)


def _rights_of(wish: TokenWish) -> Token:
    return Token(
        id="",
        name=wish.name,
        scopes=tuple(wish.scopes),
        created_at_ms=0,
        expires_at_ms=wish.expires_at_ms,
        revoked_at_ms=None,
        limits=wish.limits,
        networks=parse_networks(wish.networks),
        rate=wish.rate,
    )


def _changed(token: Token, change: TokenChange) -> Token:
    if change.expires_at_ms is not msgspec.UNSET:
        token = replace(token, expires_at_ms=change.expires_at_ms)
    if change.networks is not msgspec.UNSET:
        token = replace(token, networks=parse_networks(change.networks))
    if change.rate is not msgspec.UNSET:
        token = replace(token, rate=change.rate)
    return token


def _require_no_more(giver: Token, wanted: Token) -> None:
    """Raises: Forbidden: with the first thing in which `wanted` goes beyond `giver`."""
    kept = [scope for scope in wanted.scopes if scope in KEPT or scope.endswith(KEPT_RIGHTS)]
    if kept:
        raise _more(f"{', '.join(sorted(kept))} is given on the machine alone: strongroom token create")
    lacking = [scope for scope in wanted.scopes if not _has(giver, scope)]
    if lacking:
        raise _more(f"your token lacks the scope {', '.join(sorted(lacking))}")
    ends_at_ms = giver.expires_at_ms
    if ends_at_ms is not None and (wanted.expires_at_ms is None or wanted.expires_at_ms > ends_at_ms):
        raise _more("it would live longer than your token")
    if giver.networks and not (
        wanted.networks and all(is_within(one, giver.networks) for one in wanted.networks)
    ):
        raise _more("it could be used from where your token may not be")
    if giver.limits and wanted.limits != giver.limits:
        raise _more("it would have other limits than your token")
    if giver.certificate and wanted.certificate != giver.certificate:
        raise _more("it could be used without the certificate of your token")
    if giver.rate is not None and (wanted.rate is None or not wanted.rate.is_within(giver.rate)):
        raise _more("it could be used more often than your token")


def _has(giver: Token, scope: str) -> bool:
    """`admin` has every right; elsewhere a scope of the admin API is covered by none but itself."""
    if ADMIN in giver.scopes or scope in giver.scopes:
        return True
    return scope not in ADMIN_SCOPES and Principal(name="", scopes=frozenset(giver.scopes)).may(scope)


def _more(why: str) -> Forbidden:
    return Forbidden(f"A token gives no more rights than it has: {why}", code=CODE)
