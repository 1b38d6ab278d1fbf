"""The documents keep up with the code: every error code, every link."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "strongroom"
ATTO = (ROOT / "docs" / "atto.md").read_text()
HATHOR = (ROOT / "docs" / "hathor.md").read_text()
BITTENSOR = (ROOT / "docs" / "bittensor.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
TLS = (ROOT / "docs" / "tls.md").read_text()
KEYS = (ROOT / "docs" / "keys.md").read_text()
GUARD = (ROOT / "docs" / "guard.md").read_text()
ADMIN = (ROOT / "docs" / "admin.md").read_text()
AUDIT = (ROOT / "docs" / "audit.md").read_text()
BACKUP = (ROOT / "docs" / "backup.md").read_text()
COPIES = (ROOT / "docs" / "migrate-sqlite.md").read_text()
WEBHOOKS = (ROOT / "docs" / "webhooks.md").read_text()
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r'\bcode(?:: ClassVar\[str\])? ?= ?"([a-z_]+)"')
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
ACTION = re.compile(
    r'audit\.append\(\s*connection, [\w.]+, "([a-z.]+)"|"(token\.[a-z]+)", (?:lambda|changed)'
)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)

# A route that declares no scope, which the access tests find; classes that are never raised as they are, what the automatic receiver tells itself, verdicts of `doctor`, and faults of
# values that the API checks first or answers for with another code.
UNSEEN_CODES = {
    "error",
    "incomplete",
    "conflict",
    "locked",
    "ledger_rejected",
    "account_disabled",
    "already_received",
    "audit_broken",
    "schema_unfit",
    "invalid_value",
    "invalid_network",
    "invalid_mnemonic",
    "invalid_key",
    "invalid_work",
    "invalid_signature",
    "route_closed",
    "job_exists",  # the caller gets the job itself
}


def sources() -> Iterator[str]:
    for path in SOURCE.rglob("*.py"):
        if "sandbox" not in path.relative_to(SOURCE).parts[:1]:
            yield path.read_text()


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def test_every_error_code_is_documented() -> None:
    codes = {code for text in sources() for code in CODE.findall(text)} - UNSEEN_CODES
    assert {"node_rejected", "outcome_unknown", "wallet_locked"} <= codes
    assert {
        code
        for code in codes
        if f"`{code}`"
        not in ATTO + BITTENSOR + OPERATIONS + GUARD + ADMIN + AUDIT + TLS + KEYS + WEBHOOKS + COPIES + BACKUP
    } == set()


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
