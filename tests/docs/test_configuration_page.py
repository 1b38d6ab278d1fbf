"""docs/configuration.md is what the code says, and leaves no variable out."""

import re
from pathlib import Path

from strongroom.commands.about.configuration_page import NOTHING, TEXT, explained, page
from strongroom.core.described import FILE_ENDING
from strongroom.settings import how_read, known_names, subjects

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "strongroom"
READ = re.compile(r'(?:environment\.\w+\(|environ\.get\(|envvar=|parsed\()\s*((?:"[A-Z][A-Z0-9_]+",?\s*)+)')


def test_every_variable_has_a_sentence_and_no_other_has() -> None:
    described = {name for subject in subjects() for name in subject.variables}
    files = {name for name in known_names() if name.removesuffix(FILE_ENDING) in described - {name}}
    assert known_names() - files == described
    assert len(described) == sum(len(subject.variables) for subject in subjects()), "each once"


def test_what_the_source_reads_is_on_the_page() -> None:
    names = {
        name
        for path in SOURCE.rglob("*.py")
        for group in READ.findall(path.read_text())
        for name in re.findall(r'"([A-Z][A-Z0-9_]+)"', group)
    }
    assert {"ATTO_NETWORK", "STRONGROOM_DATA", "STRONGROOM_ATTO_TOKEN", "DB_ENDPOINT"} <= names
    assert sorted(name for name in names if f"`{name}`" not in page()) == []


def test_each_sentence_is_one_sentence() -> None:
    for _, _, one in explained():
        assert one.meaning.endswith("."), one.name
        assert len(one.meaning) < 150, one.name


def test_the_reading_code_says_defaults_ranges_and_secrets() -> None:
    found = {one.name: one for _, _, one in explained()}
    assert (found["ATTO_SCAN_LIMIT"].default, found["ATTO_SCAN_LIMIT"].values) == ("10000", "1 to 1000000")
    assert (found["USE_SSL"].default, found["USE_SSL"].values) == ("false", "`true`, `false`")
    assert (found["CALLBACK_URL"].default, found["CALLBACK_URL"].values) == (NOTHING, "http or https URL")
    assert found["ATTO_DB_NAME"].values == TEXT
    for name in ("DB_PASS", "AUTH_SECRET", "VAULT_TOKEN", "STRONGROOM_BACKUP_PASSPHRASE"):
        assert found[name].is_secret, name
        assert found[name].has_file, name
    assert not found["STRONGROOM_UNSEAL_KEY"].has_file
    assert not found["STRONGROOM_HOST"].is_secret


def test_no_sentence_contradicts_the_code() -> None:
    """Words for a default stand only where the code has none to say, or works it out."""
    worked_out = {
        *("BITTENSOR_PORT", "FULLNODE_NETWORK", "PUSH_NOTIFICATION_ENABLED", "PUSH_NOTIFICATION"),
        "STRONGROOM_ACCESS_LOG",
    }
    reads = how_read()
    told = {name for subject in subjects() for name, one in subject.variables.items() if one.default}
    assert {name for name in told if name in reads and reads[name].default} <= worked_out
