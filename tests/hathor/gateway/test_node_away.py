"""A real node that is slow, goes away, comes back as something else, and comes back."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.core.errors import Unavailable
from strongroom.core.runtime.telemetry import Status
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom.hathor.gateway.network_rules import LIFETIME_S
from support.clock import ManualClock
from support.hathor.api import Api, recorded_node, serving_api
from support.hathor.canned_node import CannedNode
from support.hathor.running import serving
from support.ports import free_port
from support.processes import Process, strongroom
from support.sql import execute
from support.waiting import PATIENCE_S

pytestmark = pytest.mark.anyio

BRIEF_S = 0.5
TX = "ab" * 32


class NodeProcess:
    """What listens on the node's port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.process = self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1a/"

    def restart(self) -> None:
        self.process.kill()
        self.process = self._start()

    def replace(self) -> None:
        """Another program on its port, which is no node."""
        self.process.kill()
        (self._folder / "v1a").mkdir()
        for name in ("version", "transaction"):
            (self._folder / "v1a" / name).write_text("<html>Welcome!</html>")
        command = [sys.executable, "-u", "-m", "http.server", str(self.port), "--bind", "127.0.0.1"]
        self.process = Process(command, folder=self._folder)
        self.process.wait_for("Serving HTTP")

    def _start(self) -> Process:
        variables = {"STRONGROOM_DATA": str(self._folder), "SANDBOX_HATHOR_PORT": str(self.port)}
        process = strongroom("sandbox", "hathor", environment=variables)
        process.wait_ready()
        return process


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    node = NodeProcess(tmp_path)
    yield node
    node.process.kill()


async def _ask(api: Api) -> tuple[int, str | None]:
    response = await api.client.get(f"/wallet/proxy/transactions/{TX}", headers=api.full())
    return response.status_code, response.json().get("error")


def _breaker(api: Api) -> tuple[Status, float | None]:
    return api.node.health().status, api.metrics.registry.get_sample_value(
        "strongroom_hathor_node_breaker_open"
    )


async def test_a_node_comes_and_goes(node: NodeProcess, clock: ManualClock, tmp_path: Path) -> None:
    database = Database(sqlite_url(str(tmp_path / "test.sqlite3")))
    await migrate(database, [])
    async with serving_api(database, clock, node_url=node.url, node_timeout_s=PATIENCE_S) as api:
        version = (await api.client.get("/version")).json()["data"]
        assert await _ask(api) == (200, None)

        node.process.pause()
        api.node._timeout_s = BRIEF_S  # in vain, so why wait; the others have all the time that they need
        for _ in range(5):
            assert await _ask(api) == (503, "fullnode-unavailable")
        api.node._timeout_s = PATIENCE_S
        assert _breaker(api) == (Status.DEGRADED, 1)
        node.process.resume()
        assert await _ask(api) == (503, "fullnode-unavailable")  # it is not asked

        clock.advance(1)
        assert await _ask(api) == (200, None)
        assert _breaker(api) == (Status.UP, 0)

        node.process.kill()
        for _ in range(6):
            assert await _ask(api) == (503, "fullnode-unavailable")
        clock.advance(LIFETIME_S + 1)
        later = (await api.client.get("/version")).json()["data"]
        assert later == {**version, "timestamp": clock.now_ms() // 1000}

        node.replace()
        clock.advance(30)
        assert await _ask(api) == (502, "fullnode-error")
        assert _breaker(api) == (Status.DEGRADED, 1)

        node.restart()
        clock.advance(30)
        assert await _ask(api) == (200, None)
        assert _breaker(api) == (Status.UP, 0)
    await database.close()


async def test_the_version_outlives_the_process(database: Database, clock: ManualClock) -> None:
    node = CannedNode(recorded_node())
    async with serving(node) as listener, serving_api(database, clock, node_url=f"{listener.url}/v1a") as api:
        told = (await api.client.get("/version")).json()["data"]
    for age_s in (0, LIFETIME_S, LIFETIME_S):  # fresh, barely, and too old, with nobody to ask
        clock.advance(age_s)
        async with serving_api(database, clock) as api:
            known = (await api.client.get("/version")).json()["data"]
            assert known == {**told, "timestamp": clock.now_ms() // 1000}


async def test_a_version_that_the_original_stored_is_known(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock) as api:
        unknown = await api.client.get("/version")
        assert (unknown.status_code, unknown.json()["error"]) == (503, "fullnode-unavailable")
    stored = (
        '{"version":"0.1","network":"mainnet","nano_contracts_enabled":"feature_activation","min_weight":14,'
        '"min_tx_weight":14,"min_tx_weight_coefficient":1.6,"min_tx_weight_k":100.5,"reward_spend_min_blocks":300,'
        '"token_deposit_percentage":0.01,"max_number_inputs":255,"max_number_outputs":255,"more":{}}'
    )
    sql = "INSERT INTO version_data (id, timestamp, data) VALUES (1, 0, {})"  # as the original leaves it
    await database.write(lambda connection: execute(connection, sql, stored))
    async with serving_api(database, clock) as api:
        data = (await api.client.get("/version")).json()["data"]
    assert data == {
        "version": "0.1",
        "network": "mainnet",
        "nanoContractsEnabled": True,
        "minWeight": 14,
        "minTxWeight": 14,
        "minTxWeightCoefficient": 1.6,
        "minTxWeightK": 100.5,
        "tokenDepositPercentage": 0.01,
        "rewardSpendMinBlocks": 300,
        "maxNumberInputs": 255,
        "maxNumberOutputs": 255,
        "decimalPlaces": 2,
        "nativeTokenName": "Hathor",
        "nativeTokenSymbol": "HTR",
        "genesisBlockHash": None,
        "timestamp": clock.now_ms() // 1000,
    }


NEWER = {
    "version": "0.99.0",
    "network": "mainnet",
    "nano_contracts_enabled": "required",
    "min_tx_weight": 14,
    "min_tx_weight_coefficient": 1.6,
    "min_tx_weight_k": 100,
    "token_deposit_percentage_numerator": 10_000_000,
    "token_deposit_percentage_denominator": 1_000_000_000,
    "reward_spend_min_blocks": 300,
    "max_number_inputs": 255,
    "max_number_outputs": 255,
    "decimal_places": None,
    "display_decimal_places": 3,
    "token_amount_v1_decimal_places": 2,
    "genesis_block_hash": "00" * 32,
    "genesis_tx1_hash": "11" * 32,
    "native_token": {"name": "Ħathor 🌙", "symbol": "HTR", "version": 0},
}
"""A node that dropped what is deprecated, and says more."""


async def test_a_newer_node_is_understood_and_what_it_says_is_kept(
    database: Database, clock: ManualClock
) -> None:
    async with (
        serving(CannedNode({"GET /v1a/version": NEWER})) as listener,
        serving_api(database, clock, node_url=f"{listener.url}/v1a/") as api,
    ):
        data = (await api.client.get("/version")).json()["data"]
    assert data == {
        "version": "0.99.0",
        "network": "mainnet",
        "nanoContractsEnabled": False,
        "minWeight": 14,
        "minTxWeight": 14,
        "minTxWeightCoefficient": 1.6,
        "minTxWeightK": 100,
        "tokenDepositPercentageNumerator": 10_000_000,
        "tokenDepositPercentageDenominator": 1_000_000_000,
        "rewardSpendMinBlocks": 300,
        "maxNumberInputs": 255,
        "maxNumberOutputs": 255,
        "decimalPlaces": 2,
        "nativeTokenName": "Ħathor 🌙",
        "nativeTokenSymbol": "HTR",
        "genesisBlockHash": "00" * 32,
        "timestamp": clock.now_ms() // 1000,
    }
    stored = await database.read(lambda connection: execute(connection, "SELECT data FROM version_data"))
    assert json.loads(stored[0][0]) == NEWER


async def test_who_waits_for_the_first_version_waits_once(clock: ManualClock, tmp_path: Path) -> None:
    """A node that takes connections and says nothing."""
    asked = 0

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        while await reader.read(1_000):  # until the client goes
            pass
        writer.close()
        await writer.wait_closed()

    database = Database(sqlite_url(str(tmp_path / "test.sqlite3")))
    await migrate(database, [])
    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with serving_api(database, clock, node_url=url, node_timeout_s=BRIEF_S) as api:
        answers = await asyncio.gather(*(api.client.get("/version") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {503}
        assert asked == 1
        clock.advance(1)
        assert (await api.client.get("/version")).status_code == 503
        assert asked == 2
    server.close()
    await database.close()


async def test_a_database_that_is_away_is_no_defect(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise Unavailable("The database does not answer")

    async with serving_api(database, clock) as api:
        for name in ("read", "query"):
            monkeypatch.setattr(database, name, fail)
        for path in ("/wallet/balances", "/wallet/history/export", "/metrics"):
            answer = await api.client.get(path, headers=api.full())
            assert (answer.status_code, answer.json()) == (
                503,
                {
                    "success": False,
                    "error": "service-unavailable",
                    "details": [{"message": "The database does not answer"}],
                },
            )
