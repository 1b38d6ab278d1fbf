"""What docs/webhooks.md says of the events' fields."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "webhooks.md"
EVERY = {"type", "timestamp", "id", "version", "data"}


def documented(kind: str) -> set[str]:
    """The fields of `data` for this kind of event."""
    table = PAGE.read_text().partition("`data` has `ledger` and:")[2].partition("\n\n- ")[0]
    for first, fields in re.findall(r"^\| (.+?) \| (`.+`) \|$", table, re.MULTILINE):
        if first == "all others" or fnmatchcase(kind, first.strip("`")):
            return {"ledger", *re.findall(r"`(\w+)`", fields)}
    raise AssertionError(f"the page has no table of fields for {kind}")


def assert_as_documented(document: dict[str, Any]) -> None:
    """A body, as an endpoint got it."""
    assert document.keys() == EVERY
    assert document["version"] == 1
    assert document["data"].keys() == documented(document["type"]), document["type"]
