import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from commands.conftest import Ended, Installation
from strongroom.core.errors import Unavailable
from strongroom.core.ledger.installed import require_room
from support.keys import KEY
from support.ports import own_ports
from support.waiting import eventually

DATABASES = ("atto.sqlite3", "hathor.sqlite3")
BOOKS = ("atto", "hathor", "bittensor")


def verdicts(ended: Ended) -> dict[str, tuple[str, str]]:
    """Result and detail of each check; a detail that goes over several lines is put together."""
    found: dict[str, tuple[str, str]] = {}
    name = ""
    for line in ended.stdout:
        cells = [cell.strip() for cell in line.split("│")]
        if len(cells) != 5:
            continue
        _, check, result, detail, _ = cells
        name = check or name
        known = found.get(name, ("", ""))
        found[name] = (result or known[0], known[1] + detail)
    return found


@pytest.fixture
def copy(installation: Installation, tmp_path: Path) -> Installation:
    """The installation's data, restored elsewhere."""
    assert installation.client.post(f"/wallets/{tmp_path.name}").status_code == 200
    folder = tmp_path / "restored"
    shutil.copytree(installation.variables["STRONGROOM_DATA"], folder)
    variables = installation.variables | {"STRONGROOM_DATA": str(folder), "COLUMNS": "1000"}
    return Installation(variables=variables, client=installation.client)


def test_a_good_installation_is_all_good(copy: Installation) -> None:
    ended = copy.run("doctor")
    found = verdicts(ended)
    assert ended.status == 0, ended
    assert {name: result for name, (result, _) in found.items()} == {
        "atto database": "good",
        "atto audit trail": "good",
        "atto tokens": "good",
        "atto wallet keys": "good",
        "atto node": "good",
        "atto account states": "good",
        "atto work": "good",
        "hathor database": "good",
        "hathor audit trail": "good",
        "hathor tokens": "good",
        "hathor node": "good",
        "hathor events": "good",
        "bittensor database": "good",
        "bittensor audit trail": "good",
        "bittensor tokens": "good",
        "bittensor keys": "good",
        "bittensor chain": "good",
        "bittensor proxies": "good",
    }
    assert found["atto database"][1] == f"sqlite:///{copy.variables['STRONGROOM_DATA']}/atto.sqlite3"


def test_another_key_encryption_key_is_noticed(copy: Installation) -> None:
    ended = copy.run("doctor", variables={"CHA_CHA20_KEY_ENCRYPTION_KEY": KEY})
    result, detail = verdicts(ended)["atto wallet keys"]
    assert (ended.status, result) == (1, "bad")
    assert "is not the one that this database was sealed with" in detail


def test_a_lost_key_file_is_noticed_and_not_replaced(copy: Installation) -> None:
    key = Path(copy.variables["STRONGROOM_DATA"]) / "atto.kek"
    key.unlink()
    ended = copy.run("doctor")
    assert verdicts(ended)["atto wallet keys"] == (
        "bad",
        (
            f"{key} does not exist, and the database was sealed with the key in it: put it back, or set"
            " CHA_CHA20_KEY_ENCRYPTION_KEY to its content. If it is lost, see docs/operations.md, A lost key"
        ),
    )
    assert not key.exists()


def test_a_node_that_is_away_is_named(copy: Installation) -> None:
    """Without its password: what doctor says is shown to others."""
    away = {"NETWORK": "local", "NODE_BASE_URL": "http://user:canary@127.0.0.1:9"}
    ended = copy.run("doctor", variables=away)
    assert "canary" not in str(ended)
    found = verdicts(ended)
    assert ended.status == 1
    assert found["atto node"] == (
        "bad",
        "http://127.0.0.1:9: The node does not answer (ClientConnectorError)",
    )
    assert found["atto work"][0] == "good"


def test_a_node_of_another_network_is_named(copy: Installation) -> None:
    node = f"http://127.0.0.1:{copy.variables['SANDBOX_ATTO_NODE_PORT']}"
    beta = {"NETWORK": "beta", "NODE_BASE_URL": node}
    ended = copy.run("doctor", variables=beta)
    words = f"{node}: the node is of the network LOCAL, and NETWORK says BETA"
    assert (ended.status, verdicts(ended)["atto node"]) == (1, ("bad", words))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture
def backup(installation: Installation, tmp_path: Path) -> Installation:
    """A copy as the documents say how to make one: whole databases, and the keys beside them."""
    source, folder = Path(installation.variables["STRONGROOM_DATA"]), tmp_path / "backup"
    folder.mkdir()
    for path in source.glob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"VACUUM INTO '{folder / path.name}'")
    for path in [*source.glob("*.kek"), source / "hathor-auth-secret"]:
        shutil.copy(path, folder)
    variables = installation.variables | {"STRONGROOM_DATA": str(folder), "COLUMNS": "1000"}
    return Installation(variables=variables, client=installation.client)


def change(copy: Installation, database: str, statement: str) -> None:
    with closing(sqlite3.connect(Path(copy.variables["STRONGROOM_DATA"]) / database)) as connection:
        connection.execute(statement)
        connection.commit()
        connection.execute("PRAGMA journal_mode=DELETE")


def test_a_backup_is_looked_at_and_stays_as_it_was(backup: Installation) -> None:
    folder = Path(backup.variables["STRONGROOM_DATA"])
    before = contents(folder)
    assert {"atto.sqlite3", "hathor.sqlite3", "atto.kek"} <= before.keys()
    ended = backup.run("doctor")
    assert ended.status == 0, ended
    assert contents(folder) == before


def test_where_nothing_is_nothing_is_made_and_that_is_bad(installation: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    ended = installation.run("doctor", variables={"STRONGROOM_DATA": str(folder), "COLUMNS": "1000"})
    found = verdicts(ended)
    assert ended.status == 1
    for ledger in BOOKS:
        result, detail = found[f"{ledger} database"]
        assert (result, detail.partition(str(folder))[0]) == ("bad", "There is no database sqlite:///")
        assert found[f"{ledger} audit trail"] == ("bad", f"not checked: see {ledger} database")
    assert found["atto wallet keys"][0] == found["bittensor keys"][0] == "bad"
    assert found["atto node"][0] == "good"
    assert not folder.exists()


def test_a_schema_that_lacks_something_is_bad_and_stays_so(backup: Installation) -> None:
    change(backup, "hathor.sqlite3", "UPDATE strongroom_version_hathor SET version_num = 'hathor_0002'")
    before = contents(Path(backup.variables["STRONGROOM_DATA"]))
    ended = backup.run("doctor")
    result, detail = verdicts(ended)["hathor database"]
    assert (ended.status, result) == (1, "bad")
    assert "lacks hathor_0003" in detail
    assert "run `strongroom migrate`" in detail
    assert contents(Path(backup.variables["STRONGROOM_DATA"])) == before


def test_a_broken_audit_trail_of_hathor_is_bad(backup: Installation) -> None:
    change(backup, "hathor.sqlite3", "UPDATE strongroom_audit_lane SET number = number + 5 WHERE number")
    ended = backup.run("doctor")
    assert (ended.status, verdicts(ended)["hathor audit trail"][0]) == (1, "bad")


async def test_a_payment_that_another_program_removed_is_bad(
    installation: Installation, copy: Installation, tmp_path: Path
) -> None:
    client = copy.client
    made = client.post(f"/wallets/{tmp_path.name}/accounts").json()
    faucet = f"http://127.0.0.1:{copy.variables['SANDBOX_ATTO_NODE_PORT']}/_faucet"
    assert client.post(faucet, json={"address": made["address"], "amount": 1000}).status_code == 200
    details = f"/wallets/accounts/{made['address']}/details"
    await eventually(lambda: client.get(details).status_code == 200)
    taken = tmp_path / "taken"
    assert installation.run("backup", str(taken), "--keys", str(tmp_path / "keys")).status == 0
    for path in (tmp_path / "keys").iterdir():
        shutil.copy(path, taken)
    emptied = Installation(variables=copy.variables | {"STRONGROOM_DATA": str(taken)}, client=client)
    change(emptied, "atto.sqlite3", "DELETE FROM strongroom_intent")
    ended = emptied.run("doctor")
    verdict, detail = verdicts(ended)["atto audit trail"]
    assert (ended.status, verdict) == (1, "bad")
    assert "payment_missing: " in detail


def test_a_disk_without_room_is_bad(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    require_room(tmp_path, free // 2)
    with pytest.raises(Unavailable, match=r"has \d+ bytes left.*: free some space"):
        require_room(tmp_path, free * 2)


def test_a_hathor_node_that_the_sync_would_refuse_is_bad(backup: Installation) -> None:
    """Of another network, with another history, or set back: the service would not follow it."""
    ended = backup.run("doctor", variables={**hathor_of(backup), "FULLNODE_NETWORK": "nano-testnet-bravo"})
    result, detail = verdicts(ended)["hathor node"]
    assert (ended.status, result) == (1, "bad")
    assert "The node is of network 'privatenet', expected 'nano-testnet-bravo'" in detail
    for statement, words in (
        ("UPDATE strongroom_hathor_source SET stream_id = 'another'", "but this database follows 'another'"),
        (
            "UPDATE sync_metadata SET last_event_id = 999999999",
            "but 999999999 was applied: its data was reset",
        ),
    ):
        change(backup, "hathor.sqlite3", statement)
        ended = backup.run("doctor", variables=hathor_of(backup))
        result, detail = verdicts(ended)["hathor events"]
        assert (ended.status, result) == (1, "bad")
        assert words in detail


def hathor_of(installation: Installation) -> dict[str, str]:
    """Its Hathor node alone."""
    node = f"http://127.0.0.1:{installation.variables['SANDBOX_HATHOR_PORT']}/v1a/"
    return {"HATHOR_NETWORK": "privatenet", "DEFAULT_SERVER": node}


def test_a_missing_key_is_a_problem_also_without_sealed_values(backup: Installation) -> None:
    change(backup, "atto.sqlite3", "DELETE FROM account")
    change(backup, "atto.sqlite3", "DELETE FROM wallet")
    (Path(backup.variables["STRONGROOM_DATA"]) / "atto.kek").unlink()
    ended = backup.run("doctor")
    assert (ended.status, verdicts(ended)["atto wallet keys"][0]) == (1, "bad")


def test_accounts_that_the_node_does_not_know_are_bad(backup: Installation, tmp_path: Path) -> None:
    made = backup.client.post(f"/wallets/{tmp_path.name}")
    assert made.status_code == 200, made.text
    folder = Path(backup.variables["STRONGROOM_DATA"])
    account = backup.client.post(f"/wallets/{tmp_path.name}/accounts").json()["address"]
    row = (account.removeprefix("atto://"), tmp_path.name)
    with closing(sqlite3.connect(folder / "atto.sqlite3")) as connection:
        connection.execute(
            "INSERT INTO strongroom_atto_account (address, public_key, wallet_name, account_index, origin, disabled,"
            " version, height, balance, frontier, timestamp_ms, entry_height)"
            " VALUES (?, zeroblob(32), ?, 0, 'CREATED', 0, 0, 7, '7', zeroblob(32), 1, 0)",
            row,
        )
        connection.commit()
    ended = backup.run("doctor")
    result, detail = verdicts(ended)["atto account states"]
    assert (ended.status, result) == (1, "bad")
    assert f"{row[0]} is at height 7 here and unknown there" in detail


def test_a_newer_schema_is_one_sentence_in_every_command(backup: Installation) -> None:
    for ledger, database in (("core", "atto.sqlite3"), ("hathor", "hathor.sqlite3")):
        change(backup, database, f"UPDATE strongroom_version_{ledger} SET version_num = '{ledger}_9999'")  # noqa: S608
    variables = {"NETWORK": "LOCAL", "NODE_BASE_URL": "http://127.0.0.1:9"}
    hathor = {"HATHOR_NETWORK": "privatenet", "DEFAULT_SERVER": "http://127.0.0.1:9/v1a"}
    for arguments, more in (
        (("serve", "atto"), variables),
        (("migrate", "atto"), variables),
        (("migrate", "atto", "--dry-run"), variables),
        (("token", "list"), variables),
        (("serve", "hathor"), hathor),
        (("sync", "hathor"), hathor),
        (("hathor", "verify"), hathor),
    ):
        ended = backup.run(*arguments, variables=more | own_ports())
        sentence = " ".join(line for line in ended.stderr if line.startswith("strongroom:"))
        assert ended.status == 1, (arguments, ended)
        assert "newer than this version of Strongroom" in sentence, (arguments, ended)
        assert "_9999" in sentence
    ended = backup.run("doctor")
    assert "newer than this version of Strongroom" in verdicts(ended)["atto database"][1]
