"""The backup section of docs/operations.md, run as it stands: lose everything, restore, go on paying."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
import pytest

from docs.test_docs import OPERATIONS
from strongroom_sandbox.ports import default_variables
from support.atto_service import ATTO, NOBODY
from support.mariadb import PASSWORD, USER, MariaDB
from support.ports import own_ports
from support.processes import Process, strongroom
from support.waiting import PATIENCE_S

SECRET = "a secret of the drill that is long enough for Hathor"
SEED = "0x" + "07" * 32


class Machine:
    """A folder as the documents have it: the command in `.venv/bin`, the data in `data`."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.variables = {**variables, "COLUMNS": "200"}
        (folder / ".venv" / "bin").mkdir(parents=True)
        (folder / ".venv" / "bin" / "strongroom").symlink_to(Path(sys.executable).with_name("strongroom"))

    def shell(self, commands: str) -> str:
        """Runs a block of the document, of which every line must work; returns what it printed."""
        script = f"umask 022\nset -eu\n{commands}"
        with Process(["bash", "-c", script], environment=self.variables, folder=self.folder) as process:
            assert process.wait_end(120) == 0, process.logs()
            return process.logs()

    def serve(self, *ledgers: str) -> Process:
        process = strongroom("serve", *ledgers, environment=self.variables, folder=self.folder)
        process.wait_ready(60)
        return process

    def client(self) -> httpx2.Client:
        url = f"http://127.0.0.1:{self.variables['ATTO_PORT']}"
        return httpx2.Client(base_url=url, trust_env=False, verify=False, timeout=PATIENCE_S)

    def fund(self, address: str, amount_raw: int) -> None:
        url = f"http://127.0.0.1:{self.variables['SANDBOX_ATTO_NODE_PORT']}/_faucet"
        answer = httpx2.post(
            url, json={"address": address, "amount": amount_raw}, trust_env=False, timeout=30
        )
        assert answer.status_code == 200, answer.text


def blocks(heading: str) -> list[str]:
    """The commands under a heading of the document, by the blocks that they stand in."""
    (section,) = re.findall(rf"^### {heading}\n(.*?)(?=^##)", OPERATIONS, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def pay(client: httpx2.Client, address: str) -> None:
    """The account pays as soon as it has something, which catches up after a start."""
    path = f"/wallets/accounts/{address}"
    for _ in range(5000):
        if client.get(f"{path}/details").status_code == 200:
            break
    body = {"receiverAddress": NOBODY, "amount": ATTO}
    answer = client.post(f"{path}/transactions/SEND", json=body)
    assert answer.status_code == 200, answer.text


def assert_private(folder: Path) -> None:
    assert folder.stat().st_mode & 0o077 == 0
    files = list(folder.iterdir())
    assert files
    assert [file for file in files if file.stat().st_mode & 0o077] == []


@pytest.fixture(scope="module")
def ports() -> dict[str, str]:
    return own_ports()


@pytest.fixture(scope="module")
def networks(ports: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables of services beside the local networks, which lose nothing."""
    folder = {"STRONGROOM_DATA": str(tmp_path_factory.mktemp("networks"))}
    with strongroom("sandbox", environment=ports | folder) as process:
        process.wait_ready(60)
        yield ports | default_variables(ports)


def make_wallet(client: httpx2.Client, machine: Machine) -> str:
    assert client.post("/wallets/drill").status_code == 200
    address: str = client.post("/wallets/drill/accounts").json()["address"]
    machine.fund(address, 10 * ATTO)
    return address


def test_sqlite(networks: dict[str, str], tmp_path: Path) -> None:
    """All three ledgers. The copy is made while the service pays."""
    back_up, restore = blocks("SQLite")
    machine = Machine(tmp_path, networks | {"AUTH_SECRET": SECRET})
    (tmp_path / "w" / "hotkeys").mkdir(parents=True)
    (tmp_path / "w" / "hotkeys" / "h").write_text(f'{{"secretSeed":"{SEED}"}}')
    machine.shell(".venv/bin/strongroom bittensor import w")
    machine.shell(".venv/bin/strongroom token create reader --ledger hathor --scope hathor:read")
    with machine.serve() as service, machine.client() as client:
        address = make_wallet(client, machine)
        pay(client, address)
        machine.shell(back_up)
        pay(client, address)
        assert service.terminate() == 0
    assert_private(tmp_path / "backup" / "monday")
    assert_private(tmp_path / "keys")
    assert {file.name for file in (tmp_path / "keys").iterdir()} == {"atto.kek", "bittensor.kek"}
    assert not list((tmp_path / "backup").rglob("*.kek"))
    shutil.rmtree(tmp_path / "data")
    assert "bad" not in machine.shell(restore)
    assert_private(tmp_path / "data")
    assert "w/h" in machine.shell(".venv/bin/strongroom bittensor wallets")
    assert "reader" in machine.shell(".venv/bin/strongroom token list --ledger hathor")
    with machine.serve() as service, machine.client() as client:
        pay(client, address)
        assert service.terminate() == 0


def test_sqlite_over_what_is_left_of_a_broken_database(networks: dict[str, str], tmp_path: Path) -> None:
    """Killed, its log left behind, its pages damaged."""
    back_up, restore = blocks("SQLite")
    machine = Machine(tmp_path, networks | {"AUTH_SECRET": SECRET})
    with machine.serve("atto") as service, machine.client() as client:
        address = make_wallet(client, machine)
        machine.shell(".venv/bin/strongroom migrate")
        machine.shell(back_up)
        pay(client, address)
        service.kill()
    database = tmp_path / "data" / "atto.sqlite3"
    database.write_bytes(b"\xff" * database.stat().st_size)
    (tmp_path / "data" / "atto.sqlite3-wal").write_bytes(b"\xff" * 4096)
    machine.shell(restore)
    with machine.serve("atto") as service, machine.client() as client:
        pay(client, address)
        assert service.terminate() == 0


def test_mariadb(networks: dict[str, str], tmp_path: Path, mariadb: MariaDB) -> None:
    back_up, restore = blocks("MySQL and MariaDB")
    name = str(mariadb.new_database().database)
    atto = {
        key: value for key, value in networks.items() if key in {"NETWORK", "NODE_BASE_URL", "WORK_BASE_URL"}
    }
    ports = {key: value for key, value in networks.items() if key.endswith("_PORT")}
    server = {
        "ATTO_DB_HOST": "127.0.0.1",
        "ATTO_DB_PORT": str(mariadb.port),
        "ATTO_DB_USER": USER,
        "ATTO_DB_PASSWORD": PASSWORD,
        "ATTO_DB_NAME": name,
    }
    machine = Machine(tmp_path, atto | ports | server)
    with machine.serve("atto") as service, machine.client() as client:
        address = make_wallet(client, machine)
        pay(client, address)
        machine.shell(back_up)
        pay(client, address)
        assert service.terminate() == 0
    assert_private(tmp_path / "backup" / "monday")
    machine.shell(
        f'MYSQL_PWD="$ATTO_DB_PASSWORD" mariadb -h127.0.0.1 -P$ATTO_DB_PORT -u$ATTO_DB_USER -e "DROP DATABASE {name}"'
    )
    assert "bad" not in machine.shell(restore)
    with machine.serve("atto") as service, machine.client() as client:
        pay(client, address)
        assert service.terminate() == 0


def test_a_backup_keeps_keys_apart_and_replaces_nothing(networks: dict[str, str], tmp_path: Path) -> None:
    (back_up, _) = blocks("SQLite")
    machine = Machine(tmp_path, networks | {"AUTH_SECRET": SECRET})
    machine.shell(".venv/bin/strongroom migrate")
    machine.shell(back_up)
    again = subprocess.run(
        ["bash", "-c", back_up],
        cwd=tmp_path,
        env=machine.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    assert "already exists: name a new folder" in again.stderr
    beside = subprocess.run(
        ["bash", "-c", ".venv/bin/strongroom backup b --keys b/keys"],
        cwd=tmp_path,
        env=machine.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert beside.returncode == 1
    assert "Keep the keys apart" in beside.stderr
    assert not (tmp_path / "b").exists()
