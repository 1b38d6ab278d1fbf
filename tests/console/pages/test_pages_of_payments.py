"""Payments, one payment, approvals and freezes, as a person without scripts uses them."""

import csv
import io
import json
from functools import partial
from typing import Any

import pytest

from strongroom.core.errors import ApprovalNeeded
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import adopt
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.policy import SignatureRequest
from support.admin_office import Office
from support.console import Page, Visitor

pytestmark = pytest.mark.anyio
BOTH = ("atto", "hathor")
HOSTILE = "<script>alert(1)</script>"
NEEDS_ONE = '{"effect": "approve", "approvals": {"needed": 1}}'


async def store(office: Office, ledger: str, number: int, **parts: Any) -> str:
    known: dict[str, Any] = {
        "id": number.to_bytes(32, "big"),
        "account": "alice",
        "slot": None,
        "kind": "SEND",
        "payload": b"signed",
        "principal": "token:shop",
        "request": json.dumps(
            {"amountRaw": str(number * 10**9), "destination": parts.pop("destination", "bob")}
        ),
        "stage": "signed",
        "wallet": "hot",
        "created_at_ms": office.clock.now_ms() - 1000 * number,
    }
    await office.ledgers[ledger].database.write(partial(adopt, intent=Intent(**known | parts)))
    return f"{number:064x}"


async def park(office: Office, secret: str, amount_raw: int = 5_000_000_000) -> str:
    ledger: Any = office.ledgers["atto"]
    found: Principal = await ledger.token_check.authenticate(secret, "127.0.0.1")
    asked = SignatureRequest(
        principal=found,
        scope="atto:send",
        account=HOSTILE,
        kind="SEND",
        payload_hash=bytes(32),
        wallet=HOSTILE,
        amount_raw=amount_raw,
        destination=HOSTILE,
    )
    gate = ledger.signing_gate()

    def sign(connection: Any) -> None:
        with gate.sign(connection, asked, lambda _hash: b"never"):
            raise AssertionError("it was signed")

    with pytest.raises(ApprovalNeeded) as raised:
        await gate.write(ledger.database, sign)
    assert raised.value.approval is not None
    return raised.value.approval


def assert_harmless(page: Page) -> None:
    assert "<script>alert" not in page.html
    assert "&lt;script&gt;" in page.html


@pytest.mark.parametrize("name", ["hash", "HASH", "order-7", "invoice-9"])
async def test_a_payment_is_found_by_each_of_its_names(office: Office, boss: Visitor, name: str) -> None:
    found = await store(office, "hathor", 0xCD, request_id="order-7", client_key="invoice-9")
    name = {"hash": found, "HASH": found.upper()}.get(name, name)
    page = await boss.open(f"/payments/find?id={name}")
    assert page.status == 200
    assert "from hot to bob" in page.heading
    assert "Asked by token:shop" in page.text
    assert "The signed bytes were stored" in page.text


async def test_what_nobody_finds_says_what_to_do(boss: Visitor) -> None:
    page = await boss.open("/payments/find?id=nothing")
    assert (page.status, page.heading) == (404, "There is no such thing")
    assert "payment_not_found" in page.text
    assert (await boss.open("/payments/find?id=")).status == 400


async def test_lists_have_an_empty_state(boss: Visitor) -> None:
    assert "Nothing was signed yet." in (await boss.open("/payments")).text
    assert "No payment fits" in (await boss.open("/payments?wallet=x")).text
    assert "The inbox is empty." in (await boss.open("/approvals")).text
    assert "Nothing is frozen" in (await boss.open("/freezes")).heading


async def test_pages_neither_repeat_nor_miss(office: Office, boss: Visitor) -> None:
    for number in range(1, 61):
        await store(office, BOTH[number % 2], number)
    first = await boss.open("/payments?wallet=hot&state=&kind=")
    link = first.html.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    await store(office, "atto", 100, created_at_ms=office.clock.now_ms())
    second = await boss.open(link)
    seen = [
        one.partition('"')[0] for page in (first, second) for one in page.html.split("/payments/find?id=")[1:]
    ]
    assert len(seen) == len(set(seen)) == 60
    assert 'rel="next"' not in second.html


async def test_filters_hold(office: Office, boss: Visitor) -> None:
    await store(office, "atto", 1, wallet="hot")
    await store(office, "hathor", 2, wallet="cold")
    for query, number in (
        ("wallet=cold", 1),
        ("ledger=atto", 1),
        ("ledger=&wallet=", 2),
        ("state=REJECTED", 0),
    ):
        page = await boss.open(f"/payments?{query}")
        assert page.html.count("/payments/find?id=") == number, query
    for wrong in ("state=x", "ledger=x", "since=x", "cursor=x", "surprise=1"):
        assert (await boss.open(f"/payments?{wrong}")).status in {400, 404}, wrong


async def test_the_csv_has_all_and_no_formula(office: Office, boss: Visitor) -> None:
    await store(office, "atto", 1, wallet="=HYPERLINK(1)")
    await store(office, "hathor", 2)
    page = await boss.open("/payments.csv")
    rows = [*csv.DictReader(io.StringIO(page.html))]
    assert page.headers["content-type"].startswith("text/csv")
    assert [(row["ledger"], row["amount_raw"]) for row in rows] == [
        ("atto", "1000000000"),
        ("hathor", "2000000000"),
    ]
    assert rows[0]["wallet"] == "'=HYPERLINK(1)"


async def test_no_csv_lacks_a_ledger_that_is_away(office: Office, boss: Visitor) -> None:
    await store(office, "atto", 1)
    await store(office, "hathor", 2)
    office.ledgers["hathor"]._is_prepared = False  # type: ignore[attr-defined]
    page = await boss.open("/payments.csv")
    assert (page.status, "Hathor cannot be asked now" in page.text) == (503, True)
    page = await boss.open("/payments.csv?ledger=atto")
    assert [row["ledger"] for row in csv.DictReader(io.StringIO(page.html))] == ["atto"]


async def test_hostile_text_of_a_payment_is_text(office: Office, boss: Visitor) -> None:
    found = await store(office, "atto", 3, wallet=HOSTILE, account=HOSTILE, kind=HOSTILE, destination=HOSTILE,
                        principal=HOSTILE, rule=HOSTILE, client_key=HOSTILE)  # fmt: skip
    for path in ("/", "/payments", f"/payments/find?id={found}"):
        assert_harmless(await boss.open(path))


async def test_an_approval_is_given(office: Office, boss: Visitor) -> None:
    await office.ledgers["atto"].rules.add(OPERATOR, "ask", NEEDS_ONE)
    waiting = await park(office, await office.token("atto:send", name=f"shop{HOSTILE}"))
    assert "One request waits for approval." in (await boss.open("/")).heading
    page = await boss.open("/approvals")
    assert page.heading == "1 request waits for approval"
    assert "5 ATTO" in page.text
    assert_harmless(page)
    page = await boss.submit(page.form(f"/approvals/atto/{waiting}/approve"))
    assert page.url == "/approvals"
    assert f"You approved {waiting}. Enough people have approved it." in page.text
    assert (await office.audit())[-1][:3] == ("token:boss", "approval.approve", waiting)
    assert "You approved" not in (await boss.open("/approvals")).text, "it is said once"


async def test_an_approval_is_refused_with_a_reason(office: Office, boss: Visitor) -> None:
    await office.ledgers["atto"].rules.add(OPERATOR, "ask", NEEDS_ONE)
    waiting = await park(office, await office.token("atto:send", name="shop"))
    form = (await boss.open("/approvals")).form(f"/approvals/atto/{waiting}/refuse")
    assert (await boss.submit(form, reason=" ")).status == 400
    page = await boss.submit(form, reason="who is this?")
    assert "The inbox is empty." in page.text
    assert_told = await boss.open(f"/payments/find?id={waiting}")
    assert "who is this? (token:boss)" in assert_told.text


async def test_freezing_asks_twice(office: Office, boss: Visitor) -> None:
    atto = office.ledgers["atto"]
    page = await boss.submit(
        (await boss.open("/freezes")).form("/freezes/freeze"), on="atto", scope="ledger", reason=HOSTILE
    )
    assert page.heading == "Freeze Atto?"
    assert_harmless(page)
    assert await atto.rules.freezes() == []
    page = await boss.submit(page.form("/freezes/freeze"))
    assert "Frozen: Atto." in page.text
    assert_harmless(page)
    (freeze,) = await atto.rules.freezes()
    assert (await boss.open("/")).heading == "Atto is frozen."
    page = await boss.submit(page.form(f"/freezes/atto/{freeze.id}/unfreeze"))
    assert page.heading == "Unfreeze this?"
    await boss.submit(page.form(f"/freezes/atto/{freeze.id}/unfreeze"))
    assert await atto.rules.freezes() == []


async def test_everything_is_frozen_and_sealed(office: Office, boss: Visitor) -> None:
    page = await boss.submit(
        (await boss.open("/freezes")).form("/freezes/freeze"),
        on="everything",
        scope="ledger",
        reason="a theft",
    )
    page = await boss.submit(page.form("/freezes/freeze"))
    assert "2 freezes in force" in page.heading
    page = await boss.submit(page.form("/freezes/seal"), on="atto")
    assert page.heading == "Seal Atto?"
    page = await boss.submit(page.form("/freezes/seal"))
    assert "Sealed: Atto." in page.text
    assert not office.ledgers["atto"].custody or not office.ledgers["atto"].custody.is_open
    assert (await boss.open("/")).status == 200, "who sealed looks on"


async def test_who_only_reads_sees_no_button_and_forges_none(office: Office, visitor: Visitor) -> None:
    await office.ledgers["atto"].rules.add(OPERATOR, "ask", NEEDS_ONE)
    waiting = await park(office, await office.token("atto:send", name="shop"))
    page = await visitor.sign_in(await office.token("admin:read", "admin:payments", on=BOTH))
    form_token = page.form("/sign-out").fields["form_token"]
    own = {"/sign-out", "/theme", "/payments/find", "/payments"}
    for path in ("/", "/payments", "/approvals", "/freezes"):
        assert {form.action for form in (await visitor.open(path)).forms} <= own, path
    for path in (f"/approvals/atto/{waiting}/approve", "/freezes/freeze", "/freezes/seal"):
        forged = await visitor.send(
            path, {"form_token": form_token, "on": "atto", "reason": "x", "sure": "yes"}
        )
        assert forged.status == 403, path
        assert "scope_missing" in forged.text
    assert await office.ledgers["atto"].rules.freezes() == []


async def test_an_approver_of_one_ledger_sees_no_other(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in(await office.token("atto:approve", on=("atto",)))
    page = await visitor.open("/approvals")
    assert page.status == 200
    form_token = page.form("/sign-out").fields["form_token"]
    assert (await visitor.send("/approvals/hathor/x/approve", {"form_token": form_token})).status == 403
    assert (await visitor.open("/payments")).status == 403
