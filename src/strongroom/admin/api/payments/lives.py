"""The life of a payment, by whatever names it."""

from collections.abc import Sequence
from itertools import chain

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from strongroom.admin.api import access
from strongroom.admin.api.pages import OneLedger, ask_each
from strongroom.admin.api.wire import Answer, AwayView, PaymentView, away_view
from strongroom.admin.estate import Authority, Estate
from strongroom.core.errors import NotFound
from strongroom.core.http.route_access import needs
from strongroom.core.ledger.life.facts import Life, Word
from strongroom.core.ledger.life.reading import find_lives


class StepView(Answer):
    step: Word
    at: str | None
    """Null: it is still to come, or its time is not recorded."""
    text: str


class LifeView(Answer):
    ledger: str
    payment: PaymentView | None
    """Null: it is not signed."""
    approval: str | None
    """The id of the request that people approve, or approved."""
    life: list[StepView]
    """In the order in which it happened; `next` says what is still to come, and why nothing is lost."""


class LivesView(Answer):
    lives: list[LifeView]
    away: list[AwayView]
    """Ledgers that could not be asked."""


class LivesController(Controller):
    path = "/admin/v1/payments"
    tags = ("Payments",)

    @get(
        "/{payment:str}/life",
        summary="Tell a payment's life",
        opt=needs(access.PAYMENTS) | {"query": ("ledger",)},
    )
    async def tell(
        self,
        payment: FromPath[str],
        estate: NamedDependency[Estate],
        authority: NamedDependency[Authority],
        ledger: OneLedger = None,
    ) -> LivesView:
        """By its id, the `X-Request-Id` or `Idempotency-Key` of its request, or the approval that it waits for.

        It is told from what is stored, so every replica tells the same.
        """

        async def part(name: str) -> Sequence[Life]:
            try:
                return await find_lives(estate.find(name), payment, estate.now_ms)
            except NotFound:
                return ()

        found, away = await ask_each(estate, authority, ledger, part)
        lives = list(chain.from_iterable(found.values()))
        if not lives:
            raise next(
                iter(away.values()),
                NotFound("No ledger has a payment with this id", code="payment_not_found"),
            )
        return LivesView(
            lives=[msgspec.convert(one.document, LifeView) for one in lives],
            away=[away_view(name, error) for name, error in away.items()],
        )
