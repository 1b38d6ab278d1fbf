"""The recorded answers of the original, asked again."""

import json
from typing import Any

import pytest

from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.hathor.api import Api, recorded_answers, recorded_node, recorded_rows, serving_api
from support.hathor.canned_node import CannedNode
from support.hathor.running import serving

pytestmark = pytest.mark.anyio

EXACT = 9007199254741793
ROUNDED = 9007199254741792
SERVED = (
    "/wallet/init",
    "/wallet/status",
    "/wallet/address",
    "/wallet/balances",
    "/wallet/history",
    "/wallet/tokens",
    "/wallet/transactions",
    "/wallet/utxos",
    "/wallet/tx_outputs",
    "/wallet/push",
    "/tx/proposal",
    "/auth/",
    "/version",
    "/metrics",
    "/wallet/proxy",
)
BETTER: dict[str, dict[str, Any]] = {
    "proposal_no_inputs_known": {
        "error": "inputs-not-found",
        "missing": [
            {"txId": "00000000" + "ab" * 28, "index": 0},
            {"txId": "00000000" + "ab" * 28, "index": 255},
        ],
    },
    "proposal_nohex": {
        "error": "invalid-payload",
        "details": [{"message": '"txHex" is required', "path": ["txHex"]}],
    },
    "proposal_badhex": {
        "error": "invalid-payload",
        "details": [{"message": '"txHex" must only contain hexadecimal characters', "path": ["txHex"]}],
    },
}


def _is_served(path: str) -> bool:
    return path.startswith(SERVED)


def _expected(recorded: dict[str, Any], proposal_id: str) -> tuple[int, Any]:
    """What the original answered, but for what its notes call a bug."""
    if recorded["name"] == "init_bad_xpub":
        message = "The xpub is not valid: Invalid checksum"
        details = [{"message": message, "path": []}]
        return 400, {"success": False, "error": "invalid-payload", "details": details}
    if recorded["name"] == "nano_state":  # it reaches the node
        return 200, {"success": False, "message": "Transaction not found"}
    if recorded["name"] == "send_not_open":  # the bytes of send_ok once more
        return 200, {"success": True, "txProposalId": proposal_id, **recorded["body"]}
    if (better := BETTER.get(recorded["name"])) is not None:
        return 400, {"success": False, **better}
    text = json.dumps(recorded["response"]).replace(str(ROUNDED), str(EXACT))
    return recorded["status"], json.loads(text)


def _first_things_first(recorded: dict[str, Any]) -> dict[str, Any]:
    """That the wallet is loaded counts more than the client's clock."""
    if recorded["name"] != "init_old_timestamp":
        return recorded
    loaded = next(other for other in recorded_answers() if other["name"] == "init_already_loaded")
    return recorded | {key: loaded[key] for key in ("status", "response", "varies")}


def _without(document: Any, paths: list[str]) -> Any:
    """The document with what varies from run to run blanked; raises KeyError where it is missing."""
    copy = json.loads(json.dumps(document))
    for path in paths:
        *parents, last = path.replace("[0]", ".0").split(".")
        target = copy
        for name in parents:
            target = target[int(name) if name.isdigit() else name]
        assert target[last]
        target[last] = None
    return copy


async def _ask(
    api: Api, recorded: dict[str, Any], prefix: str, slash: str, proposal_id: str
) -> tuple[int, Any]:
    headers = {"full": api.full(), "other-wallet": api.stranger(), "none": {}}[recorded["auth"]]
    body = recorded["body"]
    content = None if body is None else json.dumps(body).replace('"$now"', str(api.clock.now_ms() // 1000))
    if isinstance(body, dict) and "$raw" in body:
        content = body["$raw"]
    response = await api.client.request(
        recorded["method"],
        prefix + recorded["path"].replace("$proposalId", proposal_id) + slash,
        params=recorded["query"],
        content=content,
        headers=headers,
    )
    assert response.headers["access-control-allow-origin"] == "*"
    is_json = response.headers["content-type"] == "application/json"
    return response.status_code, response.json() if is_json else {"text": response.text}


@pytest.mark.parametrize(("prefix", "slash"), [("", ""), ("/dev", "/")])
async def test_the_recorded_answers_come_again(
    database: Database, clock: ManualClock, prefix: str, slash: str
) -> None:
    asked = [_first_things_first(recorded) for recorded in recorded_answers() if _is_served(recorded["path"])]
    assert len(asked) > 25
    proposal_id = ""
    canned = CannedNode(recorded_node())
    async with (
        serving(canned) as node,
        serving_api(
            database, clock, rows=recorded_rows(), node_url=f"{node.url}/v1a/", verify_proposals=False
        ) as api,
    ):
        for recorded in asked:
            status, body = await _ask(api, recorded, prefix, slash, proposal_id)
            proposal_id = body.get("txProposalId", proposal_id)
            expected = _expected(recorded, proposal_id)
            varies = recorded["varies"]
            found = (status, _without(body, varies))
            assert found == (expected[0], _without(expected[1], varies)), recorded["name"]
    assert canned.asked.count("GET /v1a/version?") == 1


async def test_a_further_session(database: Database, clock: ManualClock) -> None:
    """Refusals of every route, and proposals that are given up, sent and sent again."""
    proposal_id = ""
    async with (
        serving(CannedNode(recorded_node())) as node,
        serving_api(
            database, clock, rows=recorded_rows(), node_url=f"{node.url}/v1a/", verify_proposals=False
        ) as api,
    ):
        for place, recorded in enumerate(recorded_answers("further")):
            status, body = await _ask(api, recorded, "", "", proposal_id)
            expected = json.dumps(recorded["response"]).replace(str(ROUNDED), str(EXACT))
            if recorded["status"] == 201:
                proposal_id = body["txProposalId"]
            wanted = json.loads(expected.replace("$proposalId", proposal_id))
            asked = (place, recorded["method"], recorded["path"], recorded["query"], recorded["body"])
            assert (status, body) == (recorded["status"], wanted), asked
