"""Payments that people must approve, as a client of the Atto API meets them."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from strongroom.core.coordination.idempotency import Attempt
from strongroom.core.guard.state import FreezeScope
from strongroom.core.guard.tables import approval as approvals
from strongroom.core.intents import tables as intents
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.storage.tables import idempotency
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, assert_refused, entry, until

pytestmark = pytest.mark.anyio
ANN = Principal(name="token:ann", scopes=frozenset({"atto:approve"}))
ONE = {"effect": "approve", "approvals": {"needed": 1}, "when": {"kinds": ["SEND", "CHANGE"]}}


@pytest.fixture
async def account(service: AttoService, network: AttoNetwork) -> str:
    address = await service.open_account(network)
    await service.ledger.rules.add(OPERATOR, "big", json.dumps({**ONE, "limit": {"amount_raw": str(ATTO)}}))
    return address


async def wait(service: AttoService, address: str, amount_raw: int, key: str | None = None) -> str:
    """The id under which a payment waits."""
    answer = await service.send(address, NOBODY, amount_raw, key=key)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (403, "approval_needed")
    approval: str = body["approvalId"]
    assert approval in body["message"]
    return approval


async def until_state(service: AttoService, approval: str, state: str) -> dict[str, Any]:
    found: dict[str, Any] = await until(
        lambda: service.get(f"/wallets/accounts/transactions/approvals/{approval}"),
        lambda body: body["state"] == state,
    )
    return found


@pytest.mark.parametrize("key", [None, "once"])
async def test_an_approved_payment_is_made_without_its_client(
    service: AttoService, account: str, key: str | None
) -> None:
    assert (await service.send(account, NOBODY, ATTO)).status_code == 200
    waiting = await wait(service, account, 5 * ATTO, key)
    assert await wait(service, account, 5 * ATTO, key) == waiting
    assert (await service.details(account) or {})["balance"] == 49 * ATTO
    await service.ledger.approvals.approve(ANN, waiting)
    paid = await until_state(service, waiting, "spent")
    await service.until_balance(account, 44 * ATTO)
    status = await service.get(f"/wallets/accounts/transactions/{paid['hash']}")
    assert status["state"] in {"SIGNED", "CONFIRMED"}
    if key is not None:
        again = await until(
            lambda: service.send(account, NOBODY, 5 * ATTO, key=key), lambda found: found.status_code != 409
        )
        assert entry(again)["hash"] == paid["hash"]
        assert (await service.details(account) or {})["balance"] == 44 * ATTO
    await service.verify_audit()


async def test_a_client_that_asks_again_makes_it_itself(
    service: AttoService, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def idle(*_: object) -> None:
        """The loop that carries requests out is elsewhere."""

    monkeypatch.setattr(service.ledger.use_cases.approved, "carry_out", idle)
    waiting = await wait(service, account, 5 * ATTO, "once")
    await service.ledger.approvals.approve(ANN, waiting)
    paid = entry(await service.send(account, NOBODY, 5 * ATTO, key="once"))
    assert (await until_state(service, waiting, "spent"))["hash"] == paid["hash"]
    assert entry(await service.send(account, NOBODY, 5 * ATTO, key="once")) == paid
    assert (await service.details(account) or {})["balance"] == 45 * ATTO


async def test_another_payment_does_not_take_the_key_of_one_that_waits(
    service: AttoService, account: str
) -> None:
    waiting = await wait(service, account, 5 * ATTO, "once")
    for _ in range(2):
        other = await service.send(account, NOBODY, 6 * ATTO, key="once")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    await service.ledger.approvals.approve(ANN, waiting)
    paid = await until_state(service, waiting, "spent")
    again = await until(
        lambda: service.send(account, NOBODY, 5 * ATTO, key="once"), lambda found: found.status_code != 409
    )
    assert entry(again)["hash"] == paid["hash"]
    await service.until_balance(account, 45 * ATTO)


async def test_a_refusal_is_no_answer_under_the_key_of_one_that_waits(
    service: AttoService, account: str
) -> None:
    """Neither of another payment, nor of the same while the balance is too small for it."""
    waiting = await wait(service, account, 5 * ATTO, "once")
    bare = await wait(service, account, 48 * ATTO)
    await service.ledger.approvals.approve(ANN, bare)
    await service.until_balance(account, 2 * ATTO)
    for amount_raw in (500 * ATTO, 5 * ATTO):
        refused = await service.send(account, NOBODY, amount_raw, key="once")
        assert_refused(refused, 400, "Not enough balance.", "insufficient_balance")
    rows = await service.ledger.database.fetch_all(select(idempotency.c.key))
    assert [row.key for row in rows] == []
    assert (await service.ledger.approvals.show(waiting)).state == "parked"


async def test_a_wrong_request_under_the_key_does_not_end_what_is_approved(
    service: AttoService, account: str
) -> None:
    """While it runs, what is approved waits for the key."""
    waiting = await wait(service, account, 5 * ATTO, "once")
    (row,) = await service.ledger.database.fetch_all(select(approvals.c.document))
    parked = json.loads(row.document)
    requests = service.ledger.use_cases.idempotency
    claim = await requests.begin(parked["scope"], "once", b"w" * 32)
    assert isinstance(claim, Attempt)
    await service.ledger.approvals.approve(ANN, waiting)
    path = f"/wallets/accounts/transactions/approvals/{waiting}"
    held = await until(lambda: service.get(path), lambda body: body["reason"] is not None)
    assert held["state"] == "approved"
    await requests.forget(claim)
    await until_state(service, waiting, "spent")
    await service.until_balance(account, 45 * ATTO)


async def test_no_work_is_searched_and_nothing_signed_for_what_is_refused(
    service: AttoService, account: str
) -> None:
    waiting = await wait(service, account, 5 * ATTO, "once")
    await service.ledger.approvals.refuse(ANN, waiting, "not this month")
    for _ in range(2):
        refused = await service.send(account, NOBODY, 5 * ATTO, key="once")
        assert_refused(
            refused,
            403,
            f"The request {waiting} was refused: not this month (token:ann)",
            "approval_refused",
        )
    rows = await service.ledger.database.fetch_all(select(intents.intent.c.kind))
    assert [row.kind for row in rows] == ["OPEN"]


async def test_what_can_never_be_paid_fails_and_says_why(service: AttoService, account: str) -> None:
    waiting, other = await wait(service, account, 30 * ATTO), await wait(service, account, 31 * ATTO, "other")
    await service.ledger.approvals.approve(ANN, waiting)
    await service.until_balance(account, 20 * ATTO)
    await service.ledger.approvals.approve(ANN, other)
    failed = await until_state(service, other, "failed")
    assert failed["reason"] == "Not enough balance."
    refused = await service.send(account, NOBODY, 31 * ATTO, key="other")
    assert refused.json()["code"] in {"approval_failed", "insufficient_balance"}


async def test_a_change_of_the_representative_may_wait_too(
    service: AttoService, network: AttoNetwork
) -> None:
    address = await service.open_account(network)
    await service.ledger.rules.add(OPERATOR, "all", json.dumps(ONE))
    answer = await service.change(address, NOBODY, key="once")
    assert (answer.status_code, answer.json()["code"]) == (403, "approval_needed")
    await service.ledger.approvals.approve(ANN, answer.json()["approvalId"])
    await until_state(service, answer.json()["approvalId"], "spent")

    async def answered() -> Any:
        return await service.change(address, NOBODY, key="once")

    assert entry(await until(answered, lambda found: found.status_code != 409))["blockType"] == "CHANGE"


async def test_nothing_is_signed_for_a_token_that_was_revoked_meanwhile(
    service: AttoService, account: str
) -> None:
    made = await service.ledger.tokens.create(OPERATOR, "shop", ["atto:send"])
    headers = {"Authorization": f"Bearer {made.secret}"}
    answer = await service.client.post(
        f"/wallets/accounts/{account}/transactions/SEND",
        json={"receiverAddress": NOBODY, "amount": 5 * ATTO},
        headers=headers,
    )
    waiting = answer.json()["approvalId"]
    assert (await service.ledger.approvals.show(waiting)).principal.name == "token:shop"
    await service.ledger.tokens.revoke(OPERATOR, made.id)
    await service.ledger.approvals.approve(ANN, waiting)
    failed = await until_state(service, waiting, "failed")
    assert failed["reason"] == "The API token was revoked"
    assert (await service.details(account) or {})["balance"] == 50 * ATTO


async def test_what_is_frozen_is_paid_when_it_is_unfrozen(service: AttoService, account: str) -> None:
    waiting = await wait(service, account, 5 * ATTO)
    await service.ledger.rules.freeze(OPERATOR, FreezeScope.LEDGER, "", "a theft")
    await service.ledger.approvals.approve(ANN, waiting)
    path = f"/wallets/accounts/transactions/approvals/{waiting}"
    held = await until(lambda: service.get(path), lambda body: body["reason"] is not None)
    assert (held["state"], held["reason"]) == (
        "approved",
        "Nothing is signed: the ledger is frozen (a theft)",
    )
    await service.ledger.rules.unfreeze(OPERATOR, FreezeScope.LEDGER, "")
    await until_state(service, waiting, "spent")
    await service.until_balance(account, 45 * ATTO)


async def test_an_unknown_approval_is_not_found(service: AttoService) -> None:
    answer = await service.client.get("/wallets/accounts/transactions/approvals/nothing")
    assert_refused(answer, 404, "No request waits or waited as nothing", "approval_not_found")
