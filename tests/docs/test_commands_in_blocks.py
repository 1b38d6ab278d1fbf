"""Every command in a block of a document is one that there is, with options that it has, whether a test runs the block or not."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from strongroom.cli import application

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?:sh|shell|)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(strongroom [a-z][^`\n]*)`")
CALL = re.compile(r"(?:^|[\s$(;|&])(?:\.venv/bin/)?strongroom (?P<rest>[a-z][^|;&<>)\n]*)")
SCRIPT = re.compile(r"(?:^|\s)(?:\./)?(scripts/[\w.-]+)")

NO_COMMANDS = {"checkpoint", "key-encryption", "toy"}
"""Words of formats after `strongroom`, and the command of the ledger that docs/new-ledger.md writes."""
RUN_BY = {
    "docs/admin.md": "docs/test_admin_page.py",
    "docs/audit.md": "docs/test_audit_page.py",
    "docs/backup.md": "docs/test_backup_drill.py",
    "docs/bittensor-proxy.md": "docs/test_bittensor_proxy_page.py",
    "docs/follow.md": "docs/test_follow_page.py",
    "docs/guard.md": "docs/test_guard_page.py",
    "docs/install.md": "docs/test_install_page.py",
    "docs/keys.md": "docs/test_key_backends_page.py",
    "docs/migrate-bittensor.md": "docs/test_migrate_bittensor_page.py",
    "docs/migrate-sqlite.md": "docs/test_backup_drill.py",
    "docs/new-ledger.md": "docs/test_new_ledger.py",
    "docs/tls.md": "docs/test_tls_page.py",
    "docs/tokens.md": "docs/test_tokens_page.py",
    "docs/troubleshooting.md": "docs/test_troubleshooting_page.py",
    "docs/upgrade.md": "docs/test_upgrade_page.py",
    "docs/watch.md": "deploy/monitoring/test_alerts.py",
    "docs/webhooks.md": "docs/test_webhooks_page.py",
}
"""The test that takes blocks from the page and runs them."""
NOT_RUN = {
    "README.md": "it installs, needs nodes of real networks, or shows a tree; `demo` runs in tests/commands/test_demo.py",
    "CONTRIBUTING.md": "it clones, installs, and runs the checks and tests themselves",
    "docs/architecture.md": "drawings and trees",
    "docs/atto.md": "values to fill in (ADDRESS, a hash), answers on the terminal, and nodes of real networks",
    "docs/bittensor.md": "real networks, images, and values to fill in",
    "docs/bittensor-nodes.md": "three terminals at once, or docker; tests/judges runs the scripts' nodes",
    "docs/hathor.md": "values to fill in (a wallet's id and signatures); tests/judges runs the official library",
    "docs/operations.md": "repairs of what must first be lost or altered, each in the test of its command",
    "docs/scale.md": "a file of HAProxy, which tests/crash/test_rolling_restart.py has as its own",
}
"""Pages whose blocks no test runs as they stand, and why. Their commands and options are still looked up here."""


class Call(NamedTuple):
    document: str
    words: tuple[str, ...]


def calls() -> Iterator[Call]:
    for document in DOCUMENTS:
        text = document.read_text()
        blocks = [block.replace("\\\n", " ") for block in BLOCK.findall(text)]
        lines = [line for block in blocks for line in block.splitlines()]
        for line in [*lines, *INLINE.findall(text)]:
            for found in CALL.finditer(line.partition(" #")[0]):
                words = _words(found["rest"])
                if words and words[0] not in NO_COMMANDS | {"is", "and"}:
                    yield Call(str(document.relative_to(ROOT)), words)


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:  # a quotation that goes on behind a pipe
        return tuple(text.split())


ALL = sorted(set(calls()))


def test_there_are_many() -> None:
    assert len(ALL) > 150
    assert Call("docs/upgrade.md", ("restore", "backup/before", "--keys", "keys")) in ALL


@pytest.mark.parametrize("document", sorted({call.document for call in ALL}))
def test_the_commands_of_a_document_exist(document: str) -> None:
    wrong = [fault for call in ALL if call.document == document if (fault := _fault(call.words))]
    assert wrong == []


def _fault(words: tuple[str, ...]) -> str | None:
    """What is wrong with a call; None: nothing. Words in capitals stand for what a reader fills in."""
    command: Any = typer.main.get_command(application)
    context = typer.Context(command)
    rest = list(words)
    while rest and hasattr(command, "get_command") and not rest[0].startswith("-"):
        if rest[0].isupper() or rest[0].startswith(("…", "...", "<", "[")):
            return None
        found = command.get_command(context, rest[0])
        if found is None:
            return f"strongroom {' '.join(words)}: no command {rest[0]}"
        command, rest = found, rest[1:]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    for word in rest:
        option = word.partition("=")[0]
        if option.startswith("--") and option != "--" and option not in known:
            return f"strongroom {' '.join(words)}: no option {option}"
    return None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_scripts_of_a_document_exist(document: Path) -> None:
    blocks = "\n".join(BLOCK.findall(document.read_text()))
    assert [name for name in SCRIPT.findall(blocks) if not (ROOT / name).exists()] == []


def test_each_page_with_blocks_is_run_or_says_why_not() -> None:
    pages = {str(one.relative_to(ROOT)) for one in DOCUMENTS if BLOCK.search(one.read_text())}
    assert RUN_BY.keys() | NOT_RUN.keys() == pages
    assert not RUN_BY.keys() & NOT_RUN.keys()
    for page, test in RUN_BY.items():
        assert Path(page).name in (ROOT / "tests" / test).read_text(), (page, test)
