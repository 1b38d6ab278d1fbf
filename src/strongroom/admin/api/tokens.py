"""API tokens of a ledger: list, create, change, rotate, revoke."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from strongroom.admin.api import access
from strongroom.admin.api.wire import NewTokenView, TokenView, token_view
from strongroom.admin.estate import Estate
from strongroom.core.clock import parse_instant
from strongroom.core.coordination.rates import parse_rate
from strongroom.core.errors import InvalidInput
from strongroom.core.http.route_access import needs
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.security.access import Principal
from strongroom.core.security.stored_tokens import TokenChange
from strongroom.core.security.upkeep.delegation import Delegation, TokenWish

MAX_OVERLAP_S = 366 * 86_400


class TokenRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    name: str
    """Who will use it; it appears in the audit trail."""
    scopes: list[str]
    expires_at: str | None = None
    networks: list[str] = []
    """Where it may be used from; empty: from anywhere."""
    rate: str | None = None
    """For example 60/min, 5/s or 1000/h."""
    limits: dict[str, Any] = {}
    """What narrows it further, in the ledger's own terms."""


class TokenChangeRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What is left out stays. null ends the expiry or the rate, an empty list lets it be used from anywhere."""

    expires_at: str | msgspec.UnsetType | None = msgspec.UNSET
    networks: list[str] | msgspec.UnsetType = msgspec.UNSET
    rate: str | msgspec.UnsetType | None = msgspec.UNSET


class Rotation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_OVERLAP_S)] = 0
    """How long the old secret works besides."""


class TokensController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}/tokens"
    tags = ("Tokens",)

    @get(summary="List tokens", opt=needs(access.READ))
    async def list_tokens(self, ledger: FromPath[str], estate: NamedDependency[Estate]) -> list[TokenView]:
        """The oldest first, revoked ones included, without their secrets."""
        return [token_view(one) for one in await estate.find(ledger).tokens.list()]

    @get("/{token:str}", summary="Show a token", opt=needs(access.READ))
    async def show(
        self, ledger: FromPath[str], token: FromPath[str], estate: NamedDependency[Estate]
    ) -> TokenView:
        """By its id, without its secret."""
        return token_view(await estate.find(ledger).tokens.find(token))

    @post(status_code=201, summary="Create a token", opt=needs(access.TOKENS))
    async def create(
        self,
        ledger: FromPath[str],
        data: Annotated[TokenRequest, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> NewTokenView:
        """The answer has the secret, which no other answer shows. If it is lost, rotate the token.

        The token has no more rights than the caller's, lives no longer, and is used from nowhere else.
        """
        running = estate.find(ledger)
        wish = TokenWish(
            name=data.name,
            scopes=data.scopes,
            expires_at_ms=_moment(data.expires_at),
            limits=_limits(running.definition, data.limits),
            networks=data.networks,
            rate=None if data.rate is None else parse_rate(data.rate),
        )
        await running.rules.require_unfrozen(caller)
        made = await Delegation(running.tokens).create(caller, wish)
        return NewTokenView(secret=made.secret, token=token_view(made.token))

    @patch("/{token:str}", summary="Change a token", opt=needs(access.TOKENS))
    async def change(
        self,
        ledger: FromPath[str],
        token: FromPath[str],
        data: Annotated[TokenChangeRequest, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> TokenView:
        """Until when, from where and how often it may be used. It counts for the next request, in every process."""
        rate = data.rate
        wanted = TokenChange(
            expires_at_ms=msgspec.UNSET if data.expires_at is msgspec.UNSET else _moment(data.expires_at),
            networks=data.networks,
            rate=parse_rate(rate) if isinstance(rate, str) else rate,
        )
        running = estate.find(ledger)
        await running.rules.require_unfrozen(caller)
        return token_view(await Delegation(running.tokens).change(caller, token, wanted))

    @post("/{token:str}/rotate", status_code=200, summary="Rotate a token", opt=needs(access.TOKENS))
    async def rotate(
        self,
        ledger: FromPath[str],
        token: FromPath[str],
        data: Annotated[Rotation, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> NewTokenView:
        """Gives it another secret, which no other answer shows. A token may rotate itself."""
        running = estate.find(ledger)
        await running.rules.require_unfrozen(caller)
        made = await Delegation(running.tokens).rotate(caller, token, data.overlap_seconds * 1000)
        return NewTokenView(secret=made.secret, token=token_view(made.token))

    @post("/{token:str}/revoke", status_code=200, summary="Revoke a token", opt=needs(access.TOKENS))
    async def revoke(
        self,
        ledger: FromPath[str],
        token: FromPath[str],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> TokenView:
        """Ends it and all its secrets for good, from the next request on, in every process."""
        return token_view(await estate.find(ledger).tokens.revoke(caller, token))


def _moment(text: str | None) -> int | None:
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise InvalidInput(f"expiresAt {error}", code="invalid_moment") from None


def _limits(definition: AnyLedger, document: Mapping[str, Any]) -> str:
    return definition.read_limits(document) if document else ""
