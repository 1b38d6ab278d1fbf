"""Approvals by the admin API: others decide, and nobody for themselves, under whatever name."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from strongroom.core.errors import ApprovalNeeded
from strongroom.core.guard.settings import GuardSettings
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.policy import SignatureRequest
from support.admin_office import Office, running_office
from support.clock import ManualClock

pytestmark = pytest.mark.anyio
APPROVALS = "/ledgers/atto/approvals"
ASKED = "/ledgers/atto/asked"
TOKENS = "/ledgers/atto/tokens"
NEEDS_ONE = '{"effect": "approve", "approvals": {"needed": 1}}'


async def park(office: Office, secret: str, amount_raw: int = 5) -> str:
    """The id under which a payment that this token asks for waits."""
    ledger: Any = office.ledgers["atto"]
    found: Principal = await ledger.token_check.authenticate(secret, "127.0.0.1")
    asked = SignatureRequest(
        principal=found,
        scope="atto:send",
        account="A",
        kind="SEND",
        payload_hash=bytes(32),
        wallet="hot",
        amount_raw=amount_raw,
        destination="B",
    )

    gate = ledger.signing_gate()

    def sign(connection: Any) -> None:
        with gate.sign(connection, asked, lambda _hash: b"never"):
            raise AssertionError("it was signed")

    with pytest.raises(ApprovalNeeded) as raised:
        await gate.write(ledger.database, sign)
    assert raised.value.approval is not None
    return raised.value.approval


@pytest.fixture
async def shop(office: Office) -> str:
    await office.ledgers["atto"].rules.add(OPERATOR, "ask", NEEDS_ONE)
    return await office.token("atto:send", name="shop")


def told(response: httpx2.Response, status: int, code: str) -> bool:
    return (response.status_code, response.json().get("code")) == (status, code)


@pytest.mark.parametrize("scope", ["admin", "admin:approve", "atto:approve"])
async def test_somebody_else_approves(office: Office, shop: str, scope: str) -> None:
    waiting = await park(office, shop)
    boss = await office.token(scope, name="boss")
    (listed,) = (await office.ask(boss, "GET", APPROVALS)).json()["approvals"]
    assert (listed["id"], listed["state"], listed["askedBy"]) == (waiting, "parked", "token:shop")
    assert (listed["terms"]["amountRaw"], listed["requirements"][0]["rule"]) == ("5", "ask")
    approved = await office.ask(boss, "POST", f"{APPROVALS}/{waiting}/approve")
    assert (approved.status_code, approved.json()["state"]) == (200, "approved")
    assert approved.json()["approvedBy"][0]["principal"] == "token:boss"
    assert (await office.ask(boss, "GET", f"{APPROVALS}/{waiting}")).json() == approved.json()
    again = await office.ask(boss, "POST", f"{APPROVALS}/{waiting}/approve")
    assert told(again, 409, "approval_decided")
    who, action, subject, details = (await office.audit())[-1]
    assert (who, action, subject) == ("token:boss", "approval.approve", waiting)
    assert details["requestId"] == approved.headers["x-request-id"]


async def test_a_request_is_refused_with_a_reason(office: Office, shop: str) -> None:
    waiting = await park(office, shop)
    boss = await office.token("admin:approve", name="boss")
    path = f"{APPROVALS}/{waiting}/refuse"
    assert told(await office.ask(boss, "POST", path, {"reason": " "}), 400, "approval_invalid")
    refused = await office.ask(boss, "POST", path, {"reason": "who is this?"})
    assert (refused.json()["state"], refused.json()["reason"]) == ("refused", "who is this? (token:boss)")
    assert (await office.ask(boss, "GET", APPROVALS)).json() == {"approvals": [], "cursor": None}
    ended = (await office.ask(boss, "GET", APPROVALS, ended="true")).json()
    assert [one["id"] for one in ended["approvals"]] == [waiting]


async def test_pages_have_every_request_once(office: Office, shop: str) -> None:
    """Also those of one moment, and where one of them ends between two pages."""
    made = [await park(office, shop, amount_raw) for amount_raw in range(1, 6)]
    boss = await office.token("admin:approve", name="boss")
    found, cursor = list[str](), dict[str, str]()
    while True:
        page = (await office.ask(boss, "GET", APPROVALS, limit="2", **cursor)).json()
        found += [one["id"] for one in page["approvals"]]
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
        await office.ask(boss, "POST", f"{APPROVALS}/{page['cursor']}/refuse", {"reason": "no"})
    assert sorted(found) == sorted(made)
    assert len(found) == 5
    assert told(await office.ask(boss, "GET", APPROVALS, cursor="x"), 400, "invalid_cursor")
    for limit in ("0", "501"):
        assert told(await office.ask(boss, "GET", APPROVALS, limit=limit), 400, "bad_request")


@pytest.mark.parametrize("scopes", [("*",), ("atto:*",), ("admin:read", "admin:rules"), ("hathor:approve",)])
async def test_no_other_right_approves(office: Office, shop: str, scopes: tuple[str, ...]) -> None:
    waiting = await park(office, shop)
    token = await office.token(*scopes)
    for way in ("approve", "refuse"):
        answer = await office.ask(token, "POST", f"{APPROVALS}/{waiting}/{way}", {"reason": "x"})
        assert told(answer, 403, "scope_missing")


async def test_nobody_approves_their_own(office: Office) -> None:
    await office.ledgers["atto"].rules.add(OPERATOR, "ask", NEEDS_ONE)
    both = await office.token("atto:send", "admin:approve")
    waiting = await park(office, both)
    assert told(await office.ask(both, "POST", f"{APPROVALS}/{waiting}/approve"), 403, "approval_own")


async def test_nobody_approves_what_a_token_of_their_making_asks_for(office: Office, shop: str) -> None:
    """Neither one that they made, nor one that such a one made, nor one that they rotated."""
    boss = await office.token("admin", name="boss")
    maker = await office.ask(boss, "POST", TOKENS, {"name": "maker", "scopes": ["admin:tokens", "atto:send"]})
    child = await office.ask(
        maker.json()["secret"], "POST", TOKENS, {"name": "child", "scopes": ["atto:send"]}
    )
    rotated = await office.ask(boss, "POST", f"{TOKENS}/{shop.split('_')[1]}/rotate", {})
    other = await office.token("admin", name="other")
    for answer in (maker, child, rotated):
        waiting = await park(office, answer.json()["secret"])
        refused = await office.ask(boss, "POST", f"{APPROVALS}/{waiting}/approve")
        assert told(refused, 403, "approval_own"), answer.json()["token"]["name"]
        approved = await office.ask(other, "POST", f"{APPROVALS}/{waiting}/approve")
        assert approved.status_code == 200


async def test_a_change_that_loosens_waits_for_others(tmp_path: Path, clock: ManualClock) -> None:
    async with running_office(tmp_path, clock, guard=GuardSettings(change_approvals=1)) as office:
        boss, other = await office.token("admin", name="boss"), await office.token("admin", name="other")
        rules = "/ledgers/atto/rules"
        rule = (await office.ask(boss, "POST", rules, {"name": "x", "rule": {"effect": "deny"}})).json()
        waits = await office.ask(boss, "DELETE", f"{rules}/{rule['id']}")
        assert told(waits, 403, "approval_needed")
        path = f"{APPROVALS}/{waits.json()['approvalId']}"
        assert (await office.ask(boss, "GET", path)).json()["purpose"] == "change"
        assert told(await office.ask(boss, "POST", f"{path}/approve"), 403, "approval_own")
        assert [one["name"] for one in (await office.ask(boss, "GET", rules)).json()] == ["x"]
        assert (await office.ask(other, "POST", f"{path}/approve")).status_code == 200
        assert (await office.ask(boss, "GET", rules)).json() == []

        frozen = await office.ask(boss, "POST", "/freeze", {"reason": "a theft"})
        assert frozen.status_code == 200
        thawed = await office.ask(boss, "POST", "/unfreeze")
        assert told(thawed, 403, "approval_needed")
        assert len((await office.ask(boss, "GET", "/ledgers/atto/freezes")).json()) == 1


@pytest.mark.parametrize("scope", ["admin:rules", "admin:unfreeze"])
async def test_whoever_may_not_approve_sees_and_withdraws_what_they_asked_for_and_nothing_else(
    tmp_path: Path, clock: ManualClock, scope: str
) -> None:
    async with running_office(tmp_path, clock, guard=GuardSettings(change_approvals=1)) as office:
        boss = await office.token("admin", name="boss")
        asker = await office.token(scope, name="asker")
        allow = {"name": "x", "rule": {"effect": "allow"}}
        asked = {
            "admin:rules": ("POST", "/ledgers/atto/rules", allow),
            "admin:unfreeze": ("POST", "/unfreeze", None),
        }[scope]
        await office.ask(boss, "POST", "/freeze", {"reason": "a theft"})
        for who in (boss, asker):
            assert (await office.ask(who, *asked)).json()["code"] == "approval_needed"
        (mine,) = (await office.ask(asker, "GET", ASKED)).json()["approvals"]
        assert (mine["askedBy"], mine["state"], mine["purpose"]) == ("token:asker", "parked", "change")
        assert told(await office.ask(asker, "GET", APPROVALS), 403, "scope_missing")

        (theirs,) = (await office.ask(boss, "GET", ASKED)).json()["approvals"]
        refused = await office.ask(asker, "POST", f"{ASKED}/{theirs['id']}/withdraw")
        assert told(refused, 404, "approval_not_found")
        done = await office.ask(asker, "POST", f"{ASKED}/{mine['id']}/withdraw")
        assert (done.status_code, done.json()["state"]) == (200, "refused")
        assert done.json()["reason"] == "withdrawn (token:asker)"
        again = await office.ask(asker, "POST", f"{ASKED}/{mine['id']}/withdraw")
        assert told(again, 409, "approval_decided")
        assert (await office.ask(asker, "GET", ASKED)).json()["approvals"] == []
        (kept,) = (await office.ask(asker, "GET", ASKED, ended="true")).json()["approvals"]
        assert kept == done.json()
        waiting = (await office.ask(boss, "GET", APPROVALS)).json()["approvals"]
        assert [one["id"] for one in waiting] == [theirs["id"]]
        who, action, subject, _ = (await office.audit())[-1]
        assert (who, action, subject) == ("token:asker", "approval.refuse", mine["id"])


async def test_what_waits_on_several_ledgers_is_named_on_each(tmp_path: Path, clock: ManualClock) -> None:
    async with running_office(tmp_path, clock, guard=GuardSettings(change_approvals=1)) as office:
        both = ["atto", "hathor"]
        boss, other = [await office.token("admin", on=both, name=name) for name in ("boss", "other")]
        await office.ask(boss, "POST", "/freeze", {"reason": "a theft"})
        waits = await office.ask(boss, "POST", "/unfreeze")
        assert told(waits, 403, "approval_needed")
        asked = {one["ledger"]: one["approvalId"] for one in waits.json()["ledgers"]}
        assert list(asked) == both
        for ledger, waiting in asked.items():
            answer = await office.ask(other, "POST", f"/ledgers/{ledger}/approvals/{waiting}/approve")
            assert (answer.status_code, answer.json()["state"]) == (200, "spent")
            assert await office.ledgers[ledger].rules.freezes() == []


async def test_what_waits_on_one_ledger_and_is_done_on_another_has_not_failed(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with running_office(tmp_path, clock, guard=GuardSettings(change_approvals=1)) as office:
        boss = await office.token("admin", on=["atto", "hathor"], name="boss")
        await office.ledgers["hathor"].rules.freeze(OPERATOR, FreezeScope.LEDGER, "", "a theft")
        waits = await office.ask(boss, "POST", "/unfreeze")
        assert told(waits, 403, "approval_needed")
        atto, hathor = waits.json()["ledgers"]
        assert (atto["done"], atto["code"]) == (True, "not_frozen")
        assert (hathor["done"], hathor["code"]) == (False, "approval_needed")
        assert hathor["approvalId"]


async def test_what_waits_on_one_ledger_and_fails_on_another_is_told_of_both(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with running_office(tmp_path, clock, guard=GuardSettings(change_approvals=1)) as office:
        boss = await office.token("admin", on=["atto", "hathor"], name="boss")
        for ledger in office.ledgers.values():
            await ledger.rules.freeze(OPERATOR, FreezeScope.LEDGER, "", "a theft")
        await office.ledgers["atto"].rules.freeze(OPERATOR, FreezeScope.TOKEN, "boss", "a thief")
        answer = await office.ask(boss, "POST", "/unfreeze")
        assert told(answer, 503, "partly_done")
        atto, hathor = answer.json()["ledgers"]
        assert (atto["code"], hathor["code"]) == ("frozen", "approval_needed")
        assert hathor["approvalId"]


async def test_a_dry_run_says_that_it_needs_approval(office: Office, shop: str) -> None:
    assert shop
    reader = await office.token("admin:read")
    answer = await office.ask(
        reader, "POST", "/ledgers/atto/rules/test", {"kind": "SEND", "principal": "token:shop"}
    )
    decision = answer.json()
    assert (decision["allowed"], decision["code"], decision["rule"]) == (False, "approval_needed", "ask")
