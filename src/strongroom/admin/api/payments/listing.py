"""Payments of all ledgers: what was signed, by whom, and how far it has come."""

from collections.abc import Sequence
from itertools import chain
from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from strongroom.admin.api import access
from strongroom.admin.api.cursors import decode_cursor, encode_cursor
from strongroom.admin.api.pages import Cursor, OneLedger, ask_each, moment
from strongroom.admin.api.wire import Answer, AwayView, PaymentPage, PaymentView, away_view, payment_view
from strongroom.admin.estate import Authority, Estate
from strongroom.core.clock import iso_instant
from strongroom.core.errors import NotFound, Unavailable
from strongroom.core.http.route_access import needs
from strongroom.core.intents.execution import ExecutionState
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import (
    MAX_PAGE,
    PaymentFilter,
    PaymentRecord,
    Position,
    newest_first,
    parse_payment_id,
)

FILTERS = (
    "wallet",
    "account",
    "state",
    "execution",
    "kind",
    "principal",
    "token",
    "rule",
    "request",
    "since",
    "until",
    "stuck",
)
QUERY = ("ledger", *FILTERS, "cursor", "limit")


async def payment_filter(
    wallet: Annotated[str | None, QueryParameter(required=False, description="Of this wallet")] = None,
    account: Annotated[
        str | None, QueryParameter(required=False, description="Signed by this address")
    ] = None,
    outcome: Annotated[Outcome | None, QueryParameter(name="state", required=False)] = None,
    execution: Annotated[
        ExecutionState | None,
        QueryParameter(
            required=False,
            description="What the ledger did with it: FAILED are those that failed on the ledger",
        ),
    ] = None,
    kind: Annotated[str | None, QueryParameter(required=False, description="In the ledger's word")] = None,
    principal: Annotated[
        str | None, QueryParameter(required=False, description="Who asked, as the audit trail names it")
    ] = None,
    token: Annotated[str | None, QueryParameter(required=False, description="The id of a token")] = None,
    rule: Annotated[str | None, QueryParameter(required=False, description="Allowed by this rule")] = None,
    request_id: Annotated[
        str | None,
        QueryParameter(
            name="request", required=False, description="Signed for the request with this id (X-Request-Id)"
        ),
    ] = None,
    since: Annotated[str | None, QueryParameter(required=False, description="Signed then or later")] = None,
    until: Annotated[str | None, QueryParameter(required=False, description="Signed before then")] = None,
    stuck: Annotated[bool, QueryParameter(description="Open for longer than a minute")] = False,
) -> PaymentFilter:
    return PaymentFilter(
        wallet=wallet,
        account=account,
        state=outcome,
        execution=execution,
        kind=kind,
        principal=principal,
        token=token,
        rule=rule,
        request_id=request_id,
        since_ms=0 if since is None else moment("since", since),
        until_ms=None if until is None else moment("until", until),
        is_stuck=stuck,
    )


MINUTE_MS = 60_000
Minutes = Annotated[int, QueryParameter(ge=1, le=24 * 60, description="How many minutes back")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="The most payments on a page")]


class SignedView(Answer):
    ledger: str
    signed: list[int]
    """In each minute since `since`; the last one goes on."""


class ThroughputView(Answer):
    since: str
    ledgers: list[SignedView]
    away: list[AwayView]
    """Ledgers that could not be asked."""


class PaymentsController(Controller):
    path = "/admin/v1/payments"
    tags = ("Payments",)

    @get(summary="Page through payments", opt=needs(access.PAYMENTS) | {"query": QUERY})
    async def page(
        self,
        estate: NamedDependency[Estate],
        authority: NamedDependency[Authority],
        wanted: NamedDependency[PaymentFilter],
        ledger: OneLedger = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> PaymentPage:
        """Of every ledger over which the caller has authority, the newest first. Pages stay right while payments are added.

        `away` names the ledgers whose payments are missing because their database does not answer.
        """
        positions = decode_cursor(cursor)

        async def part(name: str) -> Sequence[PaymentRecord]:
            return await estate.find(name).payments.page(wanted, after=positions.get(name), limit=limit + 1)

        found, away = await ask_each(estate, authority, ledger, part)
        ordered = newest_first(list(chain.from_iterable(found.values())))
        shown = ordered[:limit]
        positions |= {one.ledger: Position(created_at_ms=one.created_at_ms, id=one.id) for one in shown}
        return PaymentPage(
            payments=[_view(estate, one) for one in shown],
            cursor=encode_cursor(positions) if len(ordered) > limit else None,
            away=[away_view(name, error) for name, error in away.items()],
        )

    @get(
        "/throughput",
        summary="How many payments were signed lately",
        opt=needs(access.PAYMENTS) | {"query": ("ledger", "minutes")},
    )
    async def throughput(
        self,
        estate: NamedDependency[Estate],
        authority: NamedDependency[Authority],
        ledger: OneLedger = None,
        minutes: Minutes = 60,
    ) -> ThroughputView:
        """By the minute, the last minute last, of every ledger over which the caller has authority."""
        since_ms = (estate.now_ms // MINUTE_MS + 1 - minutes) * MINUTE_MS

        async def part(name: str) -> Sequence[int]:
            return await estate.find(name).payments.signed(since_ms, MINUTE_MS, minutes)

        found, away = await ask_each(estate, authority, ledger, part)
        return ThroughputView(
            since=iso_instant(since_ms),
            ledgers=[SignedView(ledger=name, signed=list(signed)) for name, signed in found.items()],
            away=[away_view(name, error) for name, error in away.items()],
        )

    @get("/{payment:str}", summary="Find a payment", opt=needs(access.PAYMENTS))
    async def find(
        self,
        payment: FromPath[str],
        estate: NamedDependency[Estate],
        authority: NamedDependency[Authority],
    ) -> PaymentView:
        """By its id, as the network writes it, on whichever ledger it is."""
        wanted = parse_payment_id(payment)
        away = list(authority.away.values())
        for name in authority.principals:
            try:
                return _view(estate, await estate.find(name).payments.get(wanted))
            except NotFound:
                continue
            except Unavailable as error:
                away.append(error)
        raise next(iter(away), NotFound("No ledger has a payment with this id", code="payment_not_found"))


class LedgerPaymentsController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}/payments"
    tags = ("Payments",)

    @get("/{payment:str}", summary="Show a payment of a ledger", opt=needs(access.PAYMENTS))
    async def show(
        self, ledger: FromPath[str], payment: FromPath[str], estate: NamedDependency[Estate]
    ) -> PaymentView:
        """By its id, as the network writes it."""
        return _view(estate, await estate.find(ledger).payments.get(parse_payment_id(payment)))


def _view(estate: Estate, one: PaymentRecord) -> PaymentView:
    return payment_view(one, estate.find(one.ledger).definition.network_id(one.id))
