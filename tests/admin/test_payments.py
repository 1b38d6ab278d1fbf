"""Payments of all ledgers in one list."""

import json
from functools import partial
from typing import Any

import httpx2
import pytest

from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import adopt
from support.admin_office import Office

pytestmark = pytest.mark.anyio
ALL = ("atto", "hathor")


async def store(office: Office, ledger: str, number: int, **parts: Any) -> None:
    known: dict[str, Any] = {
        "id": number.to_bytes(32, "big"),
        "account": "alice",
        "slot": None,
        "kind": "SEND",
        "payload": b"signed",
        "principal": "token:shop",
        "request": json.dumps({"amountRaw": str(2**200), "destination": "bob"}),
        "stage": "signed",
        "wallet": "hot",
        "created_at_ms": number,
    }
    await office.ledgers[ledger].database.write(partial(adopt, intent=Intent(**known | parts)))


def numbers(response: httpx2.Response) -> list[int]:
    assert response.status_code == 200, response.text
    return [int(one["id"], 16) for one in response.json()["payments"]]


async def test_a_life_is_told_to_those_who_read_payments(office: Office) -> None:
    token = await office.token("admin:payments", on=ALL)
    await store(office, "hathor", 0xCD, request_id="order-1", client_key="proposal")
    for name in (f"{0xCD:064x}", "order-1", "proposal"):
        answer = (await office.ask(token, "GET", f"/payments/{name}/life")).json()
        (life,) = answer["lives"]
        assert (life["ledger"], life["payment"]["requestId"]) == ("hathor", "order-1")
        assert [step["step"] for step in life["life"]] == ["asked", "allowed", "signed", "next"]
    assert (await office.ask(token, "GET", "/payments?request=order-1")).json()["payments"][0]["clientKey"]
    assert (await office.ask(token, "GET", "/payments/nothing/life")).status_code == 404
    other = await office.token("admin:read", on=ALL)
    assert (await office.ask(other, "GET", "/payments/order-1/life")).status_code == 403


async def test_a_payment_says_everything(office: Office) -> None:
    token = await office.token("admin:payments", on=ALL)
    await store(office, "atto", 0xAB, rule="small", token="0123456789abcdef")
    (payment,) = (await office.ask(token, "GET", "/payments")).json()["payments"]
    assert payment == {
        "id": "AB".rjust(64, "0"),
        "ledger": "atto",
        "state": "OPEN",
        "stage": "signed",
        "execution": None,
        "reason": "Offered once; the network has neither shown it nor proven that it never will",
        "stuck": True,
        "kind": "SEND",
        "wallet": "hot",
        "account": "alice",
        "amountRaw": str(2**200),
        "destination": "bob",
        "payments": [],
        "principal": "token:shop",
        "token": "0123456789abcdef",
        "rule": "small",
        "approval": None,
        "attempts": 1,
        "createdAt": "1970-01-01T00:00:00.171Z",
        "resolvedAt": None,
        "requestId": None,
        "clientKey": None,
        "firstOfferedAt": None,
        "lastOfferedAt": None,
        "lastAnswer": None,
        "lastAnswerAt": None,
        "details": {},
    }
    for path in ("/payments/", "/ledgers/atto/payments/"):
        assert (await office.ask(token, "GET", path + payment["id"])).json() == payment
    other = await office.ask(token, "GET", f"/ledgers/hathor/payments/{payment['id']}")
    assert (other.status_code, other.json()["code"]) == (404, "payment_not_found")
    wrong = await office.ask(token, "GET", "/payments/xyz")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_payment_id")


async def test_pages_of_several_ledgers_stay_right_while_payments_come(office: Office) -> None:
    token = await office.token("admin", on=ALL)
    for number in range(1, 12):
        await store(office, ALL[number % 2], number)
    seen, cursor = list[int](), None
    for later in range(100, 110):
        query = {"limit": 3} | ({} if cursor is None else {"cursor": cursor})
        page = await office.ask(token, "GET", "/payments", **query)
        seen += numbers(page)
        cursor = page.json()["cursor"]
        if cursor is None:
            break
        await store(office, ALL[later % 2], later)
    assert seen == [*range(11, 0, -1)]


async def test_filters(office: Office) -> None:
    token = await office.token("admin:payments", on=ALL)
    await store(office, "atto", 1)
    await store(office, "hathor", 2, wallet="cold", account="bob", kind="TRANSFER")
    await store(office, "atto", 3, principal="operator", rule="small", token="ab")
    await store(office, "atto", office.clock.now_ms())

    async def found(**query: Any) -> list[int]:
        return numbers(await office.ask(token, "GET", "/payments", **query))

    assert await found(ledger="hathor") == [2]
    assert await found(wallet="cold") == await found(account="bob") == await found(kind="TRANSFER") == [2]
    assert await found(principal="operator") == await found(rule="small") == await found(token="ab") == [3]
    assert await found(stuck="true") == [3, 2, 1]
    assert await found(state="ACCEPTED") == []
    assert await found(since="1970-01-01T00:00:00.002Z", until="1970-01-01T00:00:00.003Z") == [2]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"since": "yesterday"}, "invalid_moment"),
        ({"cursor": "x"}, "invalid_cursor"),
        ({"cursor": "e30"}, "invalid_cursor"),
        ({"cursor": "eyJhdHRvIjpbMSwiYWIiXX0"}, "invalid_cursor"),
        ({"state": "LOST"}, "bad_request"),
        ({"limit": "0"}, "bad_request"),
        ({"limit": "501"}, "bad_request"),
    ],
)
async def test_a_wrong_filter_is_told(office: Office, query: dict[str, str], code: str) -> None:
    token = await office.token("admin:payments")
    refused = await office.ask(token, "GET", "/payments", **query)
    assert (refused.status_code, refused.json()["code"]) == (400, code)


async def test_only_governed_ledgers_are_listed(office: Office) -> None:
    token = await office.token("admin:payments", on=["hathor"])
    await store(office, "atto", 1)
    await store(office, "hathor", 2)
    assert numbers(await office.ask(token, "GET", "/payments")) == [2]
    refused = await office.ask(token, "GET", "/payments", ledger="atto")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    unknown = await office.ask(token, "GET", "/payments", ledger="doge")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "ledger_not_found")
