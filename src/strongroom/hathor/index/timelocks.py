"""Keeps the lock of every unspent output what the rule says: its height reached, its time come.

The rule is applied, not followed event by event: a skipped height, a height lowered by a reorganisation, a spender
voided, a clock that went on while the process was down all end in the same state. A time has come when it is past: the
node wants a spender to be newer than the timelock.
"""

from sqlalchemy import Connection

from strongroom.core.storage.statements import execute
from strongroom.hathor.index.batch_state import BatchState
from strongroom.hathor.index.records import OUTPUTS
from strongroom.hathor.index.rows import Heights, OutputRow

RIPE = OUTPUTS + "locked = 1 AND heightlock <= {} AND (timelock IS NULL OR timelock < {})"
DUE = OUTPUTS + "locked = 1 AND timelock < {} AND (heightlock IS NULL OR heightlock <= {})"
UNRIPE = OUTPUTS + "locked = 0 AND heightlock > {} AND heightlock <= {} AND spent_by IS NULL"


def settle_locks(connection: Connection, state: BatchState, heights: Heights, now_s: int) -> None:
    """Sets the locks of the batch's outputs, and of those stored ones whose time or height has come (or gone)."""
    for rows in (
        execute(connection, RIPE, heights.best, now_s),
        execute(connection, DUE, now_s, heights.best),
        execute(connection, UNRIPE, heights.best, heights.highest),
    ):
        state.load_outputs(map(OutputRow.load, rows))
    for output in state.outputs.values():
        output.set_lock(heights, now_s)
