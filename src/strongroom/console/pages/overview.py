"""The overview: how things stand, and what needs a person."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.response import Template
from markupsafe import Markup

from strongroom.admin.api.access import ANY, PAYMENTS, READ
from strongroom.admin.api.approvals import ApprovalsController
from strongroom.admin.api.freezes import FreezesController
from strongroom.admin.api.ledgers import LedgersController
from strongroom.admin.api.payments.listing import PaymentsController, ThroughputView
from strongroom.admin.api.wire import ComponentView, FreezeView, LedgerView, PaymentPage, PaymentView
from strongroom.admin.estate import APPROVE
from strongroom.console.charts import bars
from strongroom.console.pages.headline import Standing, headline
from strongroom.console.viewer import OfLedgers, Section, Viewer
from strongroom.console.words import count, duration
from strongroom.core.clock import parse_instant
from strongroom.core.http.route_access import needs
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentFilter

SECTION: Final = Section(title="Overview", path="/", scope=ANY)
LIMIT: Final = 100
LATELY: Final = 8
UP: Final = "UP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One ledger. What the viewer may not see is None."""

    name: str
    title: str
    is_away: bool
    components: Sequence[ComponentView] | None
    in_flight: str | None
    waiting: str | None
    frozen: Sequence[FreezeView] | None
    chart: Markup | None

    @property
    def troubles(self) -> list[ComponentView]:
        return [one for one in self.components or () if one.status != UP]

    @property
    def status(self) -> str:
        """The worst of its parts."""
        if self.is_away:
            return "DOWN"
        found = {one.status for one in self.troubles}
        return next((word for word in ("DOWN", "SEALED", "DEGRADED") if word in found), UP)


@dataclass(kw_only=True)
class _Told:
    """What the admin API answered; None: the viewer may not ask for it."""

    ledgers: dict[str, LedgerView] | None = None
    open: PaymentPage | None = None
    lately: PaymentPage | None = None
    pace: ThroughputView | None = None
    approvals: OfLedgers | None = None
    freezes: OfLedgers | None = None
    away: dict[str, str] = field(default_factory=dict)


class OverviewPages(Controller):
    @get("/", opt=needs(ANY))
    async def show(self, viewer: NamedDependency[Viewer]) -> Template:
        told = await _ask(viewer)
        panels = [_panel(viewer, name, told) for name in _names(viewer)]
        return viewer.page(
            "overview.html",
            headline=headline(_standing(viewer, told, panels)),
            panels=panels,
            open=told.open,
            lately=told.lately,
        )


async def _ask(viewer: Viewer) -> _Told:
    told = _Told()

    async def ledgers() -> None:
        found: list[LedgerView] = await viewer.call(LedgersController.list_ledgers)
        told.ledgers = {one.ledger: one for one in found}
        told.freezes = await viewer.each(FreezesController.list_freezes)

    async def payments() -> None:
        wanted = PaymentFilter(state=Outcome.OPEN)
        told.open, told.lately, told.pace = await asyncio.gather(
            viewer.call(PaymentsController.page, wanted=wanted, limit=LIMIT),
            viewer.call(PaymentsController.page, wanted=PaymentFilter(), limit=LATELY),
            viewer.call(PaymentsController.throughput),
        )

    async def approvals() -> None:
        told.approvals = await viewer.each(ApprovalsController.page, limit=LIMIT)

    parts = {READ: ledgers, PAYMENTS: payments, APPROVE: approvals}
    await asyncio.gather(*(ask() for scope, ask in parts.items() if viewer.may(scope)))
    return told


def _names(viewer: Viewer) -> list[str]:
    authority = viewer.authority
    return [name for name in viewer.estate.names if name in authority.principals or name in authority.away]


def _panel(viewer: Viewer, name: str, told: _Told) -> Panel:
    view = (told.ledgers or {}).get(name)
    signed = (
        next((one.signed for one in told.pace.ledgers if one.ledger == name), None) if told.pace else None
    )
    return Panel(
        name=name,
        title=viewer.estate.title_of(name),
        is_away=name in viewer.authority.away,
        components=None if view is None else view.components,
        in_flight=None if told.open is None else _in_flight(told.open, name, viewer.estate.now_ms),
        waiting=_waiting(told.approvals, name),
        frozen=None if told.freezes is None else told.freezes.of.get(name),
        chart=bars(signed, _pace(signed)) if signed is not None and any(signed) else None,
    )


def _in_flight(page: PaymentPage, name: str, now_ms: int) -> str:
    own = [one for one in page.payments if one.ledger == name]
    if not own:
        return "none" if page.cursor is None else "none of the newest"
    more = " or more" if page.cursor is not None else ""
    return f"{len(own)}{more}, the oldest for {duration(now_ms - _oldest_ms(own))}"


def _oldest_ms(payments: Sequence[PaymentView]) -> int:
    return min(parse_instant(one.created_at) for one in payments)


def _waiting(answers: OfLedgers | None, name: str) -> str | None:
    page = None if answers is None else answers.of.get(name)
    if page is None:
        return None
    return f"{len(page.approvals)}{' or more' if page.cursor else ''}"


def _pace(signed: Sequence[int]) -> str:
    whole = count(sum(signed), "payment")
    return f"Signed in the last hour: {whole}, at most {max(signed)} in a minute, {signed[-1]} in this one."


def _standing(viewer: Viewer, told: _Told, panels: Sequence[Panel]) -> Standing:
    approvals = told.approvals.of.values() if told.approvals is not None else ()
    frozen = [one.title for one in panels for each in one.frozen or () if each.scope.value == "ledger"]
    return Standing(
        away=[viewer.estate.title_of(name) for name in viewer.authority.away],
        troubled=[one.title for one in panels if one.troubles and not one.is_away],
        frozen=frozen,
        stuck=sum(one.stuck for one in told.open.payments) if told.open is not None else 0,
        waiting=sum(len(page.approvals) for page in approvals),
        knows_health=told.ledgers is not None,
    )


CONTROLLERS: Final = (OverviewPages,)
