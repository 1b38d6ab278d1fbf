"""A payment: its life from the request to those who were told of it, found by any of its names."""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Template

from strongroom.admin.api.access import AUDIT, PAYMENTS
from strongroom.admin.api.audit.proofs import ProofsController, ReceiptView
from strongroom.admin.api.payments.lives import LifeView, LivesController, LivesView
from strongroom.console.viewer import Section, Viewer
from strongroom.core.errors import InvalidInput, StrongroomError
from strongroom.core.http.route_access import needs
from strongroom.core.ledger.life.facts import Word

SECTION: Final[Section | None] = None
LATER: Final = Word.NEXT
BAD: Final = frozenset({Word.REJECTED, Word.REFUSED, Word.FAILED, Word.UNVERIFIED})


class PaymentPages(Controller):
    @get("/payments/find", opt=needs(PAYMENTS) | {"query": ("id",)})
    async def show(
        self,
        viewer: NamedDependency[Viewer],
        name: Annotated[str, QueryParameter(name="id", required=False)] = "",
    ) -> Template:
        """By its hash, request, Idempotency-Key or approval, as `strongroom payment` finds it."""
        if not name.strip():
            raise InvalidInput("Nothing was asked for: give the id of a payment, request or approval")
        told: LivesView = await viewer.call(LivesController.tell, payment=name.strip())
        receipts = [await _receipt(viewer, one) for one in told.lives]
        return viewer.page(
            "payment.html",
            name=name.strip(),
            lives=[*zip(told.lives, receipts, [_raw(one) for one in told.lives], strict=True)],
            away_now=told.away,
            later=LATER,
            bad=BAD,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """That the audit trail has the payment's row, or why that is not proven yet."""

    line: str = ""
    missing: str = ""


async def _receipt(viewer: Viewer, life: LifeView) -> Receipt | None:
    """None: the viewer may not ask for it, or nothing is signed."""
    if life.payment is None or not viewer.may(AUDIT, life.ledger):
        return None
    try:
        found: ReceiptView = await viewer.call(ProofsController.receipt, life.ledger, payment=life.payment.id)
    except StrongroomError as error:
        return Receipt(missing=error.message)
    return Receipt(line=found.receipt)


def _raw(life: LifeView) -> str:
    return msgspec.json.format(msgspec.json.encode(life), indent=2).decode()


CONTROLLERS: Final = (PaymentPages,)
