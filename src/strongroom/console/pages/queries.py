"""What lists of the console have in common: how they are asked, and their lines in a file."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from litestar import Request

FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


def asked_of(request: Request[Any, Any, Any]) -> dict[str, str]:
    """A form sends empty what nobody filled in."""
    return {name: value.strip() for name, value in request.query_params.items() if value.strip()}


def ledger_of(asked: Mapping[str, str]) -> dict[str, str]:
    """As a parameter of the query, which is none of the path."""
    return {"ledger_of_query": asked["ledger"]} if "ledger" in asked else {}


def csv_line(cells: Sequence[str]) -> str:
    """Text that a spreadsheet would take for a formula begins with an apostrophe."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([f"'{cell}" if cell.startswith(FORMULAS) else cell for cell in cells])
    return buffer.getvalue()
