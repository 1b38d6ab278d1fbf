"""What proves a ledger's audit trail to others: its checkpoints, the key that they are signed with, receipts of payments."""

from functools import partial
from typing import Annotated, Final

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from strongroom.admin.api import access
from strongroom.admin.api.wire import Answer
from strongroom.admin.estate import Estate
from strongroom.core.http.route_access import needs
from strongroom.core.intents.payments import parse_payment_id
from strongroom.core.transparency.checkpoint import Checkpoint
from strongroom.core.transparency.reading import MAX_PAGE
from strongroom.core.transparency.store import load_newest

MAX_NUMBER: Final = 2**62
Number = Annotated[int, QueryParameter(ge=1, le=MAX_NUMBER, description="The number of a checkpoint")]
Before = Annotated[
    int | None,
    QueryParameter(
        required=False, ge=1, le=MAX_NUMBER, description="Those with lower numbers, for the next page"
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="The most checkpoints on a page")]


class CheckpointView(Answer):
    """As `strongroom audit checkpoint` prints it."""

    ledger: str
    checkpoint: int
    at: str
    rows: int
    batch_rows: int
    batch_root: str
    root: str
    previous: str
    signature: str


class ConsistencyView(Answer):
    earlier: CheckpointView
    later: CheckpointView
    path: list[str]


class KeyView(Answer):
    public_key: str


class ReceiptView(Answer):
    receipt: str
    """`strongroom audit check` checks it, offline."""


class ProofsController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}/audit"
    tags = ("Audit",)

    @get("/key", summary="Show the key of checkpoints", opt=needs(access.AUDIT))
    async def key(self, ledger: FromPath[str], estate: NamedDependency[Estate]) -> KeyView:
        """The Ed25519 public key, in hexadecimal digits. Keep it elsewhere."""
        return KeyView(public_key=estate.find(ledger).checkpoints.public_key.hex())

    @get(
        "/checkpoints",
        summary="Page through checkpoints",
        opt=needs(access.AUDIT) | {"query": ("before", "limit")},
    )
    async def page(
        self,
        ledger: FromPath[str],
        estate: NamedDependency[Estate],
        before: Before = None,
        limit: Limit = 100,
    ) -> list[CheckpointView]:
        """The newest first."""
        load = partial(load_newest, ledger=ledger, before=before, limit=limit)
        return [_view(one.checkpoint) for one in await estate.find(ledger).database.read(load)]

    @post("/checkpoints", status_code=201, summary="Make a checkpoint", opt=needs(access.AUDIT))
    async def make(self, ledger: FromPath[str], estate: NamedDependency[Estate]) -> list[CheckpointView]:
        """Of everything that is committed now. Where very many rows are new, there are several."""
        return [_view(one) for one in await estate.find(ledger).checkpoints.make()]

    @get(
        "/consistency",
        summary="Prove that a checkpoint continues an earlier one",
        opt=needs(access.AUDIT) | {"query": ("earlier", "later")},
    )
    async def consistency(
        self, ledger: FromPath[str], estate: NamedDependency[Estate], earlier: Number, later: Number
    ) -> ConsistencyView:
        """For whoever keeps checkpoints elsewhere: nothing of what the earlier one covers was changed or removed."""
        first, last, path = await estate.find(ledger).proofs.consistent(earlier, later)
        return ConsistencyView(earlier=_view(first), later=_view(last), path=path)

    @get("/receipts/{payment:str}", summary="Prove a payment", opt=needs(access.AUDIT))
    async def receipt(
        self, ledger: FromPath[str], payment: FromPath[str], estate: NamedDependency[Estate]
    ) -> ReceiptView:
        """Proof that the trail has the payment's row, for whoever has the public key."""
        return ReceiptView(receipt=await estate.find(ledger).proofs.receipt(parse_payment_id(payment)))


def _view(one: Checkpoint) -> CheckpointView:
    return CheckpointView(
        ledger=one.ledger,
        checkpoint=one.number,
        at=one.at,
        rows=one.rows,
        batch_rows=one.batch_rows,
        batch_root=one.batch_root.hex(),
        root=one.root.hex(),
        previous=one.previous.hex(),
        signature=one.signature.hex(),
    )
