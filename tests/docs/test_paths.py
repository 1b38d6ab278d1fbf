"""Every path that a page about the code names is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md")),
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]
FROM = (ROOT, ROOT / "src" / "strongroom", ROOT / "src")
TICKED = re.compile(r"`([\w.-]+(?:/[\w.*-]+)*/?)`")
NOT_OURS = re.compile(r"^\.|data/|/_|application/")


def named(text: str) -> Iterator[str]:
    for path in TICKED.findall(text):
        is_path = "/" in path or path.endswith((".py", ".md"))
        if is_path and not NOT_OURS.search(path):
            yield path


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_exists(page: Path) -> None:
    missing = [
        path for path in named(page.read_text()) if not any(next(root.glob(path), None) for root in FROM)
    ]
    assert missing == []


def test_a_path_that_is_gone_is_noticed() -> None:
    assert list(named("see `core/gone.py`, `name` and `scripts/check`")) == ["core/gone.py", "scripts/check"]


def test_the_drawn_folders_exist() -> None:
    tree = (ROOT / "docs" / "architecture.md").read_text().partition("```")[2].partition("```")[0]
    drawn = re.findall(r"\b([a-z_]+(?:\.py|/))", tree)
    assert len(drawn) > 40
    assert {name for name in drawn if next((ROOT / "src").rglob(name.rstrip("/")), None) is None} == {"src/"}
