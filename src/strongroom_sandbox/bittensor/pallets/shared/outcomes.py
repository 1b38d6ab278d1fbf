"""Calls inside calls: how they end, as the events of what is around them say it."""

from typing import Any

from strongroom_sandbox.bittensor.codec.runtime import Call
from strongroom_sandbox.bittensor.execution.dispatch import Context, Origin
from strongroom_sandbox.bittensor.execution.failures import DispatchError


def attempt(ctx: Context, inner: Call, origin: Origin) -> Any:
    """None, or the error as events carry it."""
    try:
        ctx.dispatch(inner, origin)
    except DispatchError as error:
        return error.value(ctx.runtime)
    return None


def result_of(failure: Any) -> Any:
    return ("Ok", ()) if failure is None else ("Err", failure)
