"""`strongroom migrate`: the only command that says it changes schemas; what it would do is said first."""

from pathlib import Path

import pytest

from commands.conftest import run
from support.atto_service import database_variables
from support.mariadb import MariaDB
from support.original_database import write_original

NODES = {
    "NETWORK": "LOCAL",
    "NODE_BASE_URL": "http://127.0.0.1:9",
    "HATHOR_NETWORK": "privatenet",
    "DEFAULT_SERVER": "http://127.0.0.1:9/v1a",
    "BITTENSOR_NETWORK": "local",
    "chain_endpoint": "ws://127.0.0.1:9",
    "COLUMNS": "300",
}


def test_a_dry_run_shows_everything_and_makes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    ended = run("migrate", "--dry-run", variables=NODES | {"STRONGROOM_DATA": str(folder)})
    assert ended.status == 0, ended
    for table in ("strongroom_audit", "strongroom_intent", "tx_output", "strongroom_bittensor_job"):
        assert any(line.startswith(f"    CREATE TABLE {table} ") for line in ended.stdout), table
    assert ended.stdout[-1] == "Nothing was changed."
    assert not folder.exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_database_that_does_not_answer_is_named(more: tuple[str, ...], tmp_path: Path) -> None:
    """The message for a wrong password or name contains the database's address and the server's text."""
    nowhere = {"ATTO_DB_HOST": "127.0.0.1", "ATTO_DB_PORT": "9", "ATTO_DB_PASSWORD": "only-for-tests"}
    ended = run("migrate", "atto", *more, variables=NODES | nowhere | {"STRONGROOM_DATA": str(tmp_path)})
    assert ended.status == 1
    assert "@127.0.0.1:9/atto?charset=utf8mb4 cannot be used: (2003, " in ended.stderr[-1]
    assert "only-for-tests" not in " ".join(ended.stderr)


def test_it_brings_databases_up_to_date_and_makes_no_key(tmp_path: Path) -> None:
    variables = NODES | {"STRONGROOM_DATA": str(tmp_path)}
    for _ in range(2):
        ended = run("migrate", variables=variables)
        assert ended.status == 0, ended
        assert len(ended.stdout) == 3
        assert all(line.endswith("is up to date") for line in ended.stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "atto.sqlite3",
        "bittensor.sqlite3",
        "hathor.sqlite3",
    ]
    again = run("migrate", "--dry-run", variables=variables)
    assert [line for line in again.stdout if "CREATE" in line] == []
    assert sum("nothing is missing" in line for line in again.stdout) == 6


@pytest.mark.parametrize("dry", [True, False])
def test_a_database_of_the_original_is_shown_with_its_sizes(
    mariadb: MariaDB, tmp_path: Path, *, dry: bool
) -> None:
    url = mariadb.new_database()
    write_original(url, [])
    variables = NODES | database_variables(url, tmp_path)
    ended = run("migrate", "atto", *(["--dry-run"] if dry else []), variables=variables)
    assert ended.status == 0, ended
    doctor = run("doctor", variables=variables)
    told = " ".join(doctor.stdout)
    if dry:
        assert any("CREATE TABLE strongroom_atto_entry" in line for line in ended.stdout)
        assert not any("CREATE TABLE wallet" in line for line in ended.stdout)
        assert any(line.startswith("    flyway_schema_history: about 2 rows") for line in ended.stdout)
        assert "has no tables of Strongroom" in told
    else:
        assert "has no tables of Strongroom" not in told
