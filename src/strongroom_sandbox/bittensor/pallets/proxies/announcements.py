"""Calls of proxies with a delay: announced first, and made when the delay is over."""

from collections.abc import Callable
from typing import Any, Final

from strongroom_sandbox.bittensor.codec.hashers import blake2_256
from strongroom_sandbox.bittensor.execution.dispatch import Context, Weight, call
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.balances import looked_up
from strongroom_sandbox.bittensor.pallets.proxies import deposits
from strongroom_sandbox.bittensor.pallets.proxies.proxies import NEWER, PROXIES, carry_out, find
from strongroom_sandbox.bittensor.pallets.shared.cost import db

_PENDING: Final = 75
"""MaxPending, with which the weights are declared."""


def _weight(own: int, pending: int, proxies: int, *, reads: int) -> int:
    return db(own + pending * _PENDING + proxies * PROXIES, reads=reads, writes=2)


@call("Proxy", "announce", ref_time=_weight(32_205_445, 167_596, 67_225, reads=3), proof_size=5698)
def announce(ctx: Context, real: Any, call_hash: bytes) -> None:
    account = looked_up(real)
    find(ctx, account, ctx.signer, None)
    pending, held = ctx.get("Proxy", "Announcements", ctx.signer)
    if len(pending) >= ctx.constant("Proxy", "MaxPending"):
        raise DispatchError.module("Proxy", "TooMany")
    made = {"real": account, "call_hash": call_hash, "height": ctx.block_number}
    _store(ctx, ctx.signer, [*pending, made], held)
    ctx.deposit_event("Proxy", "Announced", {"real": account, "proxy": ctx.signer, "call_hash": call_hash})


@call("Proxy", "remove_announcement", ref_time=_weight(22_666_821, 170_629, 18_799, reads=2), proof_size=5698)
def remove_announcement(ctx: Context, real: Any, call_hash: bytes) -> None:
    account = looked_up(real)
    _remove(ctx, ctx.signer, lambda one: (one["real"], one["call_hash"]) == (account, call_hash))


@call("Proxy", "reject_announcement", ref_time=_weight(22_654_227, 168_822, 21_839, reads=2), proof_size=5698)
def reject_announcement(ctx: Context, delegate: Any, call_hash: bytes) -> None:
    who = ctx.signer
    _remove(ctx, looked_up(delegate), lambda one: (one["real"], one["call_hash"]) == (who, call_hash))


def _announced_weight(ctx: Context, args: dict[str, Any]) -> Weight:
    inner = ctx.weight_of(ctx.runtime.call_of(args["call"]))
    own = db(41_812_078 + 163_029 * _PENDING + 79_539 * PROXIES, reads=6, writes=3)
    kind = "Normal" if ctx.runtime.metadata_of >= NEWER else inner.dispatch_class
    return Weight(own + inner.ref_time, 5698 + inner.proof_size, dispatch_class=kind)


@call("Proxy", "proxy_announced", weight=_announced_weight)
def proxy_announced(ctx: Context, delegate: Any, real: Any, force_proxy_type: str | None, call: Any) -> None:
    """Anybody may make the call when its time has come."""
    _ = ctx.signer  # an account must sign it
    who, account = looked_up(delegate), looked_up(real)
    entry = find(ctx, account, who, force_proxy_type)
    inner = ctx.runtime.call_of(call)
    wanted = (account, blake2_256(ctx.runtime.encode_call(inner)))
    latest = ctx.block_number - entry["delay"]
    try:
        _remove(ctx, who, lambda one: (one["real"], one["call_hash"]) == wanted and one["height"] <= latest)
    except DispatchError as error:
        raise DispatchError.module("Proxy", "Unannounced") from error
    carry_out(ctx, account, entry, inner)


def _remove(ctx: Context, who: bytes, is_meant: Callable[[dict[str, Any]], bool]) -> None:
    """Raises: DispatchError: Proxy.NotFound: none of the account's announcements is meant."""
    pending, held = ctx.get("Proxy", "Announcements", who)
    left = [one for one in pending if not is_meant(one)]
    if len(left) == len(pending):
        raise DispatchError.module("Proxy", "NotFound")
    _store(ctx, who, left, held)


def _store(ctx: Context, who: bytes, pending: list[dict[str, Any]], held: int) -> None:
    deposit = deposits.required(ctx, "Announcement", len(pending))
    deposits.adjust(ctx, who, held, deposit)
    if pending:
        ctx.put("Proxy", "Announcements", who, value=(pending, deposit))
    else:
        ctx.remove("Proxy", "Announcements", who)
