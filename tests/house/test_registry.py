"""How ledgers are found, and that a process pays for what it runs."""

import inspect
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from strongroom.commands import token
from strongroom.commands.lazy import LazyCommands
from strongroom.core.revisions import Revisions
from strongroom.registry import COMMANDS, GROUP, LEDGERS, OWN, TOKEN_OPTIONS, find_ledgers, names_of
from strongroom_toy.definition import ToyDefinition

OTHER = Revisions(component="other", folder=ToyDefinition.revisions.folder)

UNUSED = [f"strongroom.{ledger.name}.ledger" for ledger in OWN] + [
    "strongroom_sandbox",
    "strongroom_toy",
    "litestar",
]

HEAVY = ["aiohttp", "alembic", "litestar", "pydantic", "rich", "sqlalchemy", "structlog", "uvicorn", "uvloop"]


def entry(value: str, name: str = "other") -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


def toy(**changed: Any) -> ToyDefinition:
    """Another ledger of the toy's kind, with other names than those that are changed."""
    names = {"name": "other", "surfaces": ("other",), "secret_files": ("other.kek",)}
    made: type[ToyDefinition] = type(
        "OtherDefinition", (ToyDefinition,), {**names, "revisions": OTHER, **changed}
    )
    return made()


class Loaded(EntryPoint):
    """An entry point that gives what the test made."""

    def load(self) -> Any:
        return DEFINITIONS[self.value]


DEFINITIONS: dict[str, ToyDefinition] = {}


def found_with(*definitions: ToyDefinition) -> tuple[str, ...]:
    """Why these cannot be used beside the others."""
    for place, one in enumerate(definitions):
        DEFINITIONS[str(place)] = one
    return find_ledgers(
        [Loaded(name=f"n{place}", value=str(place), group=GROUP) for place in range(len(definitions))]
    )[1]


def test_the_own_ledgers_come_first() -> None:
    found, broken = find_ledgers([entry("strongroom_toy.definition:LEDGER")])
    assert ([one.name for one in found], broken) == ([*(one.name for one in OWN), "toy"], ())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("strongroom_toy.nowhere:LEDGER", "cannot be loaded: ModuleNotFoundError"),
        ("strongroom_toy.definition:NOTHING", "cannot be loaded: AttributeError"),
        ("strongroom_toy.settings:SURFACE", "is no LedgerDefinition"),
    ],
)
def test_what_is_no_ledger_is_told_and_stops_no_other(value: str, words: str) -> None:
    found, (broken,) = find_ledgers([entry(value), entry("strongroom_toy.definition:LEDGER", "toy")])
    assert words in broken
    assert found[-1].name == "toy"


def test_a_definition_that_fails_when_it_is_asked_is_told() -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    (broken,) = found_with(toy(read_settings=fail))
    assert "does not say what it is: ZeroDivisionError: oops" in broken


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "toy"}, "two ledgers are called toy"),
        ({"surfaces": ("toy",)}, "two surfaces are called toy"),
        ({"surfaces": ("management",)}, "two surfaces are called management"),
        ({"secret_files": ("toy.kek",)}, "two secret files are called toy.kek"),
        ({"revisions": ToyDefinition.revisions}, "two components of revisions are called toy"),
        ({"name": "doctor"}, "two commands are called doctor"),
        ({"root_commands": lambda _: {"demo": lambda: print}}, "two commands are called demo"),
        (
            {"token_limits": lambda _: lambda *, expires="": expires},
            "two options of `token create` are called expires",
        ),
    ],
)
def test_a_name_that_another_has_is_refused(changed: dict[str, Any], words: str) -> None:
    mistakes = found_with(ToyDefinition(), toy(**changed))
    assert any(words in mistake for mistake in mistakes), mistakes


@pytest.mark.parametrize("command", COMMANDS)
def test_no_ledger_takes_a_command_of_the_service(command: str) -> None:
    (mistake,) = found_with(toy(root_commands=lambda _: {command: lambda: print}))
    assert f"two commands are called {command}" in mistake


def test_every_command_and_option_of_the_service_is_reserved() -> None:
    offered = set(LazyCommands(name="strongroom").list_commands(None))
    assert offered - {name for one in LEDGERS for name in names_of(one)["commands"]} == set(COMMANDS)
    options = inspect.signature(token.create).parameters.keys()
    limits = {
        name
        for one in LEDGERS
        if (limit := one.token_limits())
        for name in inspect.signature(limit).parameters
    }
    assert options - limits == set(TOKEN_OPTIONS)


def test_two_ledgers_with_names_of_their_own_stand_beside_each_other() -> None:
    assert found_with(ToyDefinition(), toy()) == ()


def strongroom_beside(folder: Path, value: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command where a package with this entry point is installed."""
    distribution = folder / "broken-1.dist-info"
    distribution.mkdir(exist_ok=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text(f"[{GROUP}]\nbroken = {value}\n")
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "STRONGROOM_DATA": str(folder),
        "NODE_BASE_URL": "http://127.0.0.1:1",
        "NETWORK": "LOCAL",
    }
    return subprocess.run(
        [sys.executable, "-m", "strongroom", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_broken_package_stops_serve_and_no_other_command(tmp_path: Path) -> None:
    value = "nothing_here:LEDGER"
    shown = strongroom_beside(tmp_path, value, "--help")
    assert (shown.returncode, "warning: the ledger broken = nothing_here:LEDGER" in shown.stderr) == (0, True)
    migrated = strongroom_beside(tmp_path, value, "migrate")
    assert (migrated.returncode, "warning: the ledger broken" in migrated.stderr) == (0, True)
    looked = strongroom_beside(tmp_path, value, "doctor")
    assert (looked.returncode, "nothing_here" in looked.stdout) == (1, True)
    refused = strongroom_beside(tmp_path, value, "serve")
    assert refused.returncode == 2
    assert "name what to serve: strongroom serve atto hathor bittensor" in refused.stderr
    unknown = strongroom_beside(tmp_path, value, "serve", "broken")
    assert (unknown.returncode, "unknown ledger broken" in unknown.stderr) == (2, True)


@pytest.mark.parametrize("name", LazyCommands(name="strongroom").list_commands(None))
def test_the_list_of_commands_says_what_the_command_says(name: str) -> None:
    group = LazyCommands(name="strongroom")
    assert group._summary(None, name) == " ".join(group.get_command(None, name).help.split("\n\n")[0].split())


@pytest.mark.parametrize("asked", ["--version", "--help"])
def test_what_tells_of_the_program_loads_nothing_that_serves(asked: str) -> None:
    """A program of its own, because this one has loaded everything."""
    code = f"""
import sys
from strongroom.cli import application
try:
    application([{asked!r}])
except SystemExit as end:
    print(end.code, [name for name in {HEAVY!r} if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "0 []"


def test_the_command_line_loads_no_ledger_and_no_web_framework_that_it_does_not_run() -> None:
    code = f"import sys, strongroom.cli; print([name for name in {UNUSED!r} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
