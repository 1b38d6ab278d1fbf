import shutil
from pathlib import Path

import pytest

from commands.conftest import Ended, Installation
from support.keys import KEY


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
    variables = installation.variables | {"STRONGROOM_DATA": str(folder), "COLUMNS": "300"}
    return Installation(variables=variables, client=installation.client)


def test_a_good_installation_is_all_good(copy: Installation) -> None:
    ended = copy.run("doctor")
    found = verdicts(ended)
    assert ended.status == 0, ended
    assert {name: result for name, (result, _) in found.items()} == {
        "atto database": "good",
        "atto audit trail": "good",
        "atto wallet keys": "good",
        "atto node": "good",
        "atto work": "good",
        "hathor database": "good",
        "hathor node": "good",
        "bittensor database": "good",
        "bittensor audit trail": "good",
        "bittensor keys": "good",
        "bittensor chain": "good",
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
            f"{key} is not there, and the database was sealed with the key in it: put it back, or set"
            " CHA_CHA20_KEY_ENCRYPTION_KEY to what it holds. If it is lost, see docs/operations.md, A lost key"
        ),
    )
    assert not key.exists()


def test_a_node_that_is_away_is_named(copy: Installation) -> None:
    away = {"NETWORK": "local", "NODE_BASE_URL": "http://127.0.0.1:9"}
    ended = copy.run("doctor", variables=away)
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
