"""An extra is what its ledger needs: each ledger alone, where the packages of the others cannot be imported."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from release.closures import blocker, closure
from strongroom.registry import EXTRAS, OWN
from support.ports import own_ports
from support.processes import Process

ROOT = Path(__file__).parents[2]
LEDGERS = [one.name for one in OWN]
ALONE = {
    "atto": {"NETWORK": "LOCAL", "NODE_BASE_URL": "http://127.0.0.1:9"},
    "hathor": {"NETWORK": "privatenet", "DEFAULT_SERVER": "http://127.0.0.1:9/v1a/"},
    "bittensor": {"network": "local", "chain_endpoint": "ws://127.0.0.1:9"},
}
IMPORT_ALL = """
import importlib, pkgutil, strongroom
others = {others!r}
lacking = []
for found in pkgutil.walk_packages(strongroom.__path__, "strongroom."):
    parts = found.name.split(".")
    if parts[1] in others or parts[-1] in {{"__main__", "blake2b_work"}}:
        continue
    try:
        importlib.import_module(found.name)
    except ModuleNotFoundError as error:
        lacking.append(error.name)
print(*sorted(set(lacking)))
"""
MAIN = "\nimport sys\nfrom strongroom.__main__ import main\nsys.argv[0] = 'strongroom'\nmain()\n"


def python(program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_server_is_all_ledgers() -> None:
    assert closure("server") == set().union(*(closure(name) for name in LEDGERS))
    assert all(closure("core") < closure(name) for name in LEDGERS)


def test_the_registry_knows_what_an_extra_brings() -> None:
    """Else a ledger would be offered, or left out, that is not as its extra is."""
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    modules = {"pyjwt": "jwt", "pynacl": "nacl", "cyscale": "scalecodec", "py-sr25519-bindings": "sr25519"}
    for name, extra in EXTRAS.items():
        packages = [line.partition(">=")[0].partition("[")[0] for line in offered[name]]
        brought = {modules.get(one, one.replace("-", "_")) for one in packages} - {"strongroom"}
        assert brought == set(extra.modules), name
    assert {one.name: tuple(one.named_by) for one in OWN} == {
        name: extra.named_by for name, extra in EXTRAS.items()
    }


@pytest.mark.parametrize("name", LEDGERS)
def test_nothing_that_a_ledger_runs_needs_the_packages_of_another(name: str) -> None:
    done = python(blocker(name) + IMPORT_ALL.format(others={*LEDGERS} - {name}))
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"botocore", "opentelemetry", "pkcs11", "z3"}, "extras of their own"


def test_a_ledger_is_served_where_no_other_is_installed(tmp_path: Path) -> None:
    ports = {name: port for name, port in own_ports().items() if not name.startswith("SANDBOX_")}
    variables = ALONE["hathor"] | ports | {"STRONGROOM_DATA": str(tmp_path)}
    command = [sys.executable, "-c", blocker("hathor") + MAIN, "serve", "hathor"]
    with Process(command, environment=variables) as service:
        service.wait_ready()
        assert service.terminate() == 0, service.logs()
    assert "lacks its packages" not in service.logs()


def test_a_configured_ledger_is_never_left_out_in_silence(tmp_path: Path) -> None:
    program = blocker("hathor") + MAIN
    variables = ALONE["hathor"] | ALONE["atto"] | {"STRONGROOM_DATA": str(tmp_path)}
    served = python(program, "serve", **variables)
    assert served.returncode == 2
    assert "NODE_BASE_URL configures the ledger atto" in served.stderr
    assert "strongroom[atto]" in served.stderr
    asked = python(program, "serve", "atto", **variables)
    assert asked.returncode == 2
    assert "it has no strongroom[atto]" in asked.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_ledger_is_served_from_a_wheel_with_its_extra_alone(tmp_path: Path) -> None:
    """From the index, as an operator installs it; the pinned versions keep the day's news out."""
    done = subprocess.run(
        [ROOT / "scripts" / "build", tmp_path / "dist"],
        env=os.environ | {"PYTHON": sys.executable},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("strongroom-*.whl")
    pins = tmp_path / "pins.txt"
    pinned = re.findall(
        r"^[\w.-]+(?:\[.*?\])?==[^ \\]+", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE
    )
    pins.write_text("\n".join(re.sub(r"\[.*\]", "", line) for line in pinned))
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    programs = tmp_path / "venv" / "bin"
    install = [
        str(programs / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        str(pins),
        f"{wheel}[hathor]",
    ]
    subprocess.run(install, check=True)
    ports = {name: port for name, port in own_ports().items() if not name.startswith("SANDBOX_")}
    variables = ALONE["hathor"] | ports | {"STRONGROOM_DATA": str(tmp_path), "PYTHONPATH": ""}
    with Process([str(programs / "strongroom"), "serve", "hathor"], environment=variables) as service:
        service.wait_ready()
        asked = subprocess.run(
            [programs / "strongroom", "health"], env=variables, check=False, capture_output=True
        )
        assert asked.returncode == 0, asked.stderr
        assert service.terminate() == 0, service.logs()
    shown = subprocess.run(
        [programs / "strongroom", "--version"], check=True, capture_output=True, text=True
    ).stdout
    assert "ledgers: hathor\n" in shown
    assert "extras: core, hathor\n" in shown
    assert re.search(r"^commit: [0-9a-f]{40}", shown, re.MULTILINE)
