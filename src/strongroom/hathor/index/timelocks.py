"""Opens the locks of outputs whose time or height has come, and closes those whose height is gone again.

Each batch applies the rule to every output that it may concern, instead of following it event by event. So a skipped
height, a height lowered by a reorganisation, a voided spender and a clock that went on while the process was down all end
in the same state. A time has come when it is past: the node wants a spender to be newer than the timelock.
"""

from sqlalchemy import Connection, false, or_, true

from strongroom.core.storage.statements import Statement, arg, execute
from strongroom.hathor import tables
from strongroom.hathor.index.batch_state import BatchState
from strongroom.hathor.index.records import OUTPUTS
from strongroom.hathor.index.rows import Heights, OutputRow

_output = tables.tx_output.c
RIPE = Statement(
    OUTPUTS.where(
        _output.locked == true(),
        _output.heightlock <= arg("height"),
        or_(_output.timelock.is_(None), _output.timelock < arg("now_s")),
    ),
    "height",
    "now_s",
)
DUE = Statement(
    OUTPUTS.where(
        _output.locked == true(),
        _output.timelock < arg("now_s"),
        or_(_output.heightlock.is_(None), _output.heightlock <= arg("height")),
    ),
    "now_s",
    "height",
)
UNRIPE = Statement(
    OUTPUTS.where(
        _output.locked == false(),
        _output.heightlock > arg("best"),
        _output.heightlock <= arg("highest"),
        _output.spent_by.is_(None),
    ),
    "best",
    "highest",
)


def settle_locks(connection: Connection, state: BatchState, heights: Heights, now_s: int) -> None:
    """Sets the locks of the batch's outputs, and of the stored outputs whose time or height has come or gone."""
    for rows in (
        execute(connection, RIPE, heights.best, now_s),
        execute(connection, DUE, now_s, heights.best),
        execute(connection, UNRIPE, heights.best, heights.highest),
    ):
        state.load_outputs(map(OutputRow.load, rows))
    for output in state.outputs.values():
        output.set_lock(heights, now_s)
