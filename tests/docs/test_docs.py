"""The documents keep up with the code: every link, every action of the audit trail."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "strongroom"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
ACTION = re.compile(
    r'audit\.append\(\s*connection, [\w.]+, "([a-z.]+)"|"(token\.[a-z]+)", (?:lambda|changed)'
)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for path, fragment in LINK.findall(document.read_text()):
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), path
        if fragment:
            headings = {anchor(heading) for heading in HEADING.findall(target.read_text())}
            assert fragment in headings, f"{path}#{fragment}"


def test_every_action_in_the_audit_trail_is_explained() -> None:
    table = OPERATIONS.split("## The audit trail")[1].split("\n## ")[0]
    found = {
        action
        for file in SOURCE.rglob("*.py")
        for groups in ACTION.findall(file.read_text())
        for action in groups
        if action
    }
    assert len(found) > 15, "the pattern finds them"
    assert [action for action in sorted(found) if f"`{action}`" not in table] == []
