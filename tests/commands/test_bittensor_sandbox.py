"""The Bittensor chain as an operator starts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from commands.conftest import Installation, run
from support.ports import free_port, own_ports
from support.processes import Process, strongroom

ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"


def ask(client: httpx2.Client, method: str, *params: object) -> object:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer: object = client.post("/", json=body).json()["result"]
    return answer


@contextmanager
def chain(data: Path) -> Iterator[httpx2.Client]:
    """`strongroom sandbox bittensor`, until it is ended."""
    port = free_port()
    variables = {
        "STRONGROOM_DATA": str(data),
        "SANDBOX_BITTENSOR_PORT": str(port),
        "SANDBOX_BITTENSOR_SPEC": "293",
        "SANDBOX_BITTENSOR_BLOCK_MS": "0",
    }
    with (
        strongroom("sandbox", "bittensor", environment=variables) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        process.wait_ready()
        yield client


def test_the_chain_alone_goes_on_after_a_restart(tmp_path: Path) -> None:
    with chain(tmp_path) as client:
        version = ask(client, "state_getRuntimeVersion")
        assert isinstance(version, dict)
        assert version["specVersion"] == 293
        paid = client.post("/_faucet", json={"address": ALICE, "amount": 5}).json()
        head = client.get("/_chain").json()["best"]
    with chain(tmp_path) as client:
        assert client.get("/_chain").json()["best"] == head
        again = client.post("/_faucet", json={"address": ALICE, "amount": 1}).json()
        assert again["free"] == paid["free"] + 1 > 10**15


def test_the_chain_beside_the_service(installation: Installation) -> None:
    url = f"http://127.0.0.1:{installation.variables['SANDBOX_BITTENSOR_PORT']}"
    with httpx2.Client(base_url=url, trust_env=False, verify=False) as client:
        status = client.get("/_chain").json()
    assert (status["spec_version"], status["interval_ms"], status["finality_lag"]) == (424, 1000, 2)


def served(data: Path, endpoint: str) -> Process:
    """What scripts/start_manage.sh and the compose file run."""
    variables = own_ports() | {
        "STRONGROOM_DATA": str(data),
        "network": "local",
        "chain_endpoint": endpoint,
        "SANDBOX_BITTENSOR_BLOCK_MS": "0",
    }
    return strongroom("serve", "bittensor", "--or-sandbox", environment=variables)


def test_a_sandbox_stands_in_where_no_local_chain_answers(tmp_path: Path) -> None:
    endpoint = f"ws://127.0.0.1:{free_port()}"
    with served(tmp_path / "first", endpoint) as first:
        assert endpoint.removeprefix("ws:") in first.wait_ready()
        with served(tmp_path / "second", endpoint) as second:
            assert "sandbox" not in second.wait_ready()
            second.wait_for(f"endpoint={endpoint.removeprefix('ws://')}")


@pytest.mark.parametrize(
    ("name", "value", "mistake"),
    [
        ("SANDBOX_BITTENSOR_SPEC", "300", "SANDBOX_BITTENSOR_SPEC: must be 293 or 424, not '300'"),
        ("SANDBOX_BITTENSOR_BLOCK_MS", "soon", "SANDBOX_BITTENSOR_BLOCK_MS"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str, mistake: str) -> None:
    variables = {"STRONGROOM_DATA": str(tmp_path), "SANDBOX_BITTENSOR_PORT": str(free_port()), name: value}
    ended = run("sandbox", "bittensor", variables=variables)
    assert ended.status == 2
    assert any(mistake in line for line in ended.stderr)
