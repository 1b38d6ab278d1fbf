"""The commands of docs/backup.md, run as they stand: lose everything, restore, go on paying."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
import pytest

from docs.test_docs import ROOT
from strongroom_sandbox.ports import default_variables
from support.atto_service import ATTO, NOBODY
from support.databases import execute_elsewhere
from support.mariadb import PASSWORD, USER, MariaDB
from support.ports import own_ports
from support.processes import Process, strongroom
from support.waiting import PATIENCE_S

BACKUP = (ROOT / "docs" / "backup.md").read_text()
COPIES = (ROOT / "docs" / "migrate-sqlite.md").read_text()
SECRET = "a secret of the drill that is long enough for Hathor"
SEED = "0x" + "07" * 32


class Machine:
    """A folder as the documents have it: the command in `.venv/bin`, the data in `data`."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.variables = {**variables, "COLUMNS": "200"}
        (folder / "backup-passphrase").write_text("correct horse battery staple\n")
        (folder / ".venv" / "bin").mkdir(parents=True)
        (folder / ".venv" / "bin" / "strongroom").symlink_to(Path(sys.executable).with_name("strongroom"))

    def shell(self, commands: str) -> str:
        """Runs a block of the document, of which every line must work; returns what it printed."""
        script = f"umask 022\nset -eu\n{commands}"
        with Process(["bash", "-c", script], environment=self.variables, folder=self.folder) as process:
            assert process.wait_end(120) == 0, process.logs()
            return process.logs()

    def fail(self, commands: str) -> str:
        """Runs a block that ends with status 1; returns what it said of it."""
        done = subprocess.run(
            ["bash", "-ec", commands],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

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


def block(heading: str, document: str = BACKUP) -> str:
    """The commands under a heading of the document."""
    found: list[str] = re.findall(rf"^#+ {heading}\n.*?^```\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    return found[0]


BACK_UP, RESTORE, COPY = block("Back up"), block("Restore"), block("Between SQLite and .*?", COPIES)


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
    machine = Machine(tmp_path, networks | {"AUTH_SECRET": SECRET})
    (tmp_path / "w" / "hotkeys").mkdir(parents=True)
    (tmp_path / "w" / "hotkeys" / "h").write_text(f'{{"secretSeed":"{SEED}"}}')
    machine.shell(".venv/bin/strongroom bittensor import w")
    machine.shell(".venv/bin/strongroom token create reader --ledger hathor --scope hathor:read")
    with machine.serve() as service, machine.client() as client:
        address = make_wallet(client, machine)
        pay(client, address)
        machine.shell(BACK_UP)
        pay(client, address)
        assert service.terminate() == 0
    assert_private(tmp_path / "backup" / "monday")
    assert_private(tmp_path / "keys")
    assert {file.name for file in (tmp_path / "keys").iterdir()} == {"atto.kek", "bittensor.kek"}
    assert not list((tmp_path / "backup").rglob("*.kek"))
    shutil.rmtree(tmp_path / "data")
    assert "bad" not in machine.shell(RESTORE)
    assert_private(tmp_path / "data")
    assert "w/h" in machine.shell(".venv/bin/strongroom bittensor wallets")
    assert "reader" in machine.shell(".venv/bin/strongroom token list --ledger hathor")
    with machine.serve() as service, machine.client() as client:
        pay(client, address)
        assert service.terminate() == 0


def test_sqlite_over_what_is_left_of_a_broken_database(networks: dict[str, str], tmp_path: Path) -> None:
    """Killed, its log left behind, its pages damaged."""
    machine = Machine(tmp_path, networks | {"AUTH_SECRET": SECRET})
    with machine.serve("atto") as service, machine.client() as client:
        address = make_wallet(client, machine)
        machine.shell(".venv/bin/strongroom migrate")
        machine.shell(BACK_UP)
        pay(client, address)
        service.kill()
    database = tmp_path / "data" / "atto.sqlite3"
    database.write_bytes(b"\xff" * database.stat().st_size)
    (tmp_path / "data" / "atto.sqlite3-wal").write_bytes(b"\xff" * 4096)
    machine.shell(RESTORE)
    with machine.serve("atto") as service, machine.client() as client:
        pay(client, address)
        assert service.terminate() == 0


def servers(mariadb: MariaDB) -> dict[str, str]:
    """Variables of a new database for each ledger."""
    names = {ledger: str(mariadb.new_database().database) for ledger in ("atto", "hathor", "bittensor")}
    named = {
        "ATTO_DB_NAME": names["atto"],
        "DB_NAME": names["hathor"],
        "BITTENSOR_DB_NAME": names["bittensor"],
    }
    same = {"HOST": "127.0.0.1", "PORT": str(mariadb.port), "USER": USER, "PASSWORD": PASSWORD}
    of_hathor = {"DB_ENDPOINT": same["HOST"], "DB_PORT": same["PORT"], "DB_USER": USER, "DB_PASS": PASSWORD}
    others = {
        f"{ledger}_DB_{name}": value for ledger in ("ATTO", "BITTENSOR") for name, value in same.items()
    }
    return named | of_hathor | others


@pytest.mark.slow
def test_mariadb_and_copies_there_and_back(
    networks: dict[str, str], tmp_path: Path, mariadb: MariaDB
) -> None:
    """All three ledgers: backed up on MariaDB, restored to other databases there, copied to files, and back."""
    machine = Machine(tmp_path, networks | {"AUTH_SECRET": SECRET} | servers(mariadb))
    with machine.serve() as service, machine.client() as client:
        address = make_wallet(client, machine)
        pay(client, address)
        machine.shell(BACK_UP)
        pay(client, address)
        assert service.terminate() == 0
    machine.variables = {**machine.variables, **servers(mariadb)}
    assert "bad" not in machine.shell(RESTORE)
    with machine.serve() as service, machine.client() as client:
        pay(client, address)
        assert service.terminate() == 0
    (tmp_path / "copy-password").write_text(PASSWORD)
    machine.shell('.venv/bin/strongroom copy --all --to "sqlite:///data/{ledger}.sqlite3"')
    kept = {name for name in servers(mariadb) if name in machine.variables}
    machine.variables = {name: value for name, value in machine.variables.items() if name not in kept}
    machine.variables["BITTENSOR_DB_FILE"] = "bittensor.sqlite3"
    machine.shell(".venv/bin/strongroom audit verify")
    with machine.serve() as service, machine.client() as client:
        pay(client, address)
        assert service.terminate() == 0
    for ledger in ("atto", "hathor", "bittensor"):
        execute_elsewhere(mariadb.url(), f"CREATE DATABASE strongroom_{ledger}")
    address_of = {"COPY_USER": USER, "COPY_HOST": "127.0.0.1", "COPY_PORT": str(mariadb.port)}
    machine.variables = {**machine.variables, **address_of}
    copied = machine.shell(COPY)
    assert "hathor: " in copied
    again = machine.shell(COPY.replace("copy --all", "copy --verify --all"))
    assert "equal in" in again


def test_a_backup_keeps_keys_apart_and_replaces_nothing(networks: dict[str, str], tmp_path: Path) -> None:
    machine = Machine(tmp_path, networks | {"AUTH_SECRET": SECRET})
    machine.shell(".venv/bin/strongroom migrate")
    machine.shell(BACK_UP)
    assert "already exists: name a new folder" in machine.fail(BACK_UP)
    assert "Keep the keys apart" in machine.fail(".venv/bin/strongroom backup b --keys b/keys")
    assert not (tmp_path / "b").exists()
    # A backup that lacks a ledger restores nothing until somebody says which ones are meant.
    manifest = tmp_path / "backup/monday/manifest.json"
    kept = json.loads(manifest.read_text())
    del kept["ledgers"]["hathor"]
    manifest.write_text(json.dumps(kept))
    (tmp_path / "data").rename(tmp_path / "lost")
    lacking = machine.fail(RESTORE)
    assert "and not hathor, which is configured. Say with --ledger what to restore" in lacking
    assert not list((tmp_path / "data").glob("*.sqlite3"))
    named = RESTORE.replace("restore backup/monday", "restore backup/monday --ledger atto --ledger bittensor")
    machine.shell(named.partition(".venv/bin/strongroom doctor")[0])
    restored = {path.name for path in (tmp_path / "data").glob("*.sqlite3")}
    assert "atto.sqlite3" in restored
    assert any("bittensor" in name for name in restored)
    assert not any("hathor" in name for name in restored)


@pytest.mark.parametrize("locked", ["", "--passphrase"])
def test_a_backup_on_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path, locked: str) -> None:
    """A limit on the size of files stands for the full disk: the copy reaches it, and the database is not written."""
    nodes = {"NETWORK": "LOCAL", "NODE_BASE_URL": "http://127.0.0.1:9"}
    phrase = {"STRONGROOM_BACKUP_PASSPHRASE_FILE": "backup-passphrase"} if locked else {}
    machine = Machine(tmp_path, nodes | phrase)
    machine.shell(".venv/bin/strongroom migrate atto")
    said = machine.fail(f"ulimit -f 200\n.venv/bin/strongroom backup backup/full {locked}")
    assert "cannot be written: " in said
    assert "backup_not_written" in said
    assert "data/atto.sqlite3 cannot" not in said
    assert [*(tmp_path / "backup" / "full").iterdir()] == []
    assert not [*(tmp_path / "data").glob(".backup-*")]
    assert "backup_incomplete" in machine.fail(".venv/bin/strongroom verify backup/full")
    machine.shell(
        f".venv/bin/strongroom backup backup/full {locked}\n.venv/bin/strongroom verify backup/full"
    )
