"""Whatever the OpenAPI document allows, and much that it does not, is answered as it says, and never with 500."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from sqlalchemy.engine import URL

from strongroom.core.audit import verify
from support.bittensor.live_node import NETUID, live_node, new_node
from support.bittensor_service import (
    HOT,
    BittensorService,
    database_variables,
    import_validator,
    running_bittensor,
)

SUPPORT = Path(__file__).parents[1] / "support"
LEFT_OUT = (
    "unsupported_method",  # the framework's own answers to OPTIONS and the like
    "allow_header_conformance",
    "positive_data_acceptance",  # a document cannot say which wallets exist and what the chain takes
    "ensure_resource_availability",
    "use_after_free",
    "object_level_authorization",
    "ignored_auth",  # the word Bearer is optional, which the check does not expect; see test_tokens
)


async def fuzz(service: BittensorService, folder: Path, *, seconds: int) -> None:
    """Fails with the report of schemathesis when it found something."""
    headers = await service.token(
        calls=("weights", "Balances.transfer_keep_alive", "SubtensorModule.serve_axon"),
        coldkey=True,
        any_text=True,
    )
    known = {
        "wallet_name": ["validator"],
        "hotkey_name": ["default"],
        "destination": [HOT.address],
        "netuid": [NETUID],
    }
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{service.client.base_url}/openapi.json".replace("//openapi", "/openapi"),
        f"--max-time={seconds}",
        f"--header=Authorization: {headers['Authorization']}",
        "--checks=all",
        f"--exclude-checks={','.join(LEFT_OUT)}",
        "--request-timeout=30",
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


async def fuzzed(folder: Path, seconds: int) -> None:
    url = URL.create("sqlite", database=str(folder / "bittensor.sqlite3"))
    async with live_node(new_node(424, [HOT.public_key], interval_ms=200)) as node:
        variables = database_variables(url, folder) | {
            "chain_endpoint": node.url,
            "BITTENSOR_REQUESTS_A_MINUTE": "1000000",
        }
        async with running_bittensor(variables) as service:
            await import_validator(service)
            await fuzz(service, folder, seconds=seconds)
            defects = service.metrics.registry.get_sample_value(
                "strongroom_refusals_total", {"ledger": "bittensor", "code": "internal"}
            )
            assert defects is None
            assert await verify(service.ledger.database) > 0
            assert (await service.sign("1763729464123")).status_code == 200


async def test_requests_that_nobody_thought_of(tmp_path: Path) -> None:
    await fuzzed(tmp_path, 8)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_many_requests_that_nobody_thought_of(tmp_path: Path) -> None:
    await fuzzed(tmp_path, 90)
