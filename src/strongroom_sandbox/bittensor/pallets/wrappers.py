"""Calls around calls: Utility and Sudo. Their success says nothing of what is inside; their events do."""

from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import ROOT, Context, Post, Weight, call
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.shared.cost import db
from strongroom_sandbox.bittensor.pallets.shared.outcomes import attempt, result_of

_SUDO: Final = 36_501_000
_BATCHES: Final = frozenset({"batch", "batch_all", "force_batch"})


def _batch_weight(own: int, each: int) -> Any:
    def weigh(ctx: Context, args: dict[str, Any]) -> Weight:
        inner = [ctx.weight_of(ctx.runtime.call_of(value)) for value in args["calls"]]
        paying = [weight for weight in inner if weight.pays_fee]
        normal = any(weight.dispatch_class == "Normal" for weight in inner)
        return Weight(
            db(own, reads=2, writes=0) + each * len(inner) + sum(weight.ref_time for weight in paying),
            3997 + sum(weight.proof_size for weight in paying),
            dispatch_class="Normal" if normal else "Operational",
        )

    return weigh


@call("Utility", "batch", weight=_batch_weight(2_694_370, 5_005_941))
def batch(ctx: Context, calls: list[Any]) -> None:
    """Stops at the first failure and keeps what went before it."""
    _require_flat(ctx, calls)
    for index, value in enumerate(calls):
        failure = attempt(ctx, ctx.runtime.call_of(value), ctx.origin)
        if failure is not None:
            content = {"index": index, "error": failure}
            ctx.deposit_event("Utility", "BatchInterrupted", content)
            return
        ctx.deposit_event("Utility", "ItemCompleted")
    ctx.deposit_event("Utility", "BatchCompleted")


@call("Utility", "batch_all", weight=_batch_weight(12_948_874, 5_162_821))
def batch_all(ctx: Context, calls: list[Any]) -> None:
    """All or nothing."""
    _require_flat(ctx, calls)
    for value in calls:
        ctx.dispatch(ctx.runtime.call_of(value), ctx.origin)
        ctx.deposit_event("Utility", "ItemCompleted")
    ctx.deposit_event("Utility", "BatchCompleted")


@call("Utility", "force_batch", weight=_batch_weight(4_879_712, 4_955_816))
def force_batch(ctx: Context, calls: list[Any]) -> None:
    """Goes on after failures."""
    _require_flat(ctx, calls)
    failed = False
    for value in calls:
        failure = attempt(ctx, ctx.runtime.call_of(value), ctx.origin)
        if failure is None:
            ctx.deposit_event("Utility", "ItemCompleted")
        else:
            failed = True
            ctx.deposit_event("Utility", "ItemFailed", {"error": failure})
    ctx.deposit_event("Utility", "BatchCompletedWithErrors" if failed else "BatchCompleted")


def _require_flat(ctx: Context, calls: list[Any]) -> None:
    """Raises: DispatchError: a batch is in a batch, which only root may have."""
    inner = [ctx.runtime.call_of(value) for value in calls]
    if not ctx.origin.is_root and any(one.pallet == "Utility" and one.function in _BATCHES for one in inner):
        raise DispatchError.module("System", "CallFiltered")


def _sudo_weight(ctx: Context, args: dict[str, Any]) -> Weight:
    inner = ctx.weight_of(ctx.runtime.call_of(args["call"]))
    return Weight(_SUDO + inner.ref_time, 1517 + inner.proof_size, dispatch_class=inner.dispatch_class)


@call("Sudo", "sudo", weight=_sudo_weight)
def sudo(ctx: Context, call: Any) -> Post:
    if ctx.signer != ctx.get("Sudo", "Key"):
        raise DispatchError.module("Sudo", "RequireSudo")
    failure = attempt(ctx, ctx.runtime.call_of(call), ROOT)
    ctx.deposit_event("Sudo", "Sudid", {"sudo_result": result_of(failure)})
    return Post(pays_fee=False)
