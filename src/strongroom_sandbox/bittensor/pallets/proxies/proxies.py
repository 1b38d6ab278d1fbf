"""Adds and removes proxies, and calls as one. What a proxy may not do fails inside its call: only the event says so."""

from typing import Any, Final

from strongroom_sandbox.bittensor.codec.runtime import Call
from strongroom_sandbox.bittensor.execution.dispatch import Context, Origin, Weight, call
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.balances import looked_up
from strongroom_sandbox.bittensor.pallets.proxies import deposits
from strongroom_sandbox.bittensor.pallets.proxies.filters import proxy_filter
from strongroom_sandbox.bittensor.pallets.shared.cost import db
from strongroom_sandbox.bittensor.pallets.shared.outcomes import attempt, result_of

NEWER: Final = 424
PROXIES: Final = 20
"""MaxProxies, with which the weights are declared."""
_UP_TO_TYPE: Final = 1 + 32 + 1
"""Of one encoded proxy: the length of the list, the delegate, and the number of the type."""


def _proxy_weight(ctx: Context, args: dict[str, Any]) -> Weight:
    own = db(19_655_145 + 36_306 * PROXIES, reads=4, writes=1)
    inner = ctx.weight_of(ctx.runtime.call_of(args["call"]))
    if ctx.runtime.metadata_of >= NEWER:
        return Weight(own + inner.ref_time, 4706 + inner.proof_size, pays_fee=inner.pays_fee)
    counted = inner if inner.pays_fee else Weight(0)
    return Weight(own + counted.ref_time, 4706 + counted.proof_size, dispatch_class=inner.dispatch_class)


@call("Proxy", "proxy", weight=_proxy_weight)
def proxy(ctx: Context, real: Any, force_proxy_type: str | None, call: Any) -> None:
    account = looked_up(real)
    entry = find(ctx, account, ctx.signer, force_proxy_type)
    if entry["delay"]:
        raise DispatchError.module("Proxy", "Unannounced")
    carry_out(ctx, account, entry, ctx.runtime.call_of(call))


@call("Proxy", "add_proxy", ref_time=db(22_358_457 + 64_322 * PROXIES, reads=1, writes=1), proof_size=4706)
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
    _tell(ctx, "ProxyAdded", entry)


@call("Proxy", "remove_proxy", ref_time=148_644_897, proof_size=4706)
def remove_proxy(ctx: Context, delegate: Any, proxy_type: str, delay: int) -> None:
    account = looked_up(delegate)
    proxies, held = ctx.get("Proxy", "Proxies", ctx.signer)
    entry = {"delegate": account, "proxy_type": proxy_type, "delay": delay}
    if entry not in proxies:
        raise DispatchError.module("Proxy", "NotFound")
    _store(ctx, [other for other in proxies if other != entry], held)
    _tell(ctx, "ProxyRemoved", entry)


@call(
    "Proxy", "remove_proxies", ref_time=db(21_456_750 + 45_387 * PROXIES, reads=1, writes=1), proof_size=4706
)
def remove_proxies(ctx: Context) -> None:
    _store(ctx, [], ctx.get("Proxy", "Proxies", ctx.signer)[1])


def find(ctx: Context, real: bytes, delegate: bytes, kind: str | None) -> dict[str, Any]:
    """The first relation of the two, or the first of a type.

    Raises:
        DispatchError: Proxy.NotProxy: there is none.
    """
    for entry in ctx.get("Proxy", "Proxies", real)[0]:
        if entry["delegate"] == delegate and kind in (None, entry["proxy_type"]):
            return dict(entry)
    raise DispatchError.module("Proxy", "NotProxy")


def carry_out(ctx: Context, real: bytes, entry: dict[str, Any], inner: Call) -> None:
    """Calls for the account, under the filter of the proxy's type; the event has the result."""
    lets = proxy_filter(ctx.runtime.metadata_of, entry["proxy_type"])
    failure = attempt(ctx, inner, Origin(account=real, filters=(lets,)))
    ctx.deposit_event("Proxy", "ProxyExecuted", {"result": result_of(failure)})


def _tell(ctx: Context, name: str, entry: dict[str, Any]) -> None:
    shown = {"delegator": ctx.signer, "delegatee": entry["delegate"]}
    kind = {"proxy_type": entry["proxy_type"], "delay": entry["delay"]}
    ctx.deposit_event("Proxy", name, shown | kind)


def _store(ctx: Context, proxies: list[dict[str, Any]], held: int) -> None:
    """Stores the proxies in the chain's order, and reserves the deposit they ask for."""
    deposit = deposits.required(ctx, "Proxy", len(proxies))
    deposits.adjust(ctx, ctx.signer, held, deposit)
    if not proxies:
        ctx.remove("Proxy", "Proxies", ctx.signer)
        return

    def place(entry: dict[str, Any]) -> tuple[bytes, int]:
        encoded = ctx.runtime.encode_value("Proxy", "Proxies", ([entry], 0))
        return encoded[1:_UP_TO_TYPE], entry["delay"]

    ctx.put("Proxy", "Proxies", ctx.signer, value=(sorted(proxies, key=place), deposit))
