"""Amounts as numbers, as strings, or as strings where a float would round them."""

import pytest

from strongroom.core.storage.database import Database
from strongroom.hathor.amounts import AmountForm
from support.clock import ManualClock
from support.hathor.api import recorded_rows, serving_api
from support.hathor.canned_node import CannedNode
from support.hathor.running import serving

pytestmark = pytest.mark.anyio

EXACT = 9007199254740993


async def test_the_form_of_amounts(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        plain = (await api.get("/wallet/tx_outputs"))[1]["txOutputs"]
        texts = (await api.get("/wallet/tx_outputs", amounts="string"))[1]["txOutputs"]
        safe = (await api.get("/wallet/tx_outputs", amounts="safe"))[1]["txOutputs"]
        assert [type(output["value"]) for output in safe] == [str, *[int] * (len(safe) - 1)]
        for one, other in zip(plain, texts, strict=True):
            assert other == {**one, "value": str(one["value"])}
        headers = {**api.full(), "Strongroom-Amounts": "string"}
        balances = (await api.client.get("/wallet/balances", headers=headers)).json()["balances"]
        assert balances[1]["balance"] == {"unlocked": "1000", "locked": "0"}
        assert balances[1]["tokenAuthorities"]["unlocked"] == {"mint": True, "melt": False}
        assert balances[1]["transactions"] == 1
        history = (await api.client.get("/wallet/history", headers=headers)).json()["history"]
        assert history[0]["balance"] == "-50"
        status, body = await api.get("/wallet/tokens", amounts="words")
        message = '"amounts" must be one of [number, safe, string]'
        assert (status, body["details"]) == (400, [{"message": message, "path": ["amounts"]}])


async def test_the_service_may_choose_the_form(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows(), amounts=AmountForm.SAFE) as api:
        outputs = (await api.get("/wallet/tx_outputs"))[1]["txOutputs"]
        assert outputs[0]["value"] == str(EXACT)
        numbers = (await api.get("/wallet/tx_outputs", amounts="number"))[1]["txOutputs"]
        assert numbers[0]["value"] == EXACT


async def test_amounts_of_the_node(database: Database, clock: ManualClock) -> None:
    node = CannedNode(
        {
            "GET /v1a/transaction": {"tx": {"outputs": [{"value": EXACT}], "weight": 17.25}},
            "GET /v1a/nano_contract/state": {"fields": {"count": {"value": EXACT}}},
        }
    )
    async with (
        serving(node) as listener,
        serving_api(database, clock, rows=recorded_rows(), node_url=f"{listener.url}/v1a") as api,
    ):
        _, told = await api.get(f"/wallet/proxy/transactions/{'ab' * 32}", amounts="string")
        assert told == {"tx": {"outputs": [{"value": str(EXACT)}], "weight": 17.25}}
        _, state = await api.get("/wallet/proxy/nano_contract/state", id="x", amounts="string")
        assert state == {"fields": {"count": {"value": EXACT}}}  # whatever it counts
