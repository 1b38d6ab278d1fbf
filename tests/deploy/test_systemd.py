"""The units: systemd understands them and finds little to blame, their variables are taken, and the service can live in them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import units
from strongroom.atto.definition import LEDGER as ATTO
from strongroom.bittensor.definition import LEDGER as BITTENSOR
from strongroom_sandbox.ports import default_variables
from support.ports import own_ports
from support.processes import Process, strongroom
from support.programs import program

EXPOSURE = 15
"""Of 100. What is left is the network, which a service needs."""
CALL = re.compile(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)[( ]")
every_unit = pytest.mark.parametrize("unit", units.UNITS, ids=lambda path: path.name)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for name in (
        "atto_key",
        "atto_database",
        "bittensor_key",
        "bittensor_database",
        "auth_secret",
        "database",
    ):
        (tmp_path / name).write_text(f"{os.urandom(32).hex()}\n")
        (tmp_path / name).chmod(0o400)
    return tmp_path


@every_unit
def test_systemd_understands_the_unit(unit: Path) -> None:
    """All of it but the program, which is not installed here."""
    done = subprocess.run(
        [program("systemd-analyze"), "verify", unit], check=False, capture_output=True, text=True
    )
    lines = [line for line in done.stderr.splitlines() if line]
    assert all("/opt/strongroom/.venv/bin/strongroom is not executable" in line for line in lines), lines


@every_unit
def test_systemd_finds_little_to_blame(unit: Path) -> None:
    command = [program("systemd-analyze"), "security", "--offline=true", f"--threshold={EXPOSURE}", str(unit)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_atto_takes_what_its_unit_sets(secrets: Path) -> None:
    read = units.settings("atto", "strongroom-atto.service", "", secrets)
    atto = read.of(ATTO)
    assert atto is not None
    assert read.host == "127.0.0.1"
    assert atto.database.password == (secrets / "atto_database").read_text().strip()
    assert atto.key.given is not None
    assert atto.key.given.reveal() == (secrets / "atto_key").read_text().strip()


def test_bittensor_takes_what_its_unit_sets(secrets: Path) -> None:
    read = units.settings("bittensor", "strongroom-bittensor.service", "", secrets)
    bittensor = read.of(BITTENSOR)
    assert bittensor is not None
    assert bittensor.network.name == "FINNEY"
    assert bittensor.database.password == (secrets / "bittensor_database").read_text().strip()
    assert bittensor.key.given is not None


def test_all_units_fit_on_one_machine(secrets: Path) -> None:
    places = [
        ("atto", "strongroom-atto.service", ""),
        ("bittensor", "strongroom-bittensor.service", ""),
        ("hathor", "strongroom-hathor-daemon.service", ""),
        ("hathor", "strongroom-hathor-api@.service", "1"),
        ("hathor", "strongroom-hathor-api@.service", "2"),
    ]
    assert {unit for _ledger, unit, _instance in places} == {path.name for path in units.UNITS}
    read = [units.settings(*place, secrets) for place in places]
    assert len({settings.management_port for settings in read}) == len(read)
    assert len({settings.data for settings in read}) == len(read)


def allowed_calls() -> set[str]:
    """The system calls of the units' filters, as this systemd knows its groups."""
    (filters,) = {
        tuple(
            line.partition("=")[2]
            for line in path.read_text().splitlines()
            if line.startswith("SystemCallFilter")
        )
        for path in units.UNITS
    }
    found: set[str] = set()
    for one in filters:
        calls = _group(one.removeprefix("~"))
        found = found - calls if one.startswith("~") else found | calls
    return found


def _group(name: str) -> set[str]:
    command = [program("systemd-analyze"), "syscall-filter", name]
    _name, *lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    names = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return {call for one in names for call in (_group(one) if one.startswith("@") else {one})}


@pytest.mark.slow
def test_the_service_asks_nothing_of_the_kernel_that_the_units_forbid(tmp_path: Path) -> None:
    """All three ledgers start, pay and end, and every system call is written down."""
    variables = own_ports() | {"STRONGROOM_DATA": str(tmp_path / "data")}
    trace = tmp_path / "trace"
    command = [program("strace"), "-D", "-f", "-qq", "-o", str(trace), sys.executable, "-m", "strongroom"]
    with Process([*command, "serve", "--sandbox"], environment=variables) as service:
        service.wait_ready()
        with strongroom("demo", environment=variables | default_variables(variables)) as demo:
            assert demo.wait_end() == 0, demo.logs()
        assert service.terminate() == 0, service.logs()
    found = {call[1] for line in trace.read_text(errors="replace").splitlines() if (call := CALL.match(line))}
    assert {"io_uring_setup", "fsync", "accept4"} & found
    # SQLite gives a new file to the owner of the database, if it runs as root; a unit has a user of its own.
    assert found - allowed_calls() <= {"fchown"}
