"""Whatever the OpenAPI document allows, and much that it does not, is answered as it says, and never with 5xx."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from atto.conftest import Start
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, entry

pytestmark = pytest.mark.anyio
SUPPORT = Path(__file__).parents[1] / "support"
LEFT_OUT = (
    "unsupported_method",  # the framework's own answers to OPTIONS and the like
    "allow_header_conformance",
    "positive_data_acceptance",  # a document cannot say which addresses and names exist
    "ensure_resource_availability",
    "use_after_free",
    "object_level_authorization",
    "ignored_auth",  # no token is needed here; tests of tokens are elsewhere
)


@pytest.fixture(autouse=True)
def _brief_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.atto.recovery.SILENCE_S", 0.02)


async def fuzz(service: AttoService, network: AttoNetwork, folder: Path, *, seconds: int) -> None:
    """Fails with the report of schemathesis when it found something."""
    wallet = await service.create_wallet("known")
    addresses = [await service.open_account(network, 1_000 * ATTO, wallet) for _ in range(2)]
    sent = entry(await service.send(addresses[0], addresses[1], 1))
    known = {
        "name": ["known"],
        "walletName": ["known"],
        "toIndex": ["0", "3"],
        "transactionHash": [sent["hash"]],
        "address": [*addresses, NOBODY],
        "receiverAddress": [*addresses, NOBODY],
        "representativeAddress": [*addresses, NOBODY],
    }
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{service.client.base_url}/v3/api-docs".replace("//v3", "/v3"),
        f"--max-time={seconds}",
        "--checks=all",
        f"--exclude-checks={','.join(LEFT_OUT)}",
        "--request-timeout=20",
        "--generation-database=none",
        "--warnings=off",
        "--no-color",
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "PYTHONPATH": str(SUPPORT),
        "KNOWN": json.dumps(known),
    }
    done = await anyio.run_process(
        command, cwd=folder, env=environment, check=False, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        pytest.fail(done.stdout.decode(), pytrace=False)


async def assert_unharmed(service: AttoService, network: AttoNetwork) -> None:
    defects = service.metrics.registry.get_sample_value(
        "strongroom_refusals_total", {"ledger": "atto", "code": "internal"}
    )
    assert defects is None
    assert await service.verify_audit() > 0
    address = await service.open_account(network, 10)
    assert entry(await service.send(address, NOBODY, 1))["balance"] == 9


async def test_requests_that_nobody_thought_of(start: Start, network: AttoNetwork, tmp_path: Path) -> None:
    async with start(ATTO_SCAN_LIMIT="20") as service:
        await fuzz(service, network, tmp_path, seconds=8)
        await assert_unharmed(service, network)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_many_requests_that_nobody_thought_of(
    start: Start, network: AttoNetwork, tmp_path: Path
) -> None:
    async with start(ATTO_SCAN_LIMIT="20") as service:
        await fuzz(service, network, tmp_path, seconds=90)
        await assert_unharmed(service, network)
