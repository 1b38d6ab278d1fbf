"""The weights that calls declare: their own time, and the time of the reads and writes that they name."""

from collections.abc import Callable
from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import Context, Weight

_READ: Final = 25_000_000
_WRITE: Final = 100_000_000
_PAID_SINCE: Final = 424


def db(own: int, *, reads: int, writes: int) -> int:
    """The weight in picoseconds, as runtime 293 declares it. Those of 424 differ little, and so do its fees."""
    return own + reads * _READ + writes * _WRITE


def free_once(
    own: int, *, reads: int, writes: int, dispatch_class: str = "Normal"
) -> Callable[[Context, dict[str, Any]], Weight]:
    """Declares a call that is free on runtime 293 and pays a fee on 424, where every such call is of class Normal."""
    ref_time = db(own, reads=reads, writes=writes)

    def weigh(ctx: Context, _args: dict[str, Any]) -> Weight:
        if ctx.runtime.spec_version >= _PAID_SINCE:
            return Weight(ref_time)
        return Weight(ref_time, pays_fee=False, dispatch_class=dispatch_class)

    return weigh
