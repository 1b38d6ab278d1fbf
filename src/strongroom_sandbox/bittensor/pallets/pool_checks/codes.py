"""How the pool says no: errors as custom codes, and the register of what it checks."""

from collections.abc import Callable
from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import Context, guards, validates
from strongroom_sandbox.bittensor.execution.failures import DispatchError, PoolRefusal
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, View

IN_SWAP, RATE_LIMIT, ZERO_AMOUNT = 0, 6, 14
_BAD_REQUEST: Final = 255
_CODES: Final = {
    "AmountTooLow": 1,
    "NotEnoughStakeToSetWeights": 1,
    "NotEnoughBalanceToStake": 2,
    "SubnetNotExists": 3,
    "HotKeyAccountNotExists": 4,
    "NotEnoughStakeToWithdraw": 5,
    "InsufficientLiquidity": 7,
    "SlippageTooHigh": 8,
    "TransferDisallowed": 9,
    "HotKeyNotRegisteredInNetwork": 10,
    "InvalidIpAddress": 11,
    "ServingRateLimitExceeded": 12,
    "InvalidPort": 13,
}
_CODES_424: Final = {
    "CommittingWeightsTooFast": 6,
    "SettingWeightsTooFast": 6,
    "NetworkTxRateLimitExceeded": 6,
    "InvalidRevealRound": 15,
    "NoWeightsCommitFound": 16,
    "RevealTooEarly": 17,
    "InputLengthsUnequal": 18,
    "HotKeyNotRegisteredInSubNet": 19,
    "NonAssociatedColdKey": 25,
    "DelegateTakeTooLow": 26,
    "DelegateTakeTooHigh": 27,
}

Check = Callable[..., int | None]


def refuses(*functions: str, since_424: bool | None = None) -> Callable[[Check], Check]:
    """Registers a check for calls; `since_424` None: on both runtimes, else only on the one or the other.

    Runtime 424 makes its checks once more before every such call, also inside wrappers, and before the call's own.
    """

    def register(check: Check) -> Check:
        for function in functions:
            validates(SUBTENSOR, function)(_as_validation(check, since_424))
            if since_424 is not False:
                guards(SUBTENSOR, function)(_as_guard(check))
        return check

    return register


def _as_validation(check: Check, since_424: bool | None) -> Callable[..., int | None]:
    def validate(ctx: Context, **args: Any) -> int | None:
        view = View(ctx)
        if since_424 is not None and since_424 != view.stateful_epochs:
            return None
        try:
            return check(view, ctx.signer, **args)
        except DispatchError as error:
            raise PoolRefusal(code_of(view, error)) from error

    return validate


def _as_guard(check: Check) -> Callable[..., None]:
    def guard(ctx: Context, **args: Any) -> None:
        view = View(ctx)
        if view.stateful_epochs and ctx.origin.account is not None:
            check(view, ctx.origin.account, **args)

    return guard


def code_of(view: View, error: DispatchError) -> int:
    """The number under which the pool tells an error."""
    name = error.detail[1] if error.kind == "Module" else ""
    codes = _CODES | _CODES_424 if view.stateful_epochs else _CODES
    return codes.get(name, _BAD_REQUEST)
