"""A payment is followed from its request to its end, over everything that the service keeps of it."""

import json

import httpx2

from commands.conftest import Installation
from commands.test_payments import funded_account


def test_a_request_is_found_in_all_that_came_of_it(installation: Installation) -> None:
    address = funded_account(installation, "followed")
    other = installation.client.post("/wallets/followed/accounts").json()["address"]
    sent = installation.client.post(
        f"/wallets/accounts/{address}/transactions/SEND",
        json={"receiverAddress": other, "amount": 7},
        headers={"X-Request-Id": "order-4711", "Idempotency-Key": "invoice-12"},
    )
    assert (sent.status_code, sent.headers["X-Request-Id"]) == (httpx2.codes.OK, "order-4711")
    (found,) = map(json.loads, installation.run("payments", "--request", "order-4711", "--json").stdout)
    assert (found["id"], found["requestId"]) == (sent.json()["hash"], "order-4711")
    assert found["firstOfferedAt"] is not None
    rows = map(json.loads, installation.run("audit", "show", "--action", "sign", "--json").stdout)
    assert "order-4711" in [row["details"].get("requestId") for row in rows]


def test_refusals_have_the_id_in_header_and_body(installation: Installation) -> None:
    for path, status in (("/wallets/none/accounts/none", 404), ("/nowhere", 404)):
        refused = installation.client.get(path, headers={"X-Request-Id": "lost"})
        assert refused.status_code in {status, 400}
        assert refused.headers["X-Request-Id"] == refused.json()["requestId"] == "lost"
    refused = installation.client.get("/wallets", headers={"Authorization": "Bearer sr_none"})
    assert refused.status_code == httpx2.codes.UNAUTHORIZED
    assert refused.headers["X-Request-Id"] == refused.json()["requestId"]


def test_a_life_is_told_by_any_name(installation: Installation) -> None:
    address = funded_account(installation, "told")
    other = installation.client.post("/wallets/told/accounts").json()["address"]
    sent = installation.client.post(
        f"/wallets/accounts/{address}/transactions/SEND",
        json={"receiverAddress": other, "amount": 7},
        headers={"X-Request-Id": "order-4712", "Idempotency-Key": "invoice-13"},
    )
    payment_id = sent.json()["hash"]
    shown = [installation.run("payment", name).stdout for name in (payment_id, "order-4712", "invoice-13")]
    assert shown[0] == shown[1] == shown[2]
    words = [line.split()[2] for line in shown[0] if line.strip().startswith("20")]
    assert words == ["asked", "allowed", "signed", "offered", "confirmed"]
    text = " ".join(shown[0])
    assert "anonymous, in the request order-4712, which its client calls invoice-13" in text
    (life,) = map(json.loads, installation.run("payment", payment_id, "--json").stdout)
    assert life["id"] == payment_id
    assert [step["step"] for step in life["life"]] == words
