"""What passes through to the full node, and what callers hear when it is away."""

from collections.abc import Sequence
from typing import Any

import pytest

from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.hathor.api import HEALTH_KEY, Api, recorded_node, recorded_rows, serving_api
from support.hathor.canned_node import CannedNode
from support.hathor.running import serving

pytestmark = pytest.mark.anyio

TX = "ab" * 32
VERSION = recorded_node()["GET /v1a/version"]


def _node(**answers: Any) -> CannedNode:
    named = {f"GET /v1a/{path.replace('__', '/')}": answer for path, answer in answers.items()}
    return CannedNode({"GET /v1a/version": VERSION, **named, "anything else": {"success": False}})


async def _get(api: Api, path: str, query: Sequence[tuple[str, str]] = ()) -> tuple[int, Any]:
    response = await api.client.get(path, params=tuple(query), headers=api.read_only())
    return response.status_code, response.json()


async def test_answers_pass_as_they_are(database: Database, clock: ManualClock) -> None:
    exact = b'{"success":true,"tx":{"outputs":[{"value":9007199254740993}]}}'
    node = _node(transaction=exact, transaction_acc_weight={"success": True, "confirmation_level": 0.5})
    async with (
        serving(node) as listener,
        serving_api(database, clock, rows=recorded_rows(), node_url=f"{listener.url}/v1a") as api,
    ):
        response = await api.client.get(f"/wallet/proxy/transactions/{TX}", headers=api.full())
        assert (response.status_code, response.content) == (200, exact)
        answer = await _get(api, f"/wallet/proxy/transactions/{TX}/confirmation_data")
        assert answer == (200, {"success": True, "confirmation_level": 0.5})
        unknown = await _get(api, f"/wallet/tokens/{TX}/details")
        details = [{"message": "Token not found"}]
        assert unknown == (404, {"success": False, "error": "token-not-found", "details": details})
        lists = [("id", "x"), ("fields", "a"), ("fields[]", "b"), ("balances[]", "00"), ("block_height", "7")]
        assert (await _get(api, "/wallet/proxy/nano_contract/state", lists))[0] == 200
        history = [("id", "x"), ("after", "ff"), ("count", "10")]
        assert (await _get(api, "/wallet/proxy/nano_contract/history", history))[0] == 200
        missing = await _get(api, "/wallet/proxy/nano_contract/blueprint/info")
        assert missing[1]["details"] == [{"message": '"blueprint_id" is required', "path": ["blueprint_id"]}]
        nobody = await api.client.get(f"/wallet/proxy/transactions/{TX}")
        assert nobody.status_code == 401
    assert node.asked == [
        f"GET /v1a/transaction?id={TX}",
        f"GET /v1a/transaction_acc_weight?id={TX}",
        f"GET /v1a/thin_wallet/token?id={TX}",
        "GET /v1a/nano_contract/state?id=x&fields[]=a&fields[]=b&balances[]=00&block_height=7",
        "GET /v1a/nano_contract/history?id=x&count=10&after=ff",
    ]


async def test_token_details(database: Database, clock: ManualClock) -> None:
    told = {
        "success": True,
        "name": "Token",
        "symbol": "TOK",
        "version": 1,
        "total": 2**63,
        "transactions_count": 3,
        "can_mint": True,
        "can_melt": False,
        "mint": [],
    }
    async with (
        serving(_node(thin_wallet__token=told)) as node,
        serving_api(database, clock, rows=recorded_rows(), node_url=f"{node.url}/v1a") as api,
    ):
        details = {
            "tokenInfo": {"id": TX, "name": "Token", "symbol": "TOK", "version": 1},
            "totalSupply": 2**63,
            "totalTransactions": 3,
            "authorities": {"mint": True, "melt": False},
        }
        assert await _get(api, f"/wallet/tokens/{TX}/details") == (200, {"success": True, "details": details})


@pytest.mark.parametrize("told", [b'digraph {\n"a"}', b'"digraph {\\n\\"a\\"}"'])
async def test_a_graph_is_a_string_of_json(database: Database, clock: ManualClock, told: bytes) -> None:
    node = CannedNode({"GET /v1a/graphviz/neighbours.dot/": told})
    query = [("txId", TX), ("graphType", "funds"), ("maxLevel", "1")]
    async with (
        serving(node) as listener,
        serving_api(database, clock, rows=recorded_rows(), node_url=f"{listener.url}/v1a") as api,
    ):
        answer = await _get(api, "/wallet/proxy/graphviz/neighbours", query)
        assert answer == (200, 'digraph {\n"a"}')
        assert (await _get(api, "/wallet/proxy/graphviz/neighbours"))[0] == 400
    assert node.asked == [f"GET /v1a/graphviz/neighbours.dot/?tx={TX}&graph_type=funds&max_level=1"]


async def test_health_tells_its_parts_to_who_has_the_key(database: Database, clock: ManualClock) -> None:
    node = _node(status={"dag": {"best_block": {"height": 12}}}, health={"status": "pass"})
    async with (
        serving(node) as listener,
        serving_api(database, clock, rows=recorded_rows(), node_url=f"{listener.url}/v1a") as api,
    ):
        for headers in ({}, {"x-api-key": "guess"}):
            closed = await api.client.get("/health", headers=headers)
            assert (closed.status_code, closed.json()) == (403, {"message": "Forbidden"})
        metrics = await api.client.get("/metrics")
        assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        key = {"x-api-key": HEALTH_KEY}
        healthy = await api.client.get("/health", headers=key)
        assert healthy.status_code == 200
        body = healthy.json()
        assert (body["status"], body["httpStatusCode"]) == ("pass", 200)
        assert body["checks"]["mysql:block_height"] == [
            {
                "componentName": "mysql:block_height",
                "componentType": "internal",
                "status": "pass",
                "output": "Database and fullnode heights are within 5 blocks difference",
                "time": "2027-01-15T08:00:00.000Z",
                "affectsServiceHealth": True,
            }
        ]
        node.answers["GET /v1a/status"] = {"dag": {"best_block": {"height": 15}}}
        node.answers["GET /v1a/health"] = {"status": "warn"}
        behind = await api.client.get("/health", headers=key)
        assert (behind.status_code, behind.json()["status"]) == (503, "fail")
        assert behind.json()["checks"]["fullnode:health"][0]["status"] == "warn"
        output = behind.json()["checks"]["mysql:block_height"][0]["output"]
        assert output == "Database height is 10 but fullnode height is 15"


async def test_health_without_redis_is_a_warning(database: Database, clock: ManualClock) -> None:
    node = _node(status={"dag": {"best_block": {"height": 10}}}, health={"status": "pass"})
    redis = [True, False]
    async with (
        serving(node) as listener,
        serving_api(
            database,
            clock,
            rows=recorded_rows(),
            node_url=f"{listener.url}/v1a",
            redis_answers=lambda: redis.pop(0),
        ) as api,
    ):
        for status in ("pass", "warn"):
            answer = await api.client.get("/health", headers={"x-api-key": HEALTH_KEY})
            assert (answer.status_code, answer.json()["status"]) == (200, status)
            assert answer.json()["checks"]["redis:connection"][0]["status"] == status
