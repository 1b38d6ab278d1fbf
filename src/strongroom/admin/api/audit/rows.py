"""The audit trail of all ledgers: who did what."""

from collections.abc import Sequence
from heapq import merge
from itertools import islice
from typing import Annotated, Any, Final

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from strongroom.admin.api import access
from strongroom.admin.api.cursors import decode_numbers, encode_numbers
from strongroom.admin.api.pages import Cursor, OneLedger, ask_each, moment
from strongroom.admin.api.wire import Answer, AwayView, away_view
from strongroom.admin.estate import Authority, Estate
from strongroom.core.clock import iso_instant
from strongroom.core.http.route_access import needs
from strongroom.core.transparency.reading import MAX_PAGE, AuditFilter, AuditRow, TrailReader

FILTERS: Final = ("principal", "action", "subject", "wallet", "since", "until")
QUERY: Final = ("ledger", *FILTERS, "cursor", "limit")
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="The most rows on a page")]


class AuditRowView(Answer):
    ledger: str
    sequence: int
    """Of its ledger; it rises with the time."""
    at: str
    principal: str
    action: str
    subject: str
    """What it was done to."""
    details: dict[str, Any]
    lane: int
    number: int
    """In its lane."""
    hash: str
    """What chains it to the row before."""


class AuditPage(Answer):
    rows: list[AuditRowView]
    cursor: str | None
    """For the next page; null: this is the last one."""
    away: list[AwayView]
    """Ledgers whose rows are missing."""


async def audit_filter(
    principal: Annotated[str | None, QueryParameter(required=False, description="Who did it")] = None,
    action: Annotated[
        str | None,
        QueryParameter(required=False, description="`token.create`, or `token` for its whole group"),
    ] = None,
    subject: Annotated[str | None, QueryParameter(required=False, description="What it was done to")] = None,
    wallet: Annotated[
        str | None,
        QueryParameter(required=False, description="It, its keys, and the accounts that signed for it"),
    ] = None,
    since: Annotated[str | None, QueryParameter(required=False, description="Done then or later")] = None,
    until: Annotated[str | None, QueryParameter(required=False, description="Done before then")] = None,
) -> AuditFilter:
    return AuditFilter(
        principal=principal,
        action=action,
        subject=subject,
        wallet=wallet,
        since_ms=0 if since is None else moment("since", since),
        until_ms=None if until is None else moment("until", until),
    )


class AuditController(Controller):
    path = "/admin/v1/audit"
    tags = ("Audit",)

    @get(summary="Page through the audit trail", opt=needs(access.AUDIT) | {"query": QUERY})
    async def page(
        self,
        estate: NamedDependency[Estate],
        authority: NamedDependency[Authority],
        rows_wanted: NamedDependency[AuditFilter],
        ledger: OneLedger = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> AuditPage:
        """Of every ledger over which the caller has authority, the newest first. Pages stay right while rows are added.

        `away` names the ledgers whose rows are missing because their database does not answer.
        """
        positions = decode_numbers(cursor)

        async def part(name: str) -> Sequence[AuditRow]:
            reader = TrailReader(name, estate.find(name).database)
            return await reader.page(rows_wanted, before=positions.get(name), limit=limit + 1)

        found, away = await ask_each(estate, authority, ledger, part)
        # Each ledger's rows stay in the order of their numbers, whatever its clock said.
        ordered = list(islice(merge(*found.values(), key=lambda row: -row.at_ms), limit + 1))
        shown = ordered[:limit]
        positions |= {row.ledger: row.sequence for row in shown}
        return AuditPage(
            rows=[_view(row) for row in shown],
            cursor=encode_numbers(positions) if len(ordered) > limit else None,
            away=[away_view(name, error) for name, error in away.items()],
        )


def _view(row: AuditRow) -> AuditRowView:
    return AuditRowView(
        ledger=row.ledger,
        sequence=row.sequence,
        at=iso_instant(row.at_ms),
        principal=row.principal,
        action=row.action,
        subject=row.subject,
        details=row.details,
        lane=row.lane,
        number=row.number,
        hash=row.hash,
    )
