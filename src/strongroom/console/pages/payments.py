"""Payments of all ledgers: found by any of their names, filtered, a page at a time, and as CSV."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.response import Stream, Template

from strongroom.admin.api.access import PAYMENTS
from strongroom.admin.api.payments.listing import FILTERS, PaymentsController, payment_filter
from strongroom.admin.api.wire import PaymentPage, PaymentView
from strongroom.admin.estate import AWAY_CODE
from strongroom.console.access import Visitors
from strongroom.console.pages.queries import asked_of, csv_line, ledger_of
from strongroom.console.viewer import Section, Viewer
from strongroom.core.errors import InvalidInput, RateLimited, Unavailable
from strongroom.core.http.route_access import needs
from strongroom.core.intents.execution import ExecutionState
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentFilter

SECTION: Final = Section(title="Payments", path="/payments", scope=PAYMENTS)
LIMIT: Final = 50
CSV_LIMIT: Final = 500
QUERY: Final = ("ledger", *FILTERS, "cursor")
ON: Final = "true"
COLUMNS: Final = (
    "id",
    "ledger",
    "state",
    "stage",
    "execution",
    "kind",
    "wallet",
    "account",
    "amount_raw",
    "destination",
    "principal",
    "rule",
    "approval",
    "request_id",
    "client_key",
    "created_at",
    "resolved_at",
    "reason",
)
AnyRequest = Request[Any, Any, Any]


class PaymentsPages(Controller):
    @get("/payments", opt=needs(PAYMENTS) | {"query": QUERY})
    async def show(self, request: AnyRequest, viewer: NamedDependency[Viewer]) -> Template:
        asked = asked_of(request)
        page: PaymentPage = await viewer.call(
            PaymentsController.page,
            wanted=await filter_of(asked),
            cursor=asked.get("cursor"),
            limit=LIMIT,
            **ledger_of(asked),
        )
        kept = {name: value for name, value in asked.items() if name != "cursor"}
        return viewer.page(
            "payments.html",
            page=page,
            asked=asked,
            is_filtered=bool(kept),
            next=None if page.cursor is None else f"/payments?{urlencode({**kept, 'cursor': page.cursor})}",
            here=None if "cursor" in asked else f"/payments?{urlencode(kept)}",
            csv=f"/payments.csv?{urlencode(kept)}",
            states=[one.value for one in Outcome],
        )

    @get("/payments.csv", opt=needs(PAYMENTS) | {"query": QUERY})
    async def export(
        self, request: AnyRequest, viewer: NamedDependency[Viewer], visitors: NamedDependency[Visitors]
    ) -> Stream:
        """All that the filters find, the newest first. A file that could not have all of it is none, or breaks off."""
        asked = asked_of(request)
        wanted, ledger = await filter_of(asked), ledger_of(asked)

        async def page(cursor: str | None) -> PaymentPage:
            found: PaymentPage = await viewer.call(
                PaymentsController.page, wanted=wanted, cursor=cursor, limit=CSV_LIMIT, **ledger
            )
            if found.away:
                raise _incomplete([viewer.estate.title_of(one.ledger) for one in found.away])
            return found

        first = await page(None)

        async def rows() -> AsyncIterator[str]:
            yield csv_line(COLUMNS)
            shown = first
            while True:
                yield "".join(csv_line(_cells(one)) for one in shown.payments)
                if shown.cursor is None:
                    return
                with suppress(RateLimited):
                    await visitors.recheck(request)
                shown = await page(shown.cursor)

        return Stream(
            rows(),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="payments.csv"'},
        )


def _incomplete(titles: list[str]) -> Unavailable:
    return Unavailable(
        f"{' and '.join(titles)} cannot be asked now, and the file would lack its payments."
        " Choose one ledger that answers, or export them all later",
        code=AWAY_CODE,
    )


async def filter_of(asked: Mapping[str, str]) -> PaymentFilter:
    """Raises: InvalidInput."""
    text = {
        name: asked.get(name)
        for name in ("wallet", "account", "kind", "principal", "token", "rule", "since", "until")
    }
    try:
        outcome = Outcome(asked["state"]) if "state" in asked else None
        execution = ExecutionState(asked["execution"]) if "execution" in asked else None
    except ValueError:
        raise InvalidInput("There is no such state of a payment") from None
    return await payment_filter(
        **text,
        outcome=outcome,
        execution=execution,
        request_id=asked.get("request"),
        stuck=asked.get("stuck") == ON,
    )


def _cells(one: PaymentView) -> list[str]:
    values = (getattr(one, name) for name in COLUMNS)
    return ["" if value is None else str(getattr(value, "value", value)) for value in values]


CONTROLLERS: Final = (PaymentsPages,)
