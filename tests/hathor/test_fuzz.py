"""Whatever the OpenAPI document allows, and much that it does not, is answered as it says, and never with 5xx."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from strongroom.core.clock import SystemClock
from strongroom.core.database import Database, sqlite_url
from strongroom.core.migrations import migrate
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.sandbox.hathor.node import new_node
from support.clock import ManualClock
from support.hathor.api import HEALTH_KEY, WALLET_ID, Api, recorded_rows, serving_api
from support.hathor.running import serving, serving_node

pytestmark = pytest.mark.anyio
SUPPORT = Path(__file__).parents[1] / "support"
LEFT_OUT = (
    "unsupported_method",  # every path answers a preflight
    "allow_header_conformance",
    "positive_data_acceptance",  # a document cannot say which signatures and names are right
    "ensure_resource_availability",
    "use_after_free",
    "object_level_authorization",
    "ignored_auth",  # tests of tokens are elsewhere
)
TX = "00000000" + "cd" * 28
TOKEN = "0000000f1fbb4bd8a8e71735af832be210ac9a6c1e2081b21faeea3c0f5797f7"
KNOWN = {
    "txId": [TX, "ee" * 32],
    "token_id": [TOKEN, "00"],
    "tokenId": [TOKEN, "00"],
    "address": ["HBCQgVR8Xsyv1BLDjf9NJPK1Hwg4rKUh62"],
    "walletId": [WALLET_ID],
    "id": [WALLET_ID],
    "cursor": ["first"],
}


async def _fuzz(api: Api, folder: Path, *, seconds: int) -> None:
    """Fails with the report of schemathesis when it found something."""
    async with serving(api.application) as listener:
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{listener.url}/api-docs",
            f"--max-time={seconds}",
            "--checks=all",
            f"--exclude-checks={','.join(LEFT_OUT)}",
            f"--header=Authorization: {api.full()['Authorization']}",
            f"--header=x-api-key: {HEALTH_KEY}",
            "--request-timeout=20",
            "--generation-database=none",
            "--warnings=off",
            "--no-color",
        ]
        environment = os.environ | {
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "PYTHONPATH": str(SUPPORT),
            "KNOWN": json.dumps(KNOWN),
        }
        done = await anyio.run_process(
            command, cwd=folder, env=environment, check=False, stderr=subprocess.STDOUT
        )
    if done.returncode != 0:
        pytest.fail(done.stdout.decode(), pytrace=False)


async def _run(folder: Path, clock: ManualClock, *, seconds: int) -> None:
    database = Database(sqlite_url(str(folder / "hathor.sqlite3")))
    await migrate(database, [])
    async with (
        serving_node(new_node(SystemClock(), MAINNET)) as url,
        serving_api(database, clock, rows=recorded_rows(), node_url=url, burst=10**9) as api,
    ):
        await _fuzz(api, folder, seconds=seconds)
        defects = api.metrics.registry.get_sample_value(
            "strongroom_refusals_total", {"ledger": "hathor", "code": "internal-server-error"}
        )
        assert defects is None
        assert (await api.get("/wallet/balances"))[0] == 200
    await database.close()


async def test_requests_that_nobody_thought_of(tmp_path: Path, clock: ManualClock) -> None:
    await _run(tmp_path, clock, seconds=8)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_many_requests_that_nobody_thought_of(tmp_path: Path, clock: ManualClock) -> None:
    await _run(tmp_path, clock, seconds=90)
