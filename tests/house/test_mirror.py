"""Tests stand where what they test stands: whoever knows the file of the source knows the folder of its tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src"
MIRRORS = {
    "core": SOURCE / "strongroom" / "core",
    "atto": SOURCE / "strongroom" / "atto",
    "hathor": SOURCE / "strongroom" / "hathor",
    "bittensor": SOURCE / "strongroom" / "bittensor",
    "console": SOURCE / "strongroom" / "console",
    "sandbox": SOURCE / "strongroom_sandbox",
}
"""Folders of tests, and what each mirrors. A file that lies in such a folder itself tests the part as a whole."""


def folders(root: Path) -> Iterator[Path]:
    return (path.relative_to(root) for path in root.rglob("*") if any(path.glob("*.py")))


@pytest.mark.parametrize("name", MIRRORS)
def test_every_folder_of_tests_names_a_package(name: str) -> None:
    found = list(folders(TESTS / name))
    assert found
    assert [str(folder) for folder in found if not any((MIRRORS[name] / folder).glob("*.py"))] == []


def test_nothing_else_is_called_like_a_part_of_the_source() -> None:
    parts = {path.parent.name for path in (SOURCE / "strongroom").glob("*/definition.py")} | {"core"}
    assert parts | {"console", "sandbox"} == MIRRORS.keys()
