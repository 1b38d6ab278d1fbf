"""What runs the ledgers names none of them: a fourth one changes nothing there."""

import re
from pathlib import Path

import pytest

from strongroom.registry import OWN

SOURCE = Path(__file__).parents[2] / "src" / "strongroom"
NAMELESS = ("core", "commands", "server.py", "settings.py", "cli.py", "__main__.py")
NAMES = re.compile("|".join(ledger.name for ledger in OWN), re.IGNORECASE)


@pytest.mark.parametrize("part", NAMELESS)
def test_no_ledger_is_named(part: str) -> None:
    found = SOURCE / part
    paths = sorted(found.rglob("*.py")) if found.is_dir() else [found]
    assert paths
    named = [
        f"{path.relative_to(SOURCE)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if NAMES.search(line)
    ]
    assert named == []


def test_the_registry_names_all_of_them() -> None:
    folders = {path.parent.name for path in SOURCE.glob("*/definition.py")}
    assert folders == {ledger.name for ledger in OWN}
