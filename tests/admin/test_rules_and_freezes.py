"""Rules and freezes by the admin API: what it changes, and what the audit trail says of it."""

from pathlib import Path
from typing import Any

import pytest

from strongroom.core.guard.settings import GuardSettings
from support.admin_office import Office, running_office
from support.clock import ManualClock

pytestmark = pytest.mark.anyio
SMALL: dict[str, Any] = {"effect": "deny", "when": {"wallets": ["hot"]}, "limit": {"amount_raw": "5"}}
ALL = ("atto", "hathor")


async def test_a_rule_is_added_asked_and_removed(office: Office) -> None:
    token = await office.token("admin", name="boss")
    added = await office.ask(token, "POST", "/ledgers/atto/rules", {"name": "small sums", "rule": SMALL})
    assert added.status_code == 201
    rule = added.json()
    assert (rule["name"], rule["state"], rule["addedBy"]) == ("small sums", "active", "token:boss")
    assert rule["rule"]["limit"]["amount_raw"] == "5"
    again = await office.ask(token, "POST", "/ledgers/atto/rules", {"name": "small sums", "rule": SMALL})
    assert (again.status_code, again.json()["code"]) == (409, "rule_exists")

    ask = {"kind": "SEND", "wallet": "hot"}
    refusal = await office.ask(token, "POST", "/ledgers/atto/rules/test", {**ask, "amountRaw": "6"})
    assert refusal.json() == {
        "allowed": False,
        "code": "rule_limit",
        "rule": "small sums",
        "reason": "The rule 'small sums' lets 5 raw pass at once, not 6",
    }
    allowed = await office.ask(token, "POST", "/ledgers/atto/rules/test", {**ask, "amountRaw": "5"})
    assert (allowed.json()["allowed"], allowed.json()["code"]) == (True, "allowed_by_default")

    removed = await office.ask(token, "DELETE", f"/ledgers/atto/rules/{rule['id']}")
    assert (removed.json()["state"], removed.json()["removedBy"]) == ("ended", "token:boss")
    assert (await office.ask(token, "GET", "/ledgers/atto/rules")).json() == []
    (ended,) = (await office.ask(token, "GET", "/ledgers/atto/rules", history="true")).json()
    assert ended["id"] == rule["id"]
    gone = await office.ask(token, "DELETE", f"/ledgers/atto/rules/{rule['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "rule_not_found")

    rows = [row for row in await office.audit() if row[1] in {"policy.add", "policy.remove"}]
    assert [(who, action, subject) for who, action, subject, _ in rows] == [
        ("token:boss", "policy.add", "small sums"),
        ("token:boss", "policy.remove", "small sums"),
    ]
    assert rows[0][3]["requestId"] == added.headers["x-request-id"]
    assert rows[1][3]["requestId"] == removed.headers["x-request-id"]


async def test_what_loosens_counts_after_the_delay(tmp_path: Path, clock: ManualClock) -> None:
    async with running_office(tmp_path, clock, guard=GuardSettings(loosening_delay_ms=60_000)) as office:
        token = await office.token("admin:rules", "admin:read")
        rule = (await office.ask(token, "POST", "/ledgers/atto/rules", {"name": "x", "rule": SMALL})).json()
        removed = (await office.ask(token, "DELETE", f"/ledgers/atto/rules/{rule['id']}")).json()
        assert removed["state"] == "ends later"
        question = {"kind": "SEND", "wallet": "hot", "amountRaw": "6"}
        held = await office.ask(token, "POST", "/ledgers/atto/rules/test", question)
        assert held.json()["allowed"] is False
        clock.advance(60)
        free = await office.ask(token, "POST", "/ledgers/atto/rules/test", question)
        assert free.json()["allowed"] is True


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"effect": "deny", "when": {"kinds": ["SPEND"]}}, "SPEND is not signed here"),
        ({"effect": "deny", "limit": {"amount_raw": "1.5"}}, "amount_raw"),
        ({"effect": "deny", "when": {"wallets": []}}, "wallets"),
    ],
)
async def test_a_wrong_rule_is_told(office: Office, rule: Any, words: str) -> None:
    token = await office.token("admin:rules")
    refused = await office.ask(token, "POST", "/ledgers/atto/rules", {"name": "x", "rule": rule})
    assert (refused.status_code, refused.json()["code"]) == (400, "rule_invalid")
    assert words in refused.json()["detail"]


@pytest.mark.parametrize("amount", ["-1", "1.5", "1e3", "9" * 90, "²", ""])
async def test_a_question_has_whole_amounts(office: Office, amount: str) -> None:
    token = await office.token("admin:read")
    refused = await office.ask(
        token, "POST", "/ledgers/atto/rules/test", {"kind": "SEND", "amountRaw": amount}
    )
    assert (refused.status_code, refused.json()["code"]) == (400, "question_invalid")


async def test_a_wallet_is_frozen_and_unfrozen(office: Office) -> None:
    freezer, thawer = await office.token("admin:freeze", name="alarm"), await office.token("admin:unfreeze")
    wanted = {"scope": "wallet", "subject": "hot", "reason": "a theft", "anyway": True}
    frozen = await office.ask(freezer, "POST", "/ledgers/atto/freezes", wanted)
    assert frozen.status_code == 201
    freeze = frozen.json()
    assert (freeze["subject"], freeze["frozenBy"], freeze["reason"]) == ("hot", "token:alarm", "a theft")
    twice = await office.ask(freezer, "POST", "/ledgers/atto/freezes", wanted)
    assert (twice.status_code, twice.json()["code"]) == (409, "already_frozen")
    reader = await office.token("admin:read")
    question = {"kind": "SEND", "wallet": "hot"}
    decision = (await office.ask(reader, "POST", "/ledgers/atto/rules/test", question)).json()
    assert (decision["allowed"], decision["code"]) == (False, "frozen")
    path = f"/ledgers/atto/freezes/{freeze['id']}"
    forbidden = await office.ask(freezer, "DELETE", path)
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "scope_missing")
    assert (await office.ask(thawer, "DELETE", path)).status_code == 204
    assert (await office.ask(reader, "GET", "/ledgers/atto/freezes")).json() == []
    assert (await office.ask(thawer, "DELETE", path)).json()["code"] == "not_frozen"


@pytest.mark.parametrize(
    ("scope", "subject"), [("wallet", "hto"), ("token", "token:shop"), ("token", "shoop")]
)
async def test_a_misspelt_name_is_not_taken_for_frozen(office: Office, scope: str, subject: str) -> None:
    await office.token("atto:send", name="shop")
    token = await office.token("admin:freeze")
    path, wanted = "/ledgers/atto/freezes", {"scope": scope, "subject": subject, "reason": "a theft"}
    refused = await office.ask(token, "POST", path, wanted)
    assert (refused.status_code, refused.json()["code"]) == (404, "subject_not_found")
    assert await office.ledgers["atto"].rules.freezes() == []
    known = await office.ask(token, "POST", path, {"scope": "token", "subject": "shop", "reason": "a theft"})
    assert known.status_code == 201
    assert (await office.ask(token, "POST", path, {**wanted, "anyway": True})).status_code == 201


async def test_everything_is_frozen_with_one_call(office: Office) -> None:
    token = await office.token("admin", on=ALL, name="alarm")
    await office.ask(token, "POST", "/ledgers/hathor/freezes", {"scope": "ledger", "reason": "before"})
    frozen = await office.ask(token, "POST", "/freeze", {"reason": "a theft"})
    assert frozen.status_code == 200
    assert [(one["ledger"], one["done"], one.get("code")) for one in frozen.json()["ledgers"]] == [
        ("atto", True, None),
        ("hathor", True, "already_frozen"),
    ]
    for ledger in ALL:
        (held,) = (await office.ask(token, "GET", f"/ledgers/{ledger}/freezes")).json()
        assert held["scope"] == "ledger"
    thawed = await office.ask(token, "POST", "/unfreeze")
    assert [one["done"] for one in thawed.json()["ledgers"]] == [True, True]
    for ledger in ALL:
        assert (await office.ask(token, "GET", f"/ledgers/{ledger}/freezes")).json() == []
        assert [action for _, action, _, _ in await office.audit(ledger)][-4:] == [
            "freeze",
            "policy.state",
            "unfreeze",
            "policy.state",
        ]


async def test_everything_is_what_the_caller_governs(office: Office) -> None:
    token = await office.token("admin:freeze", on=["atto"])
    frozen = await office.ask(token, "POST", "/freeze", {"reason": "a theft"})
    assert frozen.json() == {"ledgers": [{"ledger": "atto", "done": True}]}
    assert await office.ledgers["hathor"].rules.freezes() == []


async def test_a_freeze_has_a_reason(office: Office) -> None:
    token = await office.token("admin", on=ALL)
    for reason in ("", " ", "x" * 501, "two\nlines"):
        refused = await office.ask(token, "POST", "/freeze", {"reason": reason})
        assert (refused.status_code, refused.json()["code"]) == (400, "freeze_invalid")


async def test_a_frozen_token_neither_undoes_its_freeze_nor_goes_round_it(office: Office) -> None:
    boss = await office.token("admin", name="boss")
    stolen = await office.token("admin:tokens", "admin:rules", "admin:unfreeze", "atto:send", name="stolen")
    own, rules = f"/ledgers/atto/tokens/{stolen.split('_')[1]}", "/ledgers/atto/rules"
    rule = (await office.ask(boss, "POST", rules, {"name": "small sums", "rule": SMALL})).json()
    frozen = await office.ask(
        boss, "POST", "/ledgers/atto/freezes", {"scope": "token", "subject": "stolen", "reason": "a leak"}
    )
    assert frozen.status_code == 201, frozen.text
    asked: list[tuple[str, str, dict[str, Any] | None]] = [
        ("DELETE", f"/ledgers/atto/freezes/{frozen.json()['id']}", None),
        ("DELETE", f"{rules}/{rule['id']}", None),
        ("POST", rules, {"name": "all", "rule": {"effect": "allow"}}),
        ("POST", "/ledgers/atto/tokens", {"name": "another", "scopes": ["atto:send"]}),
        ("POST", f"{own}/rotate", {"overlapSeconds": 0}),
        ("PATCH", own, {"networks": []}),
    ]
    for method, path, body in asked:
        refused = await office.ask(stolen, method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (403, "frozen"), (path, refused.text)
        assert "a leak" in refused.json()["detail"]
    tightened = await office.ask(stolen, "POST", rules, {"name": "less", "rule": SMALL})
    assert tightened.status_code == 201, "what tightens is never refused"
    assert (await office.ask(stolen, "POST", f"{own}/revoke")).status_code == 200
    assert (await office.ask(boss, "DELETE", asked[0][1])).status_code in (200, 204)


async def test_what_holds_a_token_back_holds_back_those_that_it_made_before(office: Office) -> None:
    boss = await office.token("admin")
    trader = await office.token("admin:tokens", "atto:send", name="trader")
    wish = {"name": "way round", "scopes": ["admin:tokens", "atto:send"]}
    made = (await office.ask(trader, "POST", "/ledgers/atto/tokens", wish)).json()
    rule = {"effect": "deny", "when": {"principals": ["token:trader"]}}
    await office.ask(boss, "POST", "/ledgers/atto/rules", {"name": "no trade", "rule": rule})
    question = {"kind": "SEND", "wallet": "hot", "principal": "token:way round"}
    decision = (await office.ask(boss, "POST", "/ledgers/atto/rules/test", question)).json()
    assert (decision["allowed"], decision["rule"]) == (False, "no trade")
    frozen = {"scope": "token", "subject": "trader", "reason": "it leaked"}
    assert (await office.ask(boss, "POST", "/ledgers/atto/freezes", frozen)).status_code == 201
    decision = (await office.ask(boss, "POST", "/ledgers/atto/rules/test", question)).json()
    assert (decision["allowed"], decision["code"]) == (False, "frozen")
    refused = await office.ask(made["secret"], "POST", "/ledgers/atto/tokens", {**wish, "name": "next"})
    assert (refused.status_code, refused.json()["code"]) == (403, "frozen")
    listed = (await office.ask(boss, "GET", "/ledgers/atto/tokens")).json()
    assert {each["name"]: each["makers"] for each in listed}["way round"] == ["trader"]
