"""Whatever the OpenAPI document allows, and much that it does not, is answered as it says, and never with 5xx."""

from pathlib import Path

import httpx2
import pytest

from strongroom.core.clock import SystemClock
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom_sandbox.hathor.node import new_node
from support.clock import ManualClock
from support.fuzzing import fuzz
from support.hathor.api import HEALTH_KEY, WALLET_ID, recorded_rows, serving_api
from support.hathor.running import serving, serving_node
from support.odd_text import ask_oddly

pytestmark = pytest.mark.anyio
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


async def _run(folder: Path, clock: ManualClock, *, seconds: int) -> None:
    database = Database(sqlite_url(str(folder / "hathor.sqlite3")))
    await migrate(database, [])
    async with (
        serving_node(new_node(SystemClock(), MAINNET)) as url,
        serving_api(database, clock, rows=recorded_rows(), node_url=url, burst=10**9) as api,
    ):
        async with serving(api.application) as listener:
            headers = {"Authorization": api.full()["Authorization"], "x-api-key": HEALTH_KEY}
            document = f"{listener.url}/api-docs"
            await fuzz(document, folder, seconds=seconds, known=KNOWN, headers=headers)
        defects = api.metrics.registry.get_sample_value(
            "strongroom_refusals_total", {"ledger": "hathor", "code": "internal-server-error"}
        )
        assert defects is None
        assert (await api.get("/wallet/balances"))[0] == 200
    await database.close()


async def test_requests_that_nobody_thought_of(tmp_path: Path, clock: ManualClock) -> None:
    await _run(tmp_path, clock, seconds=8)


@pytest.mark.slow
async def test_many_requests_that_nobody_thought_of(tmp_path: Path, clock: ManualClock) -> None:
    await _run(tmp_path, clock, seconds=90)


async def test_text_that_no_column_holds_is_no_defect(database: Database, clock: ManualClock) -> None:
    async with (
        serving_node(new_node(SystemClock(), MAINNET)) as url,
        serving_api(database, clock, rows=recorded_rows(), node_url=url, burst=10**9) as api,
        serving(api.application) as listener,
        httpx2.AsyncClient(base_url=listener.url, timeout=30, trust_env=False) as client,
    ):
        headers = {"Authorization": api.full()["Authorization"], "x-api-key": HEALTH_KEY}
        document = (await client.get("/api-docs")).json()
        known = {name: str(values[0]) for name, values in KNOWN.items()}
        count, defects = await ask_oddly(client, document, known=known, bodies={}, headers=headers)
        assert (count > 50, defects) == (True, [])
