"""The sandbox is a package of its own: the service runs without it, and a start without local networks loads none of it."""

import os
import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from strongroom.core.environment import SettingsError
from strongroom.core.ledger import local_networks
from strongroom.core.ledger.local_networks import find_local_networks, require_local_networks
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


def build_wheel(folder: str, target: Path) -> list[str]:
    """The names of files in the wheel that `folder` of the repository makes."""
    command = [
        sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-build-isolation",
        "--no-deps", "--wheel-dir", str(target), str(ROOT / folder),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_service_loads_nothing_of_it() -> None:
    run = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


def test_its_entry_point_is_found() -> None:
    assert find_local_networks() is NETWORKS
    assert NETWORKS.default_variables({"SANDBOX_HATHOR_PORT": "1234"})["DEFAULT_SERVER"].endswith(":1234/v1a")


def test_where_it_is_not_installed_a_command_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_networks, "entry_points", lambda group: [])  # noqa: ARG005 - the name is the caller's
    assert find_local_networks() is None
    with pytest.raises(SettingsError) as refused:
        require_local_networks()
    assert list(refused.value.mistakes) == [
        "local networks need the package strongroom-sandbox, which is not installed here",
    ]


def test_two_packages_that_make_local_networks_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        EntryPoint(name, "strongroom_sandbox.definition:NETWORKS", local_networks.GROUP) for name in "ab"
    ]
    monkeypatch.setattr(local_networks, "entry_points", lambda group: entries)  # noqa: ARG005 - the name is the caller's
    with pytest.raises(SettingsError, match="several packages make local networks"):
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
    files = build_wheel("src/strongroom_sandbox", tmp_path)
    assert {name.split("/")[0] for name in files if ".dist-info" not in name} == {"strongroom_sandbox"}
    assert "strongroom_sandbox/bittensor/runtimes/424.v15.scale.gz" in files
    packaged = {Path(name).relative_to("strongroom_sandbox") for name in files if name.endswith(".py")}
    folder = ROOT / "src/strongroom_sandbox"
    assert packaged == {path.relative_to(folder) for path in folder.rglob("*.py")}
