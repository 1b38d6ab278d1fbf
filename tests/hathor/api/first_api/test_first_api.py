"""The first API: a wallet is named, its transaction made for it, and put together again from what it signs."""

import asyncio
import base64
import json
from typing import Any

import pytest
from sqlalchemy import select

from strongroom.core.coordination.rates import parse_rate
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.state import FreezeScope
from strongroom.core.http.forwarded import parse_proxies
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.stored_tokens import TokenChange
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.hathor.proposals.broadcast_policy import VOCABULARY
from strongroom.hathor.protocol.transactions import Transaction, parse_transaction
from support.clock import ManualClock, SeededEntropy
from support.hathor.api import SIGNED, WALLET_ID, recorded_rows, serving_api
from support.hathor.proposals import FUNDS, NOW_S, Client
from support.hathor.scenes import text_address
from support.hathor.signing import PARENTS, completed
from support.sql import execute
from support.trail import open_trail

pytestmark = pytest.mark.anyio

NATIVE = "00"
TOKEN = "0000000f1fbb4bd8a8e71735af832be210ac9a6c1e2081b21faeea3c0f5797f7"
# The payment of the original's description.
PUBLISHED = {
    "address": "H8F5neU87G8gs9XNbNY1XxN9DkAKQKhMoj",
    "value": 10,
    "token": "00",
    "timelock": None,
}
NAMED = f"id={WALLET_ID}"


def pay(value: int, token: str = NATIVE, timelock: int | None = None) -> dict[str, Any]:
    return {"address": text_address("payee"), "value": value, "token": token, "timelock": timelock}


async def draft(client: Client, *payees: dict[str, Any], **more: object) -> tuple[int, dict[str, Any]]:
    return await client.ask_openly(
        "POST", "/txproposals/", {"id": WALLET_ID, "outputs": list(payees), **more}
    )


def signature_body(transaction: Transaction) -> dict[str, Any]:
    return {
        "timestamp": transaction.timestamp_s,
        "parents": [parent.hex() for parent in transaction.parents],
        "weight": transaction.weight,
        "nonce": transaction.nonce,
        "inputsSignatures": [base64.b64encode(spent.data).decode() for spent in transaction.inputs],
    }


async def test_what_a_wallet_is_told(client: Client) -> None:
    wallet = SIGNED["wallet"]
    status = {
        "walletId": WALLET_ID,
        "xpubkey": wallet["acct_xpub"],
        "maxGap": 10,
        "status": "ready",
        "createdAt": 1_700_000_000,
        "readyAt": 1_700_000_001,
    }
    answer = await client.ask_openly("GET", f"/wallet/?{NAMED}")
    assert answer == (200, {"success": True, "status": status})
    loaded = await client.ask_openly(
        "POST", "/wallet/", {"xpubkey": wallet["acct_xpub"], "firstAddress": wallet["addr_mainnet"][0]}
    )
    assert loaded == (400, {"success": False, "error": "wallet-already-loaded", "status": status})
    code, body = await client.ask_openly("GET", f"/balances/?{NAMED}&token_id={TOKEN}")
    assert code == 200
    assert body["balances"][0]["token"] == {"id": TOKEN, "name": "Test Token", "symbol": "TST"}
    code, body = await client.ask_openly("GET", f"/addresses/?{NAMED}")
    assert body["addresses"][0] == {"address": wallet["addr_mainnet"][0], "index": 0, "transactions": 1}
    code, body = await client.ask_openly("GET", f"/txhistory/?{NAMED}&count=1")
    assert (body["skip"], body["count"]) == (0, 1)
    assert body["history"][0].keys() == {"txId", "timestamp", "balance"}
    for path in ("wallet", "balances", "addresses", "txhistory"):
        code, body = await client.ask_openly("GET", f"/{path}/?id=nobody")
        assert (code, body) == (404, {"success": False, "error": "wallet-not-found"})
        code, body = await client.ask_openly("GET", f"/{path}/")
        assert body["details"] == [{"message": '"id" is required', "path": ["id"]}]
    assert (await client.ask_openly("GET", f"/txhistory/?{NAMED}&count=16"))[0] == 400


async def test_a_payment_with_change_in_two_tokens(client: Client) -> None:
    status, body = await draft(client, pay(300), pay(400, TOKEN), pay(7, timelock=NOW_S + 9), PUBLISHED)
    assert status == 201
    inputs = [(each["txId"], each["index"], each["addressPath"]) for each in body["inputs"]]
    assert inputs == [(FUNDS, 0, "m/44'/280'/0'/0/0"), (FUNDS, 7, "m/44'/280'/0'/0/1")]
    sums = {token: sum(o["value"] for o in body["outputs"] if o["token"] == token) for token in ("00", TOKEN)}
    assert sums == {"00": 9007199254740993, TOKEN: 1000}
    assert body["tokens"] == ["00", TOKEN]
    paid = {text_address("payee"), PUBLISHED["address"]}
    change = [o["address"] for o in body["outputs"] if o["address"] not in paid]
    assert sorted(change) == sorted(SIGNED["wallet"]["addr_mainnet"][2:4])
    transaction = completed(body, timestamp_s=NOW_S)
    identifier = body["txProposalId"]
    answer = await client.ask_openly("PUT", f"/txproposals/{identifier}/", signature_body(transaction))
    expected = {"success": True, "txProposalId": identifier, "txHex": transaction.encode().hex()}
    assert answer == (200, expected)
    assert [parse_transaction(raw).id for raw in client.node.pushed] == [transaction.id]
    assert transaction.parents == PARENTS
    assert (
        await client.ask_openly("PUT", f"/txproposals/{identifier}/", signature_body(transaction)) == answer
    )
    await client.api.database.write(
        lambda c: execute(c, "DELETE FROM strongroom_hathor_proposal")
    )  # it is confirmed
    assert (
        await client.ask_openly("PUT", f"/txproposals/{identifier}/", signature_body(transaction)) == answer
    )
    later = signature_body(transaction) | {"timestamp": NOW_S + 1}
    refused = await client.ask_openly("PUT", f"/txproposals/{identifier}/", later)
    assert refused == (400, {"success": False, "error": "tx-proposal-not-open", "status": "sent"})
    assert len(client.node.pushed) == 1


async def test_change_goes_to_a_used_address_where_no_other_is_there(client: Client) -> None:
    """As in a database that another program filled."""
    sql = "UPDATE address SET transactions = 1 WHERE wallet_id = {}"
    await client.api.database.write(lambda connection: execute(connection, sql, WALLET_ID))
    code, body = await draft(client, pay(7))
    assert code == 201, body
    change = [output["address"] for output in body["outputs"] if output["address"] != pay(7)["address"]]
    assert len(change) == 1
    assert change[0] in SIGNED["wallet"]["addr_mainnet"]


async def test_chosen_inputs(client: Client) -> None:
    spent = [{"txId": FUNDS, "index": 1}]
    status, body = await draft(client, pay(500), inputs=spent)
    assert (status, len(body["inputs"]), len(body["outputs"])) == (201, 1, 1)
    used = await draft(client, pay(500), inputs=spent)
    assert used == (400, {"success": False, "error": "inputs-already-used"})
    given_up = await client.ask_openly("DELETE", f"/txproposals/{body['txProposalId']}/")
    assert given_up == (200, {"success": True, "txProposalId": body["txProposalId"]})
    short = await draft(client, pay(501), inputs=spent)
    assert short == (400, {"success": False, "error": "insufficient-inputs", "insufficient": ["00"]})
    missing = [{"txId": "ab" * 32, "index": 2}]
    unknown = await draft(client, pay(1), inputs=missing)
    assert unknown == (400, {"success": False, "error": "inputs-not-found", "missing": missing})
    foreign = await draft(client, pay(1), inputs=[{"txId": FUNDS, "index": 4}])
    assert foreign[1]["error"] == "inputs-not-in-wallet"


async def test_what_no_transaction_can_be_made_of(client: Client) -> None:
    insufficient = [{"tokenId": TOKEN, "requested": 1001, "available": 1000}]
    answer = await draft(client, pay(1001, TOKEN))
    assert answer == (400, {"success": False, "error": "insufficient-funds", "insufficient": insufficient})
    assert (await draft(client, pay(1), inputSelectionAlgo="smallest"))[1][
        "error"
    ] == "invalid-selection-algorithm"
    assert (await draft(client, *[pay(1)] * 256))[1] == {
        "success": False,
        "error": "too-many-outputs",
        "outputs": 256,
    }
    status, body = await draft(client, {"address": "!", "value": 0.5, "token": 1, "timelock": 0, "x": 1})
    assert status == 400
    assert [(problem["message"], problem["path"]) for problem in body["details"]] == [
        ('"outputs[0].address" must only contain alpha-numeric characters', ["outputs", 0, "address"]),
        ('"outputs[0].value" must be an integer', ["outputs", 0, "value"]),
        ('"outputs[0].token" must be a string', ["outputs", 0, "token"]),
        ('"outputs[0].timelock" must be a positive number', ["outputs", 0, "timelock"]),
        ('"outputs[0].x" is not allowed', ["outputs", 0, "x"]),
    ]
    status, body = await draft(client, pay(1) | {"address": "H" * 34})
    assert body["details"][0]["path"] == ["outputs", 0, "address"]
    assert (await draft(client))[1]["details"][0]["message"] == '"outputs" must contain at least 1 items'


async def test_what_is_not_put_together(client: Client) -> None:
    _, body = await draft(client, pay(300))
    path = f"/txproposals/{body['txProposalId']}/"
    transaction = completed(body, timestamp_s=NOW_S)
    good = signature_body(transaction)
    status, answer = await client.ask_openly("PUT", path, good | {"weight": 1, "inputsSignatures": ["aaaa"]})
    assert (status, answer) == (400, {"success": False, "error": "invalid-tx-weight", "status": "open"})
    status, answer = await client.ask_openly("PUT", path, good | {"weight": 8.9})
    assert answer["error"] == "invalid-tx-weight"
    status, answer = await client.ask_openly("PUT", path, good | {"nonce": good["nonce"] + 1})
    assert answer["error"] == "invalid-tx-weight"
    status, answer = await client.ask_openly("PUT", path, good | {"inputsSignatures": ["aaaa"]})
    assert answer["error"] == "invalid-tx-signature"
    wrongs: tuple[dict[str, Any], ...] = (
        {"inputsSignatures": []},
        {"inputsSignatures": ["?"]},
        {"parents": ["aa"] * 2},
        {"parents": []},
    )
    for wrong in wrongs:
        assert (await client.ask_openly("PUT", path, good | wrong))[1]["error"] == "invalid-payload"
    assert (await client.ask_openly("PUT", "/txproposals/x/", good))[1]["parameter"] == "txProposalId"
    assert client.node.pushed == []
    assert (await client.ask_openly("PUT", path, good))[0] == 200


async def test_many_at_once_spend_nothing_twice(client: Client) -> None:
    """Each chooses again when another took what it chose; three outputs are free, so three win."""
    answers = await asyncio.gather(*(draft(client, pay(1)) for _ in range(30)))
    made = [body for status, body in answers if status == 201]
    assert len({(i["txId"], i["index"]) for body in made for i in body["inputs"]}) == len(made) == 3
    assert {body["error"] for status, body in answers if status != 201} <= {
        "insufficient-inputs",
        "inputs-already-used",
    }


async def test_it_needs_a_token_where_others_reach_it(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows(), legacy_needs_token=True) as api:
        path = f"/wallet/?{NAMED}"
        assert (await api.client.get(path)).status_code == 401
        made = await api.api_tokens.create(OPERATOR, "reader", ["hathor:read"])
        reader = {"Authorization": f"Bearer {made.secret}"}
        assert (await api.client.get(path, headers=reader)).status_code == 200
        refused = await api.client.request("DELETE", "/txproposals/x", headers=reader)
        assert refused.status_code == 403
        full = await api.client.get(path, headers=api.full())
        assert full.status_code == 401


async def test_a_frozen_token_and_what_it_made_send_nothing(database: Database, clock: ManualClock) -> None:
    """A proposal is of its wallet, but who has it sent is the token's holder."""
    async with serving_api(database, clock, rows=recorded_rows(), legacy_needs_token=True) as api:
        await Client(api).announce()
        boss = await api.api_tokens.create(OPERATOR, "boss", ["hathor:send"])
        giver = Principal(name="token:boss", scopes=frozenset(), token=boss.id)
        made = await api.api_tokens.create(giver, "shop", ["hathor:send"])
        shop = {"Authorization": f"Bearer {made.secret}"}
        asked = {"id": WALLET_ID, "outputs": [pay(300)]}
        proposal = (await api.client.post("/txproposals/", json=asked, headers=shop)).json()
        path = f"/txproposals/{proposal['txProposalId']}/"
        body = signature_body(completed(proposal, timestamp_s=NOW_S))
        rules = GuardAdministration(
            database,
            Audit(clock, open_trail()),
            clock,
            SeededEntropy(),
            vocabulary=VOCABULARY,
            loosening_delay_ms=0,
        )
        await rules.freeze(OPERATOR, FreezeScope.TOKEN, "shop", "it leaked")
        refused = await api.client.put(path, json=body, headers=shop)
        assert (refused.status_code, refused.json()["error"]) == (403, "frozen")
        assert api.push_node.pushed == []
        await rules.unfreeze(OPERATOR, FreezeScope.TOKEN, "shop")
        await rules.freeze(OPERATOR, FreezeScope.TOKEN, "boss", "it made the token and leaked")
        refused = await api.client.put(path, json=body, headers=shop)
        assert (refused.status_code, refused.json()["error"]) == (403, "frozen")
        await rules.unfreeze(OPERATOR, FreezeScope.TOKEN, "boss")
        assert (await api.client.put(path, json=body, headers=shop)).status_code == 200
        rows = await database.fetch_all(select(tables.audit))
        assert [row.principal for row in rows if row.action == "admit"] == ["token:shop"]


async def test_a_rule_for_networks_knows_where_a_request_came_from(
    database: Database, clock: ManualClock
) -> None:
    """With an API token, and without one."""
    async with serving_api(database, clock, rows=recorded_rows(), proxies=parse_proxies("127.0.0.1")) as api:
        await Client(api).announce()
        made = await api.api_tokens.create(OPERATOR, "shop", ["hathor:send"])
        asked = {"id": WALLET_ID, "outputs": [pay(300)]}
        local = {"Host": "localhost"}
        proposal = (await api.client.post("/txproposals/", json=asked, headers=local)).json()
        path = f"/txproposals/{proposal['txProposalId']}/"
        body = signature_body(completed(proposal, timestamp_s=NOW_S))
        rules = GuardAdministration(
            database,
            Audit(clock, open_trail()),
            clock,
            SeededEntropy(),
            vocabulary=VOCABULARY,
            loosening_delay_ms=0,
        )
        rule = {"effect": "deny", "unless": {"networks": ["192.0.2.0/24"]}}
        await rules.add(OPERATOR, "own", json.dumps(rule))
        for headers in (local, {"Authorization": f"Bearer {made.secret}"}):
            elsewhere = headers | {"X-Forwarded-For": "198.51.100.7"}
            refused = await api.client.put(path, json=body, headers=elsewhere)
            assert (refused.status_code, refused.json()["error"]) == (403, "rule-denied")
        assert api.push_node.pushed == []
        own = local | {"X-Forwarded-For": "192.0.2.8"}
        assert (await api.client.put(path, json=body, headers=own)).status_code == 200


async def test_a_web_page_does_not_reach_it(client: Client) -> None:
    """Nor one whose name was made to lead here."""
    local = {"Host": "127.0.0.1:3000"}
    for headers, error in (
        (local, None),
        ({"Host": "[::1]:3000"}, None),
        (local | {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-origin"}, None),
        (local | {"Origin": "http://elsewhere"}, "origin-not-allowed"),
        (local | {"Origin": "null"}, "origin-not-allowed"),
        (local | {"Origin": "http://127.0.0.1:3001"}, "origin-not-allowed"),
        (local | {"Sec-Fetch-Site": "cross-site"}, "cross-site"),
        (local | {"Sec-Fetch-Site": "same-site"}, "cross-site"),
        ({"Host": "rebound.example:3000"}, "host-not-allowed"),
    ):
        for method, path in (
            ("GET", f"/wallet/?{NAMED}"),
            ("GET", f"/balances/?{NAMED}"),
            ("DELETE", "/txproposals/x"),
        ):
            answer = await client.api.client.request(method, path, headers=headers)
            if error is None:
                assert answer.status_code in {200, 404}, headers
            else:
                assert (answer.status_code, answer.json()["error"]) == (403, error), headers
                assert answer.json()["success"] is False


async def test_its_bodies_are_json(client: Client) -> None:
    local = {"Host": "localhost"}
    for path in ("/wallet/", "/txproposals/"):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await client.api.client.post(path, content=b"{}", headers=local | {"Content-Type": kind})
            assert (answer.status_code, answer.json()["error"]) == (415, "unsupported-media-type"), kind
        assert (await client.api.client.post(path, json={}, headers=local)).status_code == 400


async def test_wallets_in_browsers_call_the_current_api_from_any_origin(client: Client) -> None:
    page = {"Host": "wallet.example", "Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    answer = await client.api.client.get("/version", headers=page)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.status_code != 403
    answer = await client.api.client.post(
        "/auth/token", content=b"{}", headers=page | {"Content-Type": "text/plain"}
    )
    assert answer.json()["error"] == "invalid-payload"


async def test_the_owner_of_a_wallet_of_the_first_api_gets_its_own_key(
    database: Database, clock: ManualClock
) -> None:
    init = SIGNED["auth_init_body_mainnet"]
    clock.advance(init["timestamp"] - clock.now_ms() / 1000)
    async with serving_api(database, clock) as api:
        body = {"xpubkey": init["xpubkey"], "firstAddress": init["firstAddress"]}
        assert (await api.client.post("/wallet/", json=body, headers={"Host": "localhost"})).json()["status"][
            "status"
        ] == "creating"
        sql = "SELECT auth_xpubkey FROM wallet"
        assert await database.read(lambda c: execute(c, sql)) == [(init["xpubkey"],)]
        answer = await api.client.post("/wallet/init", json=init)
        assert answer.json()["error"] == "wallet-already-loaded"
        assert await database.read(lambda c: execute(c, sql)) == [(init["authXpubkey"],)]


async def test_a_token_is_for_its_networks_and_its_rate(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows(), legacy_needs_token=True) as api:
        path = f"/wallet/?{NAMED}"
        made = await api.api_tokens.create(
            OPERATOR, "reader", ["hathor:read"], networks=["192.0.2.0/24"], rate=parse_rate("2/min")
        )
        reader = {"Authorization": f"Bearer {made.secret}"}
        refused = await api.client.get(path, headers={**reader, "X-Forwarded-For": "192.0.2.1"})
        assert (refused.status_code, refused.json()["error"]) == (403, "address-not-allowed")
        await api.api_tokens.change(OPERATOR, made.id, TokenChange(networks=[]))
        answers = [await api.client.get(path, headers=reader) for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert answers[2].json() == {"success": False, "error": "too-many-requests"}
        assert answers[2].headers["retry-after"] == "30"
        clock.advance(30)
        assert (await api.client.get(path, headers=reader)).status_code == 200
