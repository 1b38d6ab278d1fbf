"""What an operator decides about sealed rows that the service refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest

from commands.conftest import Ended, run
from strongroom.core.storage.database import sqlite_url
from support.databases import execute_elsewhere
from support.keys import KEY, OTHER_KEY
from support.original_database import at_rest

Sql = Callable[[str], list[list[str]]]

VARIABLE = "CHA_CHA20_KEY_ENCRYPTION_KEY"
INSERT = (
    "INSERT INTO wallet (name, version, encrypted_entropy, encrypted_encryption_key)"  # noqa: S608 - the test's own
    f" VALUES ('Treasury', 1, X'{at_rest()['java_blob']}', X'{at_rest()['encrypted_encryption_key']}')"
)


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A database with the original's wallet, whose key-encryption key is zeros, and which was never bound."""
    return {
        "STRONGROOM_DATA": str(tmp_path),
        "NETWORK": "local",
        "NODE_BASE_URL": "http://127.0.0.1:9",
        VARIABLE: at_rest()["kek"],
        "STRONGROOM_ALLOW_WEAK_KEYS": "atto",
        "COLUMNS": "200",
    }


@pytest.fixture
def sql(variables: dict[str, str], tmp_path: Path) -> Sql:
    assert run("migrate", "atto", variables=variables).status == 0
    url = sqlite_url(str(tmp_path / "atto.sqlite3"))
    execute_elsewhere(url, INSERT)
    return lambda statements: execute_elsewhere(url, statements)


def keys(variables: dict[str, str], *arguments: str) -> Ended:
    return run("keys", *arguments, variables=variables)


def audited(sql: Sql) -> list[list[str]]:
    return sql(
        "SELECT action, principal, subject FROM strongroom_audit WHERE action LIKE 'vault.%' ORDER BY sequence"
    )


def test_a_row_that_the_original_changed_is_accepted_by_name(variables: dict[str, str], sql: Sql) -> None:
    assert keys(variables, "accept", "atto", "--all").stdout == ["accepted Treasury"]
    assert keys(variables, "list", "atto").status == 0
    sql("UPDATE wallet SET encrypted_encryption_key = NULL, version = 2")
    ended = keys(variables, "list", "atto")
    assert ended.status == 1
    assert "was altered in the database" in " ".join(ended.stdout)
    assert keys(variables, "accept", "atto", "Savings").stderr == ["strongroom: There is no wallet Savings"]
    assert keys(variables, "accept", "atto", "Treasury").stdout == ["accepted Treasury"]
    assert keys(variables, "list", "atto").status == 0
    assert keys(variables, "accept", "atto", "Treasury").stdout == []
    assert audited(sql) == [
        ["vault.accept", "operator", "Treasury"],
        ["vault.accept", "operator", "wallet"],
        ["vault.accept", "operator", "Treasury"],
    ]


def test_what_no_start_bound_yet_is_not_called_altered(variables: dict[str, str], sql: Sql) -> None:
    """As after an upgrade, or the adoption of the original's database."""
    ended = keys(variables, "list", "atto")
    assert ended.status == 0
    assert "good, and the next start of the service binds it" in " ".join(ended.stdout)
    assert keys(variables, "accept", "atto", "--all").status == 0
    sql("UPDATE strongroom_binding_state SET key_check = NULL")  # it was bound, and somebody hides that
    sql("UPDATE wallet SET encrypted_encryption_key = NULL, version = 2")
    ended = keys(variables, "list", "atto")
    assert ended.status == 1
    assert "was altered in the database" in " ".join(ended.stdout)


def test_doctor_does_not_call_a_hidden_binding_good(variables: dict[str, str], sql: Sql) -> None:
    assert keys(variables, "accept", "atto", "--all").status == 0
    sql("UPDATE strongroom_binding_state SET key_check = NULL")
    told = " ".join(run("doctor", variables=variables).stdout)
    assert "the record of it was removed" in told


@pytest.mark.parametrize(
    "command",
    [
        ("token", "list"),
        ("token", "revoke", "00"),
        ("keys", "list", "atto"),
        ("keys", "abandon", "bittensor", "--all"),
        ("bittensor", "wallets"),
        ("hathor", "verify"),
        ("atto", "reconcile"),
    ],
)
def test_commands_for_what_is_there_make_nothing(command: tuple[str, ...], tmp_path: Path) -> None:
    """In the wrong folder they say so, instead of an empty list of a database that they made."""
    data = tmp_path / "data"
    ended = run(*command, variables={"STRONGROOM_DATA": str(data)})
    assert (ended.status, ended.stdout) == (1, [])
    assert "There is no database" in " ".join(ended.stderr)
    assert not data.exists()


def test_what_does_not_open_is_not_accepted(variables: dict[str, str], sql: Sql) -> None:
    assert keys(variables, "accept", "atto", "--all").status == 0
    sql(f"UPDATE wallet SET encrypted_encryption_key = X'{bytes(60).hex()}'")  # noqa: S608 - ours
    ended = keys(variables, "accept", "atto", "Treasury")
    assert ended.status == 1
    assert "Treasury does not open with this key-encryption key" in " ".join(ended.stderr)


def test_a_lost_key_is_replaced_and_its_wallets_are_locked(
    variables: dict[str, str], sql: Sql, tmp_path: Path
) -> None:
    assert keys(variables, "accept", "atto", "--all").status == 0
    del variables[VARIABLE]
    ended = keys(variables, "accept", "atto", "--all")
    assert (ended.status, ended.stderr) == (1, [f"strongroom: {tmp_path / 'atto.kek'} does not exist"])
    assert not (tmp_path / "atto.kek").exists()
    assert keys(variables, "abandon", "atto").status == 2
    ended = keys(variables, "abandon", "atto", "Treasury")
    assert ended.status == 1
    assert "use --all" in " ".join(ended.stderr)
    assert keys(variables, "abandon", "atto", "--all").stdout == ["abandoned Treasury"]
    assert sql("SELECT encrypted_encryption_key IS NULL FROM wallet") == [["1"]]
    assert keys(variables, "list", "atto").status == 0
    assert ["vault.abandon", "operator", "Treasury"] in audited(sql)


def test_a_row_that_opens_is_not_abandoned(variables: dict[str, str], sql: Sql) -> None:
    assert keys(variables, "accept", "atto", "--all").status == 0
    ended = keys(variables, "abandon", "atto", "Treasury")
    assert (ended.status, ended.stderr) == (
        1,
        ["strongroom: Not abandoned: Treasury opens with the configured key"],
    )
    assert sql("SELECT encrypted_encryption_key IS NULL FROM wallet") == [["0"]]


def test_a_key_that_was_changed_on_purpose_is_accepted_for_all_rows_at_once(
    variables: dict[str, str], sql: Sql
) -> None:
    sql("UPDATE wallet SET encrypted_encryption_key = NULL")
    first, second = variables | {VARIABLE: KEY}, variables | {VARIABLE: OTHER_KEY}
    assert keys(first, "accept", "atto", "--all").status == 0
    assert keys(second, "list", "atto").status == 1
    ended = keys(second, "accept", "atto", "Treasury")
    assert "is not bound with the key in CHA_CHA20_KEY_ENCRYPTION_KEY" in " ".join(ended.stderr)
    assert keys(second, "accept", "atto", "--all").stdout == ["accepted Treasury"]
    assert keys(second, "list", "atto").status == 0
    assert keys(first, "list", "atto").status == 1


def test_an_imported_key_whose_key_is_lost_can_be_imported_again(tmp_path: Path) -> None:
    variables = {"STRONGROOM_DATA": str(tmp_path), "network": "local", "COLUMNS": "200"}
    bittensor = variables | {"BITTENSOR_KEY_ENCRYPTION_KEY": KEY}
    folder = tmp_path / "w" / "hotkeys"
    folder.mkdir(parents=True)
    seed = "0x" + "07" * 32
    (folder / "h").write_text(f'{{"secretSeed":"{seed}"}}')
    assert run("bittensor", "import", str(tmp_path / "w"), variables=bittensor).status == 0
    ended = run("bittensor", "wallets", variables=variables)
    assert ended.status == 1
    assert "bittensor.kek does not exist" in " ".join(ended.stderr)
    assert keys(variables, "abandon", "bittensor", "--all").stdout == ["abandoned w/h"]
    assert "vault (address only)" in " ".join(run("bittensor", "wallets", variables=variables).stdout)
    assert run("bittensor", "import", str(tmp_path / "w"), variables=variables).stdout[0].endswith("imported")
    assert keys(variables, "list", "bittensor").status == 0
