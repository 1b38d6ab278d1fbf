"""How ledgers are found, and that a process pays for what it runs."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from strongroom.core.environment import SettingsError
from strongroom.registry import GROUP, OWN, find_ledgers

UNUSED = [f"strongroom.{ledger.name}.ledger" for ledger in OWN] + [
    "strongroom_sandbox",
    "strongroom_toy",
    "litestar",
]


def entry(value: str, name: str = "other") -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


def test_the_own_ledgers_come_first() -> None:
    found = find_ledgers([entry("strongroom_toy.definition:LEDGER")])
    assert [one.name for one in found] == [*(one.name for one in OWN), "toy"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("strongroom_toy.nowhere:LEDGER", "cannot be loaded: ModuleNotFoundError"),
        ("strongroom_toy.definition:NOTHING", "cannot be loaded: AttributeError"),
        ("strongroom_toy.settings:SURFACE", "is no LedgerDefinition"),
    ],
)
def test_what_is_no_ledger_is_refused(value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        find_ledgers([entry(value)])


def test_two_ledgers_of_one_name_are_refused() -> None:
    twice = [entry("strongroom_toy.definition:LEDGER", name) for name in ("one", "two")]
    with pytest.raises(SettingsError, match="two ledgers are called toy"):
        find_ledgers(twice)


def test_the_command_line_loads_no_ledger_and_no_web_framework_that_it_does_not_run() -> None:
    code = f"import sys, strongroom.cli; print([name for name in {UNUSED!r} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
