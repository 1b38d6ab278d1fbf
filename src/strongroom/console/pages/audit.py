"""The audit trail of all ledgers: who did what, as a file, and the receipt of a row."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream, Template

from strongroom.admin.api.access import AUDIT
from strongroom.admin.api.audit.proofs import ProofsController
from strongroom.admin.api.audit.rows import FILTERS, AuditController, AuditPage, AuditRowView, audit_filter
from strongroom.console.access import form_of
from strongroom.console.pages.queries import asked_of, csv_line, ledger_of
from strongroom.console.viewer import Section, Viewer
from strongroom.core.errors import Unavailable
from strongroom.core.http.route_access import needs
from strongroom.core.transparency.proving import NotCovered
from strongroom.core.transparency.rows import NO_PAYMENT, SIGNATURES, payment_in

SECTION: Final = Section(title="Audit", path="/audit", scope=AUDIT)
LIMIT: Final = 50
EXPORT_LIMIT: Final = 500
QUERY: Final = ("ledger", *FILTERS, "cursor")
COLUMNS: Final = tuple(one.name for one in msgspec.structs.fields(AuditRowView))
AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    row: AuditRowView
    details: list[tuple[str, str]]
    payment: str | None
    """The id of the payment that the row signed, which has a receipt."""


class AuditPages(Controller):
    @get("/audit", opt=needs(AUDIT) | {"query": QUERY})
    async def show(self, request: AnyRequest, viewer: NamedDependency[Viewer]) -> Template:
        asked = asked_of(request)
        page = await _page(viewer, asked, asked.get("cursor"), LIMIT)
        kept = {name: value for name, value in asked.items() if name != "cursor"}
        return viewer.page(
            "audit/rows.html",
            rows=[_shown(one) for one in page.rows],
            away_now=page.away,
            asked=asked,
            is_filtered=bool(kept),
            next=None if page.cursor is None else f"/audit?{urlencode({**kept, 'cursor': page.cursor})}",
            query=urlencode(kept),
        )

    @get("/audit.csv", opt=needs(AUDIT) | {"query": QUERY})
    async def as_csv(self, request: AnyRequest, viewer: NamedDependency[Viewer]) -> Stream:
        return await _export(viewer, asked_of(request), csv_line(COLUMNS), _csv, "csv", "text/csv")

    @get("/audit.jsonl", opt=needs(AUDIT) | {"query": QUERY})
    async def as_json_lines(self, request: AnyRequest, viewer: NamedDependency[Viewer]) -> Stream:
        return await _export(viewer, asked_of(request), "", _json, "jsonl", "application/x-ndjson")

    @get("/audit/{on:str}/receipts/{payment:str}", opt=needs(AUDIT))
    async def receipt(
        self, on: FromPath[str], payment: FromPath[str], viewer: NamedDependency[Viewer]
    ) -> Template:
        receipt, missing = "", ""
        try:
            receipt = (await viewer.call(ProofsController.receipt, on, payment=payment)).receipt
        except NotCovered as error:
            missing = error.message
        key = await viewer.call(ProofsController.key, on)
        return viewer.page(
            "audit/receipt.html",
            on=on,
            payment=payment,
            receipt=receipt,
            missing=missing,
            public_key=key.public_key,
        )

    @post("/audit/{on:str}/checkpoint", opt=needs(AUDIT))
    async def make_checkpoint(
        self, request: AnyRequest, on: FromPath[str], viewer: NamedDependency[Viewer]
    ) -> Response[Any]:
        """Leads back to the receipt that had to wait for it."""
        payment = (await form_of(request)).get("payment", "")
        made = await viewer.call(ProofsController.make, on)
        where = f"/audit/{on}/receipts/{payment}" if payment.isalnum() else SECTION.path
        told = f"Checkpoint {made[-1].checkpoint} is made." if made else "There was nothing new to cover."
        return viewer.done(where, told)


async def _page(viewer: Viewer, asked: Mapping[str, str], cursor: str | None, limit: int) -> AuditPage:
    wanted = await audit_filter(**{name: asked.get(name) for name in FILTERS})
    found: AuditPage = await viewer.call(
        AuditController.page, rows_wanted=wanted, cursor=cursor, limit=limit, **ledger_of(asked)
    )
    return found


async def _export(
    viewer: Viewer,
    asked: Mapping[str, str],
    head: str,
    line: Callable[[AuditRowView], str],
    ending: str,
    media_type: str,
) -> Stream:
    """All that the filters find, the newest first. Raises: Unavailable: it would lack the rows of a ledger."""

    async def page(cursor: str | None) -> AuditPage:
        found = await _page(viewer, asked, cursor, EXPORT_LIMIT)
        if found.away:
            missing = viewer.estate.title_of(found.away[0].ledger)
            raise Unavailable(f"The export would lack the rows of {missing}, whose database does not answer")
        return found

    first = await page(None)

    async def rows() -> AsyncIterator[str]:
        yield head
        shown = first
        while True:
            yield "".join(line(one) for one in shown.rows)
            if shown.cursor is None:
                return
            shown = await page(shown.cursor)

    return Stream(
        rows(),
        media_type=f"{media_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="audit.{ending}"'},
    )


def _shown(row: AuditRowView) -> Shown:
    payment = NO_PAYMENT
    if row.action in SIGNATURES:
        payment = payment_in(msgspec.json.encode(row.details).decode())
    return Shown(
        row=row,
        details=[(name, _text(value)) for name, value in row.details.items()],
        payment=None if payment == NO_PAYMENT else payment.hex(),
    )


def _csv(row: AuditRowView) -> str:
    return csv_line([_text(getattr(row, name)) for name in COLUMNS])


def _json(row: AuditRowView) -> str:
    return msgspec.json.encode(row).decode() + "\n"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


CONTROLLERS: Final = (AuditPages,)
