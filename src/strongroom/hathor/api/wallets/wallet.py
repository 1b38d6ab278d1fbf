"""The wallet itself: how far it is loaded, and its deletion."""

from typing import Literal, cast

import msgspec
import structlog
from litestar import Controller, delete, get
from litestar.di import NamedDependency

from strongroom.hathor.api.answers import Hash, Seconds, Success
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request, read_body
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Schema, number, text
from strongroom.hathor.maintenance.deletion import take_out
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.messages import deletion_message, verify_message
from strongroom.hathor.wallets.registry import Wallet

log = structlog.get_logger(__name__)

CLOCK_SKEW_S = 30
"""The original's limit."""
UNKNOWN = {404: refused("`wallet-not-found`")}
NOT_READY = {400: refused("`wallet-not-ready`, or `invalid-payload`"), **UNKNOWN}
LIMITED = {429: refused("`too-many-requests`")}
DELETION = Schema(
    keys={
        "timestamp": Key(check=number(positive=True), required=True),
        "signature": Key(check=text(), required=True),
    }
)
LoadStatus = Literal["creating", "ready", "error"]


class WalletStatus(msgspec.Struct, kw_only=True, rename="camel"):
    wallet_id: Hash
    xpubkey: str
    auth_xpubkey: str
    status: LoadStatus
    retry_count: int
    max_gap: int
    created_at: Seconds
    ready_at: Seconds | None
    last_used_address_index: int
    shielded_max_gap: int | None
    last_used_shielded_index: int | None


class StatusAnswer(Success, kw_only=True):
    status: WalletStatus


class DeletedAnswer(Success, kw_only=True, rename="camel"):
    wallet_id: Hash


class WalletController(Controller):
    path = "/wallet"

    @get(
        "/status",
        tags=["Wallet"],
        summary="How far the wallet is loaded",
        opt=Terms(access=Access.TOKEN).opt,
        responses=UNKNOWN,
    )
    async def status(self, request: Request) -> StatusAnswer:
        return StatusAnswer(status=wallet_status(await request.caller.wallet()))


@delete(
    "/wallet",
    status_code=200,
    tags=["Registration"],
    summary="Delete the wallet; the chain's record stays",
    opt=Terms(access=Access.FULL, limited=True, body=DELETION).opt,
    responses={400: refused("`invalid-payload` or `invalid-auth-signature`"), **UNKNOWN, **LIMITED},
)
async def delete_wallet(request: Request, clock_skew_s: NamedDependency[int]) -> DeletedAnswer:
    """Wants a full token and, beside it, a fresh signature of the wallet's authentication key."""
    owner = request.caller
    body = DELETION.check(await read_body(request))
    wallet = await owner.wallet()
    check_clock(owner.now_s, body["timestamp"], clock_skew_s, "invalid-auth-signature")
    address = owner.principal.auth_address or ""
    message = deletion_message(body["timestamp"], wallet.id, address)
    try:
        verify_message(message, body["signature"], address)
    except ProtocolError as error:
        why = "The signature is not that of the deletion by the wallet's authentication key"
        raise Refusal(400, "invalid-auth-signature", details=[{"message": why}]) from error
    await take_out(owner.database, wallet.id)
    log.info("wallet deleted", wallet=wallet.id)
    return DeletedAnswer(wallet_id=wallet.id)


def load_status(wallet: Wallet) -> LoadStatus:
    return cast("LoadStatus", wallet.status)


def wallet_status(wallet: Wallet) -> WalletStatus:
    return WalletStatus(
        wallet_id=wallet.id,
        xpubkey=wallet.xpubkey,
        auth_xpubkey=wallet.auth_xpubkey,
        status=load_status(wallet),
        retry_count=wallet.retry_count,
        max_gap=wallet.max_gap,
        created_at=wallet.created_at_s,
        ready_at=wallet.ready_at_s,
        last_used_address_index=wallet.last_used_index,
        shielded_max_gap=wallet.shielded_max_gap,
        last_used_shielded_index=wallet.last_used_shielded_index,
    )


def check_clock(now_s: int, timestamp_s: float, limit_s: int, error: str) -> None:
    """Raises: Refusal: the client's clock is too far from ours; it says how far."""
    shift_s = int(abs(now_s - timestamp_s))
    if shift_s >= limit_s:
        message = f"The timestamp is shifted {shift_s}(s). Limit is {limit_s}(s)."
        raise Refusal(400, error, details=[{"message": message}])
