"""Calls around calls: Utility, Sudo and Proxy. Their success says nothing of what is inside; their events do."""

from typing import Any, Final

from strongroom_sandbox.bittensor.codec.runtime import Call
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import ROOT, Context, Origin, Post, Weight, call
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.balances import looked_up
from strongroom_sandbox.bittensor.pallets.shared.cost import db

_SUDO: Final = 36_501_000
_PROXY: Final = 220_381_265
_FILTERED: Final = {
    "NonTransfer": {"transfer_stake", "schedule_swap_coldkey", "swap_coldkey"},
    "NonCritical": {"dissolve_network", "root_register", "burned_register"},
}
_STAKING: Final = {
    *("add_stake", "remove_stake", "unstake_all", "unstake_all_alpha", "swap_stake", "swap_stake_limit"),
    *("move_stake", "add_stake_limit", "remove_stake_limit", "remove_stake_full_limit"),
}
_ALLOWED: Final = {
    "Staking": _STAKING,
    "Registration": {"burned_register", "register", "register_limit"},
    "ChildKeys": {"set_children", "set_childkey_take"},
    "SwapHotkey": {"swap_hotkey", "swap_hotkey_v2"},
}


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
    for index, value in enumerate(calls):
        failure = _attempt(ctx, ctx.runtime.call_of(value), ctx.origin)
        if failure is not None:
            content = {"index": index, "error": failure}
            ctx.deposit_event("Utility", "BatchInterrupted", content)
            return
        ctx.deposit_event("Utility", "ItemCompleted")
    ctx.deposit_event("Utility", "BatchCompleted")


@call("Utility", "batch_all", weight=_batch_weight(12_948_874, 5_162_821))
def batch_all(ctx: Context, calls: list[Any]) -> None:
    """All or nothing."""
    for value in calls:
        ctx.dispatch(ctx.runtime.call_of(value), ctx.origin)
        ctx.deposit_event("Utility", "ItemCompleted")
    ctx.deposit_event("Utility", "BatchCompleted")


@call("Utility", "force_batch", weight=_batch_weight(4_879_712, 4_955_816))
def force_batch(ctx: Context, calls: list[Any]) -> None:
    """Goes on after failures."""
    failed = False
    for value in calls:
        failure = _attempt(ctx, ctx.runtime.call_of(value), ctx.origin)
        if failure is None:
            ctx.deposit_event("Utility", "ItemCompleted")
        else:
            failed = True
            ctx.deposit_event("Utility", "ItemFailed", {"error": failure})
    ctx.deposit_event("Utility", "BatchCompletedWithErrors" if failed else "BatchCompleted")


def _sudo_weight(ctx: Context, args: dict[str, Any]) -> Weight:
    inner = ctx.weight_of(ctx.runtime.call_of(args["call"]))
    return Weight(_SUDO + inner.ref_time, 1517 + inner.proof_size, dispatch_class=inner.dispatch_class)


@call("Sudo", "sudo", weight=_sudo_weight)
def sudo(ctx: Context, call: Any) -> Post:
    if ctx.signer != ctx.get("Sudo", "Key"):
        raise DispatchError.module("Sudo", "RequireSudo")
    failure = _attempt(ctx, ctx.runtime.call_of(call), ROOT)
    ctx.deposit_event("Sudo", "Sudid", {"sudo_result": _result(failure)})
    return Post(pays_fee=False)


def _proxy_weight(ctx: Context, args: dict[str, Any]) -> Weight:
    inner = ctx.weight_of(ctx.runtime.call_of(args["call"]))
    counted = inner if inner.pays_fee else Weight(0)
    return Weight(_PROXY + counted.ref_time, 4706 + counted.proof_size, dispatch_class=inner.dispatch_class)


@call("Proxy", "proxy", weight=_proxy_weight)
def proxy(ctx: Context, real: Any, force_proxy_type: str | None, call: Any) -> None:
    """Calls for another account; what its type of proxy may not do fails inside, not here."""
    account = looked_up(real)
    entry = _entry(ctx, account, ctx.signer, force_proxy_type)
    if entry["delay"]:
        raise DispatchError.module("Proxy", "Unannounced")
    inner = ctx.runtime.call_of(call)
    if _allows(entry["proxy_type"], inner):
        failure = _attempt(ctx, inner, Origin(account=account))
    else:
        failure = DispatchError.module("System", "CallFiltered").value(ctx.runtime)
    ctx.deposit_event("Proxy", "ProxyExecuted", {"result": _result(failure)})


@call("Proxy", "add_proxy", ref_time=148_644_897, proof_size=4706)
def add_proxy(ctx: Context, delegate: Any, proxy_type: str, delay: int) -> None:
    account = looked_up(delegate)
    if account == ctx.signer:
        raise DispatchError.module("Proxy", "NoSelfProxy")
    proxies, held = ctx.get("Proxy", "Proxies", ctx.signer)
    entry = {"delegate": account, "proxy_type": proxy_type, "delay": delay}
    if entry in proxies:
        raise DispatchError.module("Proxy", "Duplicate")
    if len(proxies) >= ctx.constant("Proxy", "MaxProxies"):
        raise DispatchError.module("Proxy", "TooMany")
    _store(ctx, [*proxies, entry], held)
    ctx.deposit_event("Proxy", "ProxyAdded", {"delegator": ctx.signer, "delegatee": account}
                      | {"proxy_type": proxy_type, "delay": delay})  # fmt: skip


@call("Proxy", "remove_proxy", ref_time=148_644_897, proof_size=4706)
def remove_proxy(ctx: Context, delegate: Any, proxy_type: str, delay: int) -> None:
    account = looked_up(delegate)
    proxies, held = ctx.get("Proxy", "Proxies", ctx.signer)
    entry = {"delegate": account, "proxy_type": proxy_type, "delay": delay}
    if entry not in proxies:
        raise DispatchError.module("Proxy", "NotFound")
    _store(ctx, [other for other in proxies if other != entry], held)
    ctx.deposit_event("Proxy", "ProxyRemoved", {"delegator": ctx.signer, "delegatee": account}
                      | {"proxy_type": proxy_type, "delay": delay})  # fmt: skip


def _attempt(ctx: Context, inner: Call, origin: Origin) -> Any:
    """None, or the error as events carry it."""
    try:
        ctx.dispatch(inner, origin)
    except DispatchError as error:
        return error.value(ctx.runtime)
    return None


def _result(failure: Any) -> Any:
    return ("Ok", ()) if failure is None else ("Err", failure)


def _entry(ctx: Context, real: bytes, delegate: bytes, kind: str | None) -> dict[str, Any]:
    for entry in ctx.get("Proxy", "Proxies", real)[0]:
        if entry["delegate"] == delegate and kind in (None, entry["proxy_type"]):
            return dict(entry)
    raise DispatchError.module("Proxy", "NotProxy")


def _allows(kind: str, inner: Call) -> bool:
    """What a proxy of a kind may call. Kinds that are not listed may call nothing here."""
    if kind == "Any":
        return True
    if kind in _FILTERED:
        barred = "Balances" if kind == "NonTransfer" else "Sudo"
        return inner.pallet != barred and inner.function not in _FILTERED[kind]
    if kind == "Transfer":
        return inner.pallet == "Balances" or inner.function == "transfer_stake"
    if kind == "Owner":
        return inner.pallet == "AdminUtils" and inner.function != "sudo_set_sn_owner_hotkey"
    return inner.pallet == "SubtensorModule" and inner.function in _ALLOWED.get(kind, set())


def _store(ctx: Context, proxies: list[dict[str, Any]], held: int) -> None:
    """Stores the proxies in the chain's order, and reserves the deposit they ask for."""
    deposit = 0
    if proxies:
        each = ctx.constant("Proxy", "ProxyDepositFactor")
        deposit = ctx.constant("Proxy", "ProxyDepositBase") + each * len(proxies)
    record = accounts.account(ctx, ctx.signer)
    more = deposit - held
    if more > record["data"]["free"] - accounts.EXISTENTIAL_DEPOSIT:
        raise DispatchError.module("Balances", "InsufficientBalance")
    record["data"]["free"] -= more
    record["data"]["reserved"] += more
    ctx.put("System", "Account", ctx.signer, value=record)
    name = "Reserved" if more > 0 else "Unreserved"
    ctx.deposit_event("Balances", name, {"who": ctx.signer, "amount": abs(more)})
    if proxies:
        ordered = sorted(proxies, key=lambda entry: entry["delegate"])
        ctx.put("Proxy", "Proxies", ctx.signer, value=(ordered, deposit))
    else:
        ctx.remove("Proxy", "Proxies", ctx.signer)
