"""Tables of commands: names and ids are shown whole, because people and scripts hand them to the next command."""

from rich.console import Console
from rich.table import Table

from strongroom.core.clock import iso_instant

WIDEST = 100_000


def minute(moment_ms: int | None) -> str:
    """UTC, for example `2026-11-21 08:57Z`; empty for none."""
    return "" if moment_ms is None else iso_instant(moment_ms)[:16].replace("T", " ") + "Z"


def print_table(table: Table) -> None:
    """On a terminal, what does not fit goes on in the next line; anywhere else the table is as wide as it must be."""
    console = Console()
    if not console.is_terminal:
        needed = Console(width=WIDEST).measure(table).maximum
        console = Console(width=max(console.width, needed))
    for column in table.columns:
        column.overflow, column.no_wrap = "fold", False
    console.print(table)
