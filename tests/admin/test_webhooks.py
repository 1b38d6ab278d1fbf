"""Endpoints by the admin API: the secret once, the URL in part, every change in the audit trail."""

import pytest

from support.admin_office import Office

pytestmark = pytest.mark.anyio
PATH = "/ledgers/atto/webhooks"
URL = "https://shop.example/canary-path?key=canary-query"


async def test_an_endpoint_from_its_creation_to_its_end(office: Office) -> None:
    token = await office.token("admin:webhooks", name="boss")
    body = {"name": "shop", "url": URL, "events": ["payment.*", "account.entry"], "wallets": ["hot"]}
    added = await office.ask(token, "POST", PATH, body)
    assert added.status_code == 201
    secret, endpoint = added.json()["secret"], added.json()["endpoint"]
    assert endpoint["url"] == "https://shop.example/…"
    assert (endpoint["events"], endpoint["wallets"]) == (["account.entry", "payment.*"], ["hot"])
    again = await office.ask(token, "POST", PATH, body)
    assert (again.status_code, again.json()["code"]) == (409, "webhook_exists")
    changed = await office.ask(token, "PATCH", f"{PATH}/shop", {"events": [], "enabled": False})
    assert (changed.json()["events"], changed.json()["state"]) == ([], "disabled")
    rotated = await office.ask(token, "POST", f"{PATH}/{endpoint['id']}/rotate", {"overlapSeconds": 60})
    assert rotated.json()["secret"] not in {secret, ""}
    shown = [
        await office.ask(token, "GET", PATH),
        await office.ask(token, "GET", f"{PATH}/shop"),
        await office.ask(token, "GET", f"{PATH}/shop/deliveries"),
    ]
    assert all(one.status_code == 200 for one in shown)
    missing = await office.ask(token, "POST", f"{PATH}/shop/replay", {"event": "evt_nope"})
    assert (missing.status_code, missing.json()["code"]) == (404, "webhook_event_not_found")
    removed = await office.ask(token, "DELETE", f"{PATH}/shop")
    assert removed.status_code == 204
    gone = await office.ask(token, "GET", f"{PATH}/shop")
    assert (gone.status_code, gone.json()["code"]) == (404, "webhook_not_found")
    rows = [row for row in await office.audit() if row[1].startswith("webhook")]
    assert [(who, action) for who, action, _, _ in rows] == [
        ("token:boss", "webhook.add"),
        ("token:boss", "webhook.set"),
        ("token:boss", "webhook.rotate"),
        ("token:boss", "webhook.remove"),
    ]
    told = str([one.text for one in (changed, *shown, gone)]) + str(await office.audit())
    for canary in ("canary-path", "canary-query", secret, rotated.json()["secret"]):
        assert canary not in told


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "x", "url": "http://shop.example/"}, "url_invalid"),
        ({"name": "x", "url": "https://127.0.0.1/canary"}, "url_not_public"),
        ({"name": "x", "url": "https://user:canary@shop.example/"}, "url_invalid"),
        ({"name": "", "url": URL}, "webhook_invalid"),
        ({"name": "x" * 65, "url": URL}, "webhook_invalid"),
        ({"name": "x", "url": URL, "events": ["payment.*", "nothing"]}, "webhook_invalid"),
        ({"name": "x", "url": URL, "wallets": [""]}, "webhook_invalid"),
    ],
)
async def test_what_is_wrong_is_told_without_the_url(
    office: Office, body: dict[str, object], code: str
) -> None:
    token = await office.token("admin:webhooks")
    refused = await office.ask(token, "POST", PATH, body)
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert "canary" not in refused.text
    assert (await office.ask(token, "GET", PATH)).json() == []


async def test_a_frozen_token_neither_adds_nor_changes_one(office: Office) -> None:
    boss, thief = await office.token("admin"), await office.token("admin:webhooks", name="thief")
    await office.ask(thief, "POST", PATH, {"name": "shop", "url": URL})
    await office.ask(
        boss, "POST", "/ledgers/atto/freezes", {"scope": "token", "subject": "thief", "reason": "x"}
    )
    for method, path, body in (
        ("POST", PATH, {"name": "mine", "url": URL}),
        ("PATCH", f"{PATH}/shop", {"url": "https://thief.example/"}),
        ("POST", f"{PATH}/shop/rotate", {}),
    ):
        refused = await office.ask(thief, method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (403, "frozen")
