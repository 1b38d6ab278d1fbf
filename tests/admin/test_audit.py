"""The audit trail of all ledgers by the admin API."""

import json
from functools import partial
from typing import Any

import httpx2
import pytest

from admin.test_payments import store
from strongroom.core.security.access import Principal
from strongroom.core.transparency.checker import check
from support.admin_office import Office

pytestmark = pytest.mark.anyio
ALL = ("atto", "hathor")


async def record(office: Office, ledger: str, subject: str, action: str = "sign") -> None:
    principal = Principal(name="token:ann", scopes=frozenset())
    ledger_audit = office.ledgers[ledger].audit
    append = partial(ledger_audit.append, principal=principal, action=action, subject=subject)
    await office.ledgers[ledger].database.write(append)
    office.clock.advance(1)


def subjects(response: httpx2.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["subject"] for row in response.json()["rows"]]


async def test_rows_of_all_ledgers_come_newest_first_in_stable_pages(office: Office) -> None:
    token = await office.token("admin:audit", on=ALL)
    for number in range(6):
        await record(office, ALL[number % 2], f"s{number}")
    first = await office.ask(token, "GET", "/audit", principal="token:ann", limit=4)
    assert subjects(first) == ["s5", "s4", "s3", "s2"]
    await record(office, "atto", "late")
    cursor = first.json()["cursor"]
    last = await office.ask(token, "GET", "/audit", principal="token:ann", limit=4, cursor=cursor)
    assert subjects(last) == ["s1", "s0"]
    assert last.json()["cursor"] is None
    row = last.json()["rows"][0]
    assert row == {
        "ledger": "hathor",
        "sequence": row["sequence"],
        "at": row["at"],
        "principal": "token:ann",
        "action": "sign",
        "subject": "s1",
        "details": {},
        "lane": row["lane"],
        "number": row["number"],
        "hash": row["hash"],
    }


async def test_a_ledger_whose_clock_went_back_loses_no_row(office: Office) -> None:
    token = await office.token("admin:audit", on=ALL)
    for subject in ("a1", "a2", "a3"):
        await record(office, "atto", subject)
        office.clock.advance(-3)
    await record(office, "hathor", "h1")
    found, more = list[str](), dict[str, str | None]()
    for _ in range(4):
        page = await office.ask(token, "GET", "/audit", principal="token:ann", limit=1, **more)
        found += subjects(page)
        more = {"cursor": page.json()["cursor"]}
    assert more == {"cursor": None}
    assert sorted(found) == ["a1", "a2", "a3", "h1"]
    assert [one for one in found if one != "h1"] == ["a3", "a2", "a1"]


async def test_filters_are_those_of_the_command(office: Office) -> None:
    token = await office.token("admin:audit", on=ALL)
    await record(office, "atto", "t1", "token.create")
    await record(office, "hathor", "t2", "token.revoke")
    await record(office, "hathor", "hot/miner", "key.import")
    ask = partial(office.ask, token, "GET", "/audit", principal="token:ann")
    assert subjects(await ask(action="token")) == ["t2", "t1"]
    assert subjects(await ask(action="token", ledger="atto")) == ["t1"]
    assert subjects(await ask(subject="t2")) == ["t2"]
    assert subjects(await ask(wallet="hot")) == ["hot/miner"]
    assert subjects(await ask(since="2100-01-01")) == []
    assert subjects(await ask(until="2000-01-01")) == []


async def test_whoever_may_not_read_it_reads_nothing(office: Office) -> None:
    reader = await office.token("admin:read", "admin:payments", on=ALL)
    assert (await office.ask(reader, "GET", "/audit")).status_code == 403
    of_atto = await office.token("admin:audit")
    await record(office, "hathor", "of hathor")
    assert "of hathor" not in subjects(await office.ask(of_atto, "GET", "/audit"))
    assert (await office.ask(of_atto, "GET", "/audit", ledger="hathor")).status_code == 403


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"sinse": "2020-01-01"}, "unknown_parameter"),
        ({"since": "yesterday"}, "invalid_moment"),
        ({"cursor": "e30"}, "invalid_cursor"),
        ({"cursor": "eyJhdHRvIjoteH0"}, "invalid_cursor"),
        ({"ledger": "doge"}, "ledger_not_found"),
    ],
)
async def test_a_mistake_is_told(office: Office, query: dict[str, str], code: str) -> None:
    token = await office.token("admin:audit")
    assert (await office.ask(token, "GET", "/audit", **query)).json()["code"] == code


async def test_checkpoints_and_receipts_by_the_api(office: Office) -> None:
    token = await office.token("admin:audit")
    ask = partial(office.ask, token)
    key = bytes.fromhex((await ask("GET", "/ledgers/atto/audit/key")).json()["publicKey"])
    made = list[dict[str, Any]]()
    for number in (1, 2):
        details = {"hash": number.to_bytes(32, "big").hex().upper()}
        await store(office, "atto", number)
        principal = Principal(name="token:ann", scopes=frozenset())
        append = partial(
            office.ledgers["atto"].audit.append,
            principal=principal,
            action="sign",
            subject="alice",
            details=details,
        )
        await office.ledgers["atto"].database.write(append)
        answer = await ask("POST", "/ledgers/atto/audit/checkpoints")
        assert answer.status_code == 201
        made += answer.json()
    assert (await ask("GET", "/ledgers/atto/audit/checkpoints")).json() == made[::-1]
    assert (await ask("GET", "/ledgers/atto/audit/checkpoints", before=2, limit=1)).json() == made[:1]
    assert check(json.dumps(made[0]), key)["checkpoint"] == 1
    proof = await ask("GET", "/ledgers/atto/audit/consistency", earlier=1, later=2)
    assert check(proof.text, key) == {"ledger": "atto", "earlier": 1, "later": 2}
    payment = (2).to_bytes(32, "big")
    receipt = (await ask("GET", f"/ledgers/atto/audit/receipts/{payment.hex()}")).json()["receipt"]
    assert check(receipt, key, payment)["checkpoint"] == 2


async def test_what_cannot_be_proven_says_why(office: Office) -> None:
    token = await office.token("admin:audit")
    await store(office, "atto", 7)
    principal = Principal(name="token:ann", scopes=frozenset())
    details = {"hash": (7).to_bytes(32, "big").hex().upper()}
    append = partial(office.ledgers["atto"].audit.append, principal=principal, action="sign", subject="alice")
    await office.ledgers["atto"].database.write(partial(append, details=details))
    ask = partial(office.ask, token, "GET")
    uncovered = await ask(f"/ledgers/atto/audit/receipts/{7:064x}")
    assert (uncovered.status_code, uncovered.json()["code"]) == (409, "not_covered")
    unknown = await ask(f"/ledgers/atto/audit/receipts/{8:064x}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "payment_not_found")
    none = await ask("/ledgers/atto/audit/consistency", earlier=1, later=2)
    assert (none.status_code, none.json()["code"]) == (404, "checkpoint_not_found")
