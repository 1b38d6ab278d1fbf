"""Tables of commands: names and ids are shown whole, because people and scripts hand them to the next command."""

from rich.console import Console
from rich.table import Table

WIDEST = 100_000


def print_table(table: Table) -> None:
    """On a terminal, what does not fit goes on in the next line; anywhere else the table is as wide as it must be."""
    console = Console()
    if not console.is_terminal:
        needed = Console(width=WIDEST).measure(table).maximum
        console = Console(width=max(console.width, needed))
    for column in table.columns:
        column.overflow, column.no_wrap = "fold", False
    console.print(table)
