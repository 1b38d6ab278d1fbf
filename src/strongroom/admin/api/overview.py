"""How all ledgers stand, in one answer: for screens that ask again and again."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Final

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from strongroom.admin.api import access
from strongroom.admin.api.wire import (
    Answer,
    AwayView,
    ComponentView,
    FreezeView,
    PaymentView,
    away_view,
    components_of,
    freeze_view,
    payment_view,
)
from strongroom.admin.estate import APPROVE, Authority, Estate
from strongroom.core.clock import iso_instant
from strongroom.core.errors import Forbidden, StrongroomError, Unavailable
from strongroom.core.guard.state import Freeze
from strongroom.core.http.route_access import needs
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentFilter, PaymentRecord, newest_first

MINUTE_MS: Final = 60_000
COUNTED: Final = 100
"""To count more would read more with each look."""
Minutes = Annotated[
    int, QueryParameter(ge=1, le=60, description="So many minutes back is counted what was signed")
]
Lately = Annotated[int, QueryParameter(ge=0, le=50, description="So many of the newest payments are told")]


class CoinView(Answer):
    symbol: str
    decimals: int
    """One coin is 10 to the power of so many of the smallest unit."""


class StandingView(Answer):
    """One ledger. What the caller may not see, or the ledger cannot tell now, is null."""

    ledger: str
    title: str
    coin: CoinView
    away: AwayView | None
    """Why its database could not be asked."""
    components: list[ComponentView] | None
    """As on the management surface of the process that answers."""
    is_sealed: bool | None
    """Null also where the ledger holds no keys."""
    freezes: list[FreezeView] | None
    in_flight: int | None
    """How many payments are open, counted up to `counted`, as the next two."""
    stuck: int | None
    """Of these, for longer than a minute."""
    waiting: int | None
    """How many requests wait for approvals."""
    signed: list[int] | None
    """In each minute since `signedSince`; the last one goes on."""


class OverviewView(Answer):
    at: str
    signed_since: str
    counted: int
    ledgers: list[StandingView]
    payments: list[PaymentView] | None
    """The newest ones of all ledgers, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked of each ledger: by the scope, the ledgers where the caller has it."""

    allowed: Mapping[str, frozenset[str]]
    since_ms: int
    minutes: int
    lately: int

    def may(self, scope: str, ledger: str) -> bool:
        return ledger in self.allowed[scope]


@dataclass(kw_only=True)
class _Told:
    """What a ledger's database answered."""

    away: StrongroomError | None = None
    freezes: Sequence[Freeze] | None = None
    in_flight: int | None = None
    stuck: int | None = None
    waiting: int | None = None
    signed: Sequence[int] | None = None
    lately: Sequence[PaymentRecord] = ()


class OverviewController(Controller):
    path = "/admin/v1/overview"
    tags = ("Ledgers",)

    @get(summary="How all ledgers stand", opt=needs(access.ANY) | {"query": ("minutes", "lately")})
    async def show(
        self,
        estate: NamedDependency[Estate],
        authority: NamedDependency[Authority],
        minutes: Minutes = 15,
        lately: Lately = 10,
    ) -> OverviewView:
        """Health, seal and freezes, payments, and approvals that wait, of every ledger over which the caller has authority.

        Any scope of the admin API opens it, and it tells what the caller's scopes allow. A ledger whose database does not
        answer says so in `away`.
        """
        now_ms = estate.now_ms
        asked = _Asked(
            allowed={scope: _having(authority, scope) for scope in (access.READ, access.PAYMENTS, APPROVE)},
            since_ms=(now_ms // MINUTE_MS + 1 - minutes) * MINUTE_MS,
            minutes=minutes,
            lately=lately,
        )
        names = [one for one in estate.names if one in authority.principals or one in authority.away]
        told = await asyncio.gather(*(_ask(estate, asked, one, authority.away.get(one)) for one in names))
        newest = newest_first([*chain.from_iterable(one.lately for one in told)])[:lately]
        return OverviewView(
            at=iso_instant(now_ms),
            signed_since=iso_instant(asked.since_ms),
            counted=COUNTED,
            ledgers=[_view(estate, asked, name, one) for name, one in zip(names, told, strict=True)],
            payments=[_payment(estate, one) for one in newest] if asked.allowed[access.PAYMENTS] else None,
        )


def _having(authority: Authority, scope: str) -> frozenset[str]:
    try:
        return frozenset(authority.require(scope).principals)
    except Forbidden:
        return frozenset()


async def _ask(estate: Estate, asked: _Asked, name: str, away: StrongroomError | None) -> _Told:
    if away is not None:
        return _Told(away=away)
    told = _Told()
    try:
        ledger = estate.find(name)
        if asked.may(access.READ, name):
            told.freezes = await ledger.rules.freezes()
        if asked.may(access.PAYMENTS, name):
            payments = ledger.payments
            told.in_flight = len(await payments.page(PaymentFilter(state=Outcome.OPEN), limit=COUNTED))
            told.stuck = len(await payments.page(PaymentFilter(is_stuck=True), limit=COUNTED))
            told.signed = await payments.signed(asked.since_ms, MINUTE_MS, asked.minutes)
            told.lately = await payments.page(PaymentFilter(), limit=asked.lately) if asked.lately else ()
        if asked.may(APPROVE, name):
            told.waiting = len(await ledger.approvals.page(limit=COUNTED))
    except Unavailable as error:
        return _Told(away=error)
    return told


def _view(estate: Estate, asked: _Asked, name: str, told: _Told) -> StandingView:
    # Who asks a ledger that is away is not known there: as in the list of ledgers, its health is told all the same.
    sees_health = asked.may(access.READ, name) or (told.away is not None and bool(asked.allowed[access.READ]))
    coin = estate.coin_of(name)
    return StandingView(
        ledger=name,
        title=estate.title_of(name),
        coin=CoinView(symbol=coin.symbol, decimals=coin.decimals),
        away=None if told.away is None else away_view(name, told.away),
        components=components_of(name, estate.health) if sees_health else None,
        is_sealed=estate.is_sealed(name)
        if asked.may(access.READ, name) and estate.holds_keys(name)
        else None,
        freezes=None if told.freezes is None else [freeze_view(one) for one in told.freezes],
        in_flight=told.in_flight,
        stuck=told.stuck,
        waiting=told.waiting,
        signed=None if told.signed is None else list(told.signed),
    )


def _payment(estate: Estate, one: PaymentRecord) -> PaymentView:
    return payment_view(one, estate.find(one.ledger).definition.network_id(one.id))
