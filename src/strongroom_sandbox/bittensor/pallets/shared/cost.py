"""What calls declare to weigh: time of their own, and of the database reads and writes they name."""

from collections.abc import Callable
from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import Context, Weight

_READ: Final = 25_000_000
_WRITE: Final = 100_000_000
_PAID_SINCE: Final = 424


def db(own: int, *, reads: int, writes: int) -> int:
    """Picoseconds, as runtime 293 declares them. 424's differ by little, and so do its fees."""
    return own + reads * _READ + writes * _WRITE


def free_once(
    own: int, *, reads: int, writes: int, dispatch_class: str = "Normal"
) -> Callable[[Context, dict[str, Any]], Weight]:
    """A call that is free on runtime 293 and pays a fee on 424, where every such call is of class Normal."""
    ref_time = db(own, reads=reads, writes=writes)

    def weigh(ctx: Context, _args: dict[str, Any]) -> Weight:
        if ctx.runtime.spec_version >= _PAID_SINCE:
            return Weight(ref_time)
        return Weight(ref_time, pays_fee=False, dispatch_class=dispatch_class)

    return weigh
