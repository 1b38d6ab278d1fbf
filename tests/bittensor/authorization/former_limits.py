"""How the limits of a token were decided before they became rules of the guard: what they must never allow more than."""

from strongroom.bittensor.authorization.limits import (
    WEIGHTS,
    WRAPPER_CALLS,
    WRAPPERS,
    TokenLimits,
    limits_of,
)
from strongroom.bittensor.protocol.call_reach import WEIGHT_CALLS
from strongroom.bittensor.protocol.calls import SUBTENSOR
from strongroom.core.errors import Forbidden
from strongroom.core.security.access import Principal


def require_use(
    principal: Principal,
    right: str,
    *,
    wallet: str,
    hotkey: str | None,
    netuid: int | None = None,
    call: str | None = None,
    coldkey: bool = False,
    amount_rao: int | None = 0,
    destination: str | None = None,
) -> None:
    """Returns when the principal may do this with this key.

    `hotkey` is None when the use concerns the coldkey alone, `netuid` when the call concerns no subnet, `call`
    (`Pallet.function`) for a message. `coldkey`: whether the coldkey is to sign. `amount_rao` is None when the call does
    not say what it costs.

    Raises:
        Forbidden: with the first thing that is not allowed; its code says which.
    """
    principal.require(right)
    limits = limits_of(principal)
    if limits.wallets is not None and wallet not in limits.wallets:
        raise Forbidden(f"The token does not reach the wallet {wallet}", code="wallet_not_allowed")
    if hotkey is not None and limits.hotkeys is not None and hotkey not in limits.hotkeys:
        raise Forbidden(f"The token does not reach the hotkey {hotkey}", code="hotkey_not_allowed")
    if netuid is not None and limits.netuids is not None and netuid not in limits.netuids:
        raise Forbidden(f"The token does not reach the subnet {netuid}", code="netuid_not_allowed")
    if netuid is None and limits.netuids is not None and (call or "").startswith(f"{SUBTENSOR}."):
        raise Forbidden(
            f"The token reaches some subnets, and {call} names none: it may concern any",
            code="netuid_not_allowed",
        )
    if call is not None and not allows_call(limits, call):
        raise Forbidden(f"The token does not allow {call}", code="call_not_allowed")
    if coldkey and not limits.coldkey:
        raise Forbidden("The token does not allow the coldkey", code="coldkey_not_allowed")
    _require_spending(limits, amount_rao, destination)


def allows_call(limits: TokenLimits, call: str) -> bool:
    if _is_wrapper(call):
        return False
    return call in limits.calls or (WEIGHTS in limits.calls and call in WEIGHT_CALLS)


def _require_spending(limits: TokenLimits, amount_rao: int | None, destination: str | None) -> None:
    if limits.most_rao is not None and (amount_rao is None or amount_rao > limits.most_rao):
        raise Forbidden(f"The token allows {limits.most_rao} rao in one call", code="amount_not_allowed")
    if destination is not None and limits.destinations is not None and destination not in limits.destinations:
        raise Forbidden(f"The token does not pay {destination}", code="destination_not_allowed")


def _is_wrapper(call: str) -> bool:
    return call.partition(".")[0] in WRAPPERS or call in WRAPPER_CALLS
