"""Tables of commands: names and ids are shown whole, because people and scripts hand them to the next command.

And what commands that take longer say meanwhile, on the standard error, where it disturbs no program that reads the output.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from strongroom.core.clock import Clock, SystemClock, iso_instant
from strongroom.core.printable import harmless

WIDEST = 100_000
NARROWEST = 8
"""Letters of a column that still can be read when the rest goes on in the next line."""
BORDER = 3
"""Between two columns."""
QUIET_S = 1.0
"""What takes no longer shows no progress."""
LINE_S = 10.0
"""Where the standard error is no terminal, a line each so many seconds."""


Advance = Callable[[int, int], None]
"""What work calls as it goes on: how much of it is done, of how much."""


def minute(moment_ms: int | None) -> str:
    """UTC, for example `2026-11-21 08:57Z`; empty for none."""
    return "" if moment_ms is None else iso_instant(moment_ms)[:16].replace("T", " ") + "Z"


def second(moment_ms: int | None) -> str:
    """As `minute`, for example `2026-11-21 08:57:00.123Z`."""
    return "" if moment_ms is None else iso_instant(moment_ms).replace("T", " ")


def print_table(table: Table) -> None:
    """On a terminal, what does not fit goes on in the next line; anywhere else the table is as wide as it must be.

    On a terminal that is too narrow for its columns, each row is a list of its values.
    """
    console = Console()
    if not console.is_terminal:
        needed = Console(width=WIDEST).measure(table).maximum
        console = Console(width=max(console.width, needed))
    for column in table.columns:
        column.overflow, column.no_wrap = "fold", False
    if _least_width(console, table) > console.width:
        _print_rows(console, table)
    else:
        _print(console, table)


def _print(console: Console, content: RenderableType) -> None:
    """Without control characters: a text that others wrote, such as a node's answer, would command the terminal by them."""
    segments = (one for one in console.render(content) if not one.control)
    console.print(Segments(Segment(harmless(one.text), one.style) for one in segments), end="")


def _least_width(console: Console, table: Table) -> int:
    """Narrower, columns would be letters below each other, or nothing at all."""
    widths = [
        max(console.measure(cell).maximum for cell in (column.header, *column.cells))
        for column in table.columns
    ]
    return sum(min(width, NARROWEST) + BORDER for width in widths)


def _print_rows(console: Console, table: Table) -> None:
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        for column, cell in zip(table.columns, cells, strict=True):
            value = cell if isinstance(cell, Text) else Text.from_markup(str(cell))
            name = f"{column.header}: " if str(column.header) else ""
            if value.plain:
                _print(console, Text.assemble(name, value, overflow="fold"))
        console.print()


@contextmanager
def progress(title: str, clock: Clock | None = None, console: Console | None = None) -> Iterator[Advance]:
    """Shows how far the block has come, once it takes longer than a second: a bar on a terminal, else now and then a line."""
    clock = clock or SystemClock()
    console = console or Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        auto_refresh=False,
    )
    next_s = clock.monotonic_s() + QUIET_S
    task: TaskID | None = None

    def advance(done: int, total: int) -> None:
        nonlocal next_s, task
        now_s = clock.monotonic_s()
        if now_s < next_s:
            return
        if not console.is_terminal:
            next_s = now_s + LINE_S
            console.print(f"{title}: {done} of {total}", highlight=False)
            return
        if task is None:
            bar.start()
            task = bar.add_task(title)
        next_s = now_s + 0.1
        bar.update(task, completed=done, total=total)
        bar.refresh()

    try:
        yield advance
    finally:
        if task is not None:
            bar.stop()
