"""How far a copy has come, for the person who waits for it."""

from contextlib import ExitStack

from strongroom.core.storage.transfer.copying import Progress
from strongroom.core.terminal import Advance, progress


def shown_progress(stack: ExitStack, ledger: str) -> Progress:
    """Tells of each table, until the stack ends."""
    advances: dict[tuple[str, str], Advance] = {}
    current = stack.enter_context(ExitStack())

    def step(phase: str, table: str, done: int, total: int) -> None:
        if (phase, table) not in advances:
            current.close()
            advances[phase, table] = current.enter_context(progress(f"{ledger}: {phase} {table}"))
        advances[phase, table](done, total)

    return step
