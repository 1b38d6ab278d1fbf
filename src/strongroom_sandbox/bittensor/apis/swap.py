"""Prices of alpha, and what a swap would give."""

from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import runtime_api
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.shared import neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.rules import fixed
from strongroom_sandbox.bittensor.rules.pool import RAO, Side
from strongroom_sandbox.bittensor.state.storage import Storage

_NOTHING: Final = dict.fromkeys(
    ("tao_amount", "alpha_amount", "tao_fee", "alpha_fee", "tao_slippage", "alpha_slippage"), 0
)


@runtime_api("SwapRuntimeApi_current_alpha_price")
def current_alpha_price(storage: Storage, netuid: int) -> int:
    """Rao for one alpha."""
    return fixed.to_int(stakes.alpha_price(View(storage), netuid) * RAO)


@runtime_api("SwapRuntimeApi_current_alpha_price_all")
def current_alpha_price_all(storage: Storage) -> list[dict[str, Any]]:
    return [
        {"netuid": netuid, "price": current_alpha_price(storage, netuid)}
        for netuid in neurons.netuids(View(storage))
    ]


@runtime_api("SwapRuntimeApi_sim_swap_tao_for_alpha")
def sim_swap_tao_for_alpha(storage: Storage, netuid: int, tao: int) -> dict[str, int]:
    view = View(storage)
    try:
        swap = stakes.simulate(view, netuid, Side.BUY, tao)
    except DispatchError:
        return dict(_NOTHING)
    ideal = fixed.to_int(fixed.divide(fixed.from_int(tao), stakes.alpha_price(view, netuid)))
    values = {"tao_amount": swap.paid_in, "alpha_amount": swap.paid_out, "tao_fee": swap.fee}
    return _NOTHING | values | _slippage("alpha_slippage", ideal - swap.paid_out)


@runtime_api("SwapRuntimeApi_sim_swap_alpha_for_tao")
def sim_swap_alpha_for_tao(storage: Storage, netuid: int, alpha: int) -> dict[str, int]:
    view = View(storage)
    try:
        swap = stakes.simulate(view, netuid, Side.SELL, alpha)
    except DispatchError:
        return dict(_NOTHING)
    ideal = fixed.to_int(fixed.multiply(fixed.from_int(alpha), stakes.alpha_price(view, netuid)))
    values = {"tao_amount": swap.paid_out, "alpha_amount": swap.paid_in, "alpha_fee": swap.fee}
    return _NOTHING | values | _slippage("tao_slippage", ideal - swap.paid_out)


def _slippage(name: str, amount: int) -> dict[str, int]:
    return {name: max(0, amount)}
