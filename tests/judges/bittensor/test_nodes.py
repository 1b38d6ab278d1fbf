"""The example miner and validator, on the official SDK and a chain, while their wallet service dies and comes back."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.bittensor.sdks import SOURCES, Sdk, sdk
from support.ports import free_port
from support.processes import Process

ROOT = SOURCES.parent
WALLETS = Path(__file__).parent / "wallets.py"
PATIENCE_S = 90.0
CALLS = "weights,SubtensorModule.serve_axon"

# The first one waits for the installation, which is kept.
pytestmark = pytest.mark.timeout(600)


@dataclass
class Subnet:
    """A chain, wallets that are registered on it, and the programs that use them, each a process."""

    folder: Path
    sdk: Sdk
    stack: ExitStack
    chain_port: int
    service_port: int

    @property
    def chain(self) -> str:
        return f"ws://127.0.0.1:{self.chain_port}"

    @property
    def wallets(self) -> Path:
        return self.folder / "wallets"

    def settle(self) -> None:
        """Wallets of the SDK, registered: the validator with a permit."""
        made = subprocess.run(
            [self.sdk.python, WALLETS, self.wallets], capture_output=True, text=True, check=True
        )
        for name, (hotkey, coldkey) in json.loads(made.stdout.splitlines()[-1]).items():
            permit = {"stake": 10**13, "permit": True} if name == "validator" else {}
            self.command("/_neuron", {"netuid": 2, "hotkey": hotkey, "coldkey": coldkey} | permit)

    def command(self, path: str, body: dict[str, Any]) -> Any:
        url = f"http://127.0.0.1:{self.chain_port}{path}"
        return json.loads(urllib.request.urlopen(url, json.dumps(body).encode()).read())

    def strongroom(self, *arguments: str, **variables: str) -> Process:
        environment = {
            "STRONGROOM_DATA": str(self.folder / "data"),
            "MANAGEMENT_PORT": str(free_port()),
            "SANDBOX_BITTENSOR_PORT": str(self.chain_port),
            "SANDBOX_BITTENSOR_BLOCK_MS": "250",
        }
        command = str(Path(sys.executable).with_name("strongroom"))
        process = self.stack.enter_context(
            Process([command, *arguments], environment=environment | variables)
        )
        process.wait_ready()
        return process

    def service(self) -> Process:
        return self.strongroom(
            "serve",
            "bittensor",
            network="local",
            chain_endpoint=self.chain,
            BITTENSOR_PORT=str(self.service_port),
            BITTENSOR_WALLET_PATH=str(self.wallets),
            WALLET_SERVICE_CALLS=CALLS,
        )

    def node(self, program: str, *arguments: str) -> Process:
        environment = {
            "PYTHONPATH": str(SOURCES),
            "PYTHONUNBUFFERED": "1",
            "HOME": str(self.folder),
            "chain_endpoint": self.chain,
            "WALLET_SERVICE_URL": f"http://127.0.0.1:{self.service_port}",
            "WALLET_SERVICE_COOL_DOWN_S": "1",
        }
        example = ROOT / "examples" / "bittensor" / program
        command = [str(self.sdk.python), str(example), f"--wallet.path={self.wallets}", *arguments]
        return self.stack.enter_context(Process(command, environment=environment))


@contextmanager
def subnet(folder: Path) -> Iterator[Subnet]:
    with ExitStack() as stack:
        made = Subnet(folder, sdk("10.5.0"), stack, free_port(), free_port())
        made.strongroom("sandbox", "bittensor")
        made.settle()
        yield made


def test_a_validator_sets_weights_whether_its_service_is_there_or_not(tmp_path: Path) -> None:
    with subnet(tmp_path) as made:
        service = made.service()
        miner = made.node("miner.py", f"--axon.port={free_port()}")
        miner.wait_for("answers on", PATIENCE_S)
        validator = made.node("validator.py", "--epoch_blocks=4", "--round_s=1")
        validator.wait_for("1 were right", PATIENCE_S)
        validator.wait_for("by service: Included", PATIENCE_S)
        service.kill()
        validator.wait_for("falling back to the local wallet", PATIENCE_S)
        validator.wait_for("by local:", PATIENCE_S)
        made.service()
        validator.wait_for("is back", PATIENCE_S)
        assert "Traceback" not in miner.logs()


def test_a_validator_without_a_local_key_says_that_it_has_none(tmp_path: Path) -> None:
    with subnet(tmp_path) as made:
        service = made.service()
        made.node("miner.py", f"--axon.port={free_port()}").wait_for("answers on", PATIENCE_S)
        elsewhere = f"--wallet.path={tmp_path / 'none'}"
        validator = made.node("validator.py", "--epoch_blocks=4", "--round_s=1", elsewhere)
        validator.wait_for("by service: Included", PATIENCE_S)
        service.kill()
        validator.wait_for("there is no local hotkey at", PATIENCE_S)
        assert "by local:" not in validator.logs()


def test_a_node_that_cannot_begin_says_why_in_a_sentence(tmp_path: Path) -> None:
    with ExitStack() as stack:
        made = Subnet(tmp_path, sdk("10.5.0"), stack, free_port(), free_port())
        for reason in ("no chain answers at ws://127.0.0.1", "did not answer: ConnectionRefused"):
            node = made.node("validator.py", f"--wallet.path={tmp_path / 'none'}")
            node.wait_for(reason, PATIENCE_S)
            assert node.wait_end() == 1
            assert "Traceback" not in node.logs()
            if "chain" in reason:
                made.strongroom("sandbox", "bittensor")
