"""The documents keep up with the code: every link, every action of the audit trail."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.commands.about import configuration_page, explain
from support.error_codes import find_codes

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "strongroom"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
ACTION = re.compile(
    r'audit\.append\(\s*connection, [\w.]+, "([a-z.]+)"|"(token\.[a-z]+)", (?:lambda|changed)'
)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


NO_ERRORS = {"allowed_by_default", "allowed_by_rule"}
"""Decisions of `policy test` that refuse nothing."""


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


@pytest.mark.parametrize(
    ("name", "command", "page"),
    [
        ("configuration", "config", configuration_page.page),
        ("errors", "explain", explain.page),
    ],
)
def test_a_page_that_is_made_from_the_code_is_what_the_code_says(
    name: str, command: str, page: Callable[[], str]
) -> None:
    written = (ROOT / "docs" / f"{name}.md").read_text()
    assert written == page(), f"run: .venv/bin/strongroom {command} --markdown > docs/{name}.md"


def test_every_error_code_of_the_source_is_explained() -> None:
    """In `advice.py` of its ledger, of the admin API, or in `core/advice`."""
    found = {one.code for one in find_codes()}
    assert {
        "wallet_locked",
        "rule_denied",
        "too_many_attempts",
        "database_busy",
        "tx-proposal-pending",
    } <= found
    assert {"sealed_row_altered", "host_not_allowed", "wrong_password", "checkpoint_chain"} <= found
    explained = {code for chapter in explain.chapters() for code in chapter.codes}
    assert sorted(found - explained - NO_ERRORS) == []


def test_the_front_page_links_to_every_page() -> None:
    front = (ROOT / "README.md").read_text()
    pages = [f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")]
    assert [page for page in pages if f"({page})" not in front] == []
