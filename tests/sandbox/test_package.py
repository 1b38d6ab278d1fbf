"""The sandbox is a package of its own: the service runs without it, and a start without local networks loads none of it."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Sequence
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import strongroom
from strongroom.core.clock import SystemClock
from strongroom.core.environment import SettingsError
from strongroom.core.http.listener import Surface
from strongroom.core.ledger import local_networks
from strongroom.core.ledger.contract import Ledger
from strongroom.core.ledger.local_networks import (
    InstalledNetworks,
    LocalNetworksDefinition,
    find_local_networks,
    require_local_networks,
)
from strongroom_sandbox.definition import NETWORKS

ROOT = Path(__file__).resolve().parents[2]
LOADED = """
import sys
import strongroom.cli, strongroom.server
from strongroom.registry import LEDGERS
for ledger in LEDGERS:
    __import__(f"strongroom.{ledger.name}.ledger")
print(sorted(name for name in sys.modules if name.startswith("strongroom_sandbox")))
"""


def build_wheel(folder: str, target: Path) -> None:
    """Puts the wheel that `folder` of the repository makes into `target`."""
    command = [
        sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-build-isolation",
        "--no-deps", "--wheel-dir", str(target), str(ROOT / folder),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)


def test_the_service_loads_nothing_of_it() -> None:
    run = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


def test_its_entry_point_is_found() -> None:
    found = find_local_networks()
    assert found is not None
    assert found.ledgers == NETWORKS.ledgers
    assert found.default_variables({"SANDBOX_HATHOR_PORT": "1234"})["DEFAULT_SERVER"].endswith(":1234/v1a")


def test_where_it_is_not_installed_a_command_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_networks, "entry_points", lambda group: [])  # noqa: ARG005 - the name is the caller's
    assert find_local_networks() is None
    with pytest.raises(SettingsError) as refused:
        require_local_networks()
    (mistake,) = refused.value.mistakes
    page = (ROOT / "docs" / "install.md").read_text()
    assert mistake.startswith(
        "local networks need the package strongroom-sandbox, which is not installed here."
    )
    assert mistake.rpartition(": ")[2] in page  # the command, which a test below runs


class Network:
    """What a package of others makes."""

    def __init__(self, name: str, opened: list[str]) -> None:
        self._name = name
        self._opened = opened

    def service_variables(self) -> dict[str, str]:
        return {f"{self._name}_NODE": "here"}

    def open(self) -> list[Surface]:
        self._opened.append(self._name)
        return []

    async def seed_wallets(self, ledger: Ledger) -> None:
        self._opened.append(f"{ledger} seeded")

    async def close(self) -> None:
        self._opened.append(f"{self._name} closed")


def definition_of(name: str, opened: list[str]) -> LocalNetworksDefinition:
    def make(_variables: object, _data: object, _clock: object, ledgers: Sequence[str]) -> Network:
        return Network("+".join(ledgers), opened)

    return LocalNetworksDefinition(ledgers=(name,), default_variables=lambda _: {name: "set"}, make=make)


async def test_networks_of_several_packages_stand_together(tmp_path: Path) -> None:
    opened: list[str] = []
    known = InstalledNetworks([definition_of(name, opened) for name in ("toy", "pebble")])
    assert known.default_variables({}) == {"toy": "set", "pebble": "set"}
    both = known.make({}, tmp_path, SystemClock(), ())
    assert both.service_variables() == {"toy_NODE": "here", "pebble_NODE": "here"}
    both.open()
    await both.close()
    one = known.make({}, tmp_path, SystemClock(), ("pebble", "elsewhere"))
    one.open()
    assert opened == ["toy", "pebble", "toy closed", "pebble closed", "pebble"]
    with pytest.raises(SettingsError, match="makes a local network of elsewhere; there is toy, pebble"):
        known.make({}, tmp_path, SystemClock(), ("elsewhere",))


def test_two_packages_that_make_the_network_of_one_ledger_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        EntryPoint(name, "strongroom_sandbox.definition:NETWORKS", local_networks.GROUP) for name in "ab"
    ]
    monkeypatch.setattr(local_networks, "entry_points", lambda group: entries)  # noqa: ARG005 - the name is the caller's
    with pytest.raises(SettingsError, match="two packages make a local network of atto"):
        find_local_networks()


def test_a_ledger_without_a_local_network_is_refused(tmp_path: Path) -> None:
    distribution = tmp_path / "toy-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text(
        "[strongroom.ledgers]\ntoy = strongroom_toy.definition:LEDGER\n"
    )
    toy = ROOT / "tests" / "toy" / "package"
    run = subprocess.run(
        [sys.executable, "-m", "strongroom", "sandbox", "toy"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{toy}", "STRONGROOM_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 2
    assert "no installed package makes a local network of toy; there is atto, hathor, bittensor" in run.stderr


def test_a_package_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [EntryPoint("toy", "nothing_here:NETWORKS", local_networks.GROUP)]
    monkeypatch.setattr(local_networks, "entry_points", lambda group: entries)  # noqa: ARG005 - the name is the caller's
    with pytest.raises(SettingsError, match="toy = nothing_here:NETWORKS cannot be loaded: ModuleNotFound"):
        find_local_networks()


def test_another_thing_under_its_entry_point_is_named(tmp_path: Path) -> None:
    distribution = tmp_path / "other-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text("[strongroom.local_networks]\na = os:sep\n")
    run = subprocess.run(
        [sys.executable, "-m", "strongroom", "sandbox"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "the entry point a = os:sep does not name a LocalNetworksDefinition" in run.stderr


def test_each_wheel_has_its_own_package_alone(tmp_path: Path) -> None:
    build_wheel("src/strongroom_sandbox", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
    assert {name.split("/")[0] for name in files if ".dist-info" not in name} == {"strongroom_sandbox"}
    assert "strongroom_sandbox/bittensor/runtimes/424.v15.scale.gz" in files
    assert "strongroom_sandbox/py.typed" in files
    packaged = {Path(name).relative_to("strongroom_sandbox") for name in files if name.endswith(".py")}
    folder = ROOT / "src/strongroom_sandbox"
    assert packaged == {path.relative_to(folder) for path in folder.rglob("*.py")}


def test_the_wheel_of_the_service_says_that_it_is_typed(tmp_path: Path) -> None:
    build_wheel(".", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "strongroom/py.typed" in archive.namelist()


def test_both_packages_name_the_version_of_the_other() -> None:
    service = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sandbox = tomllib.loads((ROOT / "src/strongroom_sandbox/pyproject.toml").read_text())["project"]
    version = strongroom.__version__
    assert service["optional-dependencies"]["sandbox"] == [f"strongroom-sandbox=={version}"]
    assert sandbox["dependencies"] == [f"strongroom[server]=={version}"]


def dependencies_beside(folder: Path) -> None:
    """Shows an environment what this one has installed, without the project itself."""
    shown = folder / "dependencies"
    shown.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "strongroom" not in path.name:
            (shown / path.name).symlink_to(path)
    (site_packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site_packages / "dependencies.pth").write_text(f"{shown}\n")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_wheels_are_installed_as_the_page_says(tmp_path: Path) -> None:
    """Without an index: pip must take each from its file."""
    page = (ROOT / "docs" / "install.md").read_text()
    section = page.partition("## Wheels")[2]
    make, *commands = section.partition("```\n")[2].partition("```")[0].splitlines()
    for package in (".", "src/strongroom_sandbox"):
        build_wheel(package, tmp_path)
    run = partial(subprocess.run, cwd=tmp_path, env=os.environ | {"PIP_NO_INDEX": "1"}, check=True)
    run(["bash", "-c", make.replace("python3", sys.executable)])
    dependencies_beside(tmp_path)
    said = [run(["bash", "-c", command], capture_output=True, text=True).stdout for command in commands]
    assert "Run local ledgers alone" in said[-1]
    where = "import strongroom, strongroom_sandbox; print(strongroom.__file__, strongroom_sandbox.__file__)"
    found = run(["venv/bin/python", "-c", where], capture_output=True, text=True).stdout.split()
    assert all(Path(path).is_relative_to(tmp_path / "venv") for path in found)
