"""docs/new-ledger.md has the toy ledger's files in full: what a reader copies is what the tests run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "new-ledger.md").read_text()
PACKAGE = ROOT / "tests" / "toy" / "package"
FILES = {
    str(path.relative_to(PACKAGE)): path.read_text()
    for path in sorted(PACKAGE.rglob("*.*"))
    if path.suffix in {".py", ".toml"}
}
BLOCK = re.compile(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = dict(BLOCK.findall(PAGE))


def test_the_page_shows_every_file() -> None:
    assert len(FILES) > 10
    assert BLOCKS.keys() == {name for name, text in FILES.items() if text}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_the_file(name: str) -> None:
    assert BLOCKS[name] == FILES[name], f"docs/new-ledger.md differs from {PACKAGE / name}"


def test_there_are_eight_steps() -> None:
    assert re.findall(r"^## Step (\d):", PAGE, re.MULTILINE) == [str(number) for number in range(1, 9)]
