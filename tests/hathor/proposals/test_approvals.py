"""Transactions that people must approve before they are broadcast, as a wallet meets them."""

import json

import pytest
from sqlalchemy import select

from strongroom.core.errors import Conflict
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.approvals.approval import Approval, ApprovalState
from strongroom.core.intents import tables as intents
from strongroom.core.intents.payments import Payments
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.tables import audit
from strongroom.hathor.proposals.broadcast_policy import VOCABULARY
from strongroom.hathor.proposals.sweeper import LIFE_S
from strongroom.hathor.protocol.transactions import Transaction
from support.clock import SeededEntropy
from support.hathor.api import APPROVAL_S
from support.hathor.proposals import Client, payment
from support.trail import open_trail
from support.waiting import eventually

pytestmark = pytest.mark.anyio
ANN = Principal(name="token:ann", scopes=frozenset({"hathor:approve"}))
RULE = {"effect": "approve", "approvals": {"needed": 1}, "limit": {"amount_raw": "400"}}


@pytest.fixture(autouse=True)
async def rules(client: Client) -> None:
    clock = client.api.clock
    rules = GuardAdministration(
        client.api.database,
        Audit(clock, open_trail()),
        clock,
        SeededEntropy(),
        vocabulary=VOCABULARY,
        loosening_delay_ms=0,
    )
    await rules.add(OPERATOR, "large", json.dumps(RULE))


async def wait(client: Client, identifier: str, transaction: Transaction) -> str:
    """The id under which it waits."""
    status, body = await client.send(identifier, transaction)
    assert (status, body["success"], body["error"]) == (403, False, "approval-needed")
    approval: str = body["approvalId"]
    assert approval in body["details"][0]["message"]
    return approval


async def carry_out(client: Client) -> None:
    await client.api.carrying_out.advance()


async def pushed(client: Client, *transactions: Transaction) -> None:
    """These and no others, once each."""
    await eventually(lambda: len(client.node.pushed) >= len(transactions))
    assert client.node.pushed == [transaction.encode() for transaction in transactions]


async def found(client: Client, approval: str) -> Approval:
    return await client.api.approvals.show(approval)


async def test_what_is_approved_is_sent_without_its_wallet(client: Client) -> None:
    small = payment(0, value=300)
    assert (await client.send(await client.propose(small), small))[0] == 200
    transaction = payment(1)
    identifier = await client.propose(transaction)
    waiting = await wait(client, identifier, transaction)
    assert await wait(client, identifier, transaction) == waiting
    await carry_out(client)
    await pushed(client, small)
    await client.api.approvals.approve(ANN, waiting)
    await carry_out(client)
    await carry_out(client)
    await pushed(client, small, transaction)
    spent = await found(client, waiting)
    assert (spent.state, spent.payload_id) == (ApprovalState.SPENT, bytes.fromhex(transaction.id))
    payments = Payments("hathor", client.api.database, client.api.clock)
    released = [await payments.get(bytes.fromhex(each.id)) for each in (transaction, small)]
    assert [(each.approval, "approval" in each.details) for each in released] == [
        (waiting, False),
        (None, False),
    ]
    assert (await client.send(identifier, transaction))[0] == 200
    await pushed(client, small, transaction)
    rows = await client.api.database.fetch_all(select(intents.intent.c.id))
    assert {bytes(row.id).hex() for row in rows} == {small.id, transaction.id}


async def test_a_wallet_that_sends_again_sends_it_itself(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    waiting = await wait(client, identifier, transaction)
    await client.api.approvals.approve(ANN, waiting)
    assert (await client.send(identifier, transaction))[0] == 200
    await carry_out(client)
    await pushed(client, transaction)
    assert (await found(client, waiting)).state is ApprovalState.SPENT


async def test_an_approval_is_of_exactly_the_transaction_that_waits(client: Client) -> None:
    """The same payment, mined or signed again, is another transaction."""
    transaction, again = payment(1), payment(1, weight=9.0)
    identifier = await client.propose(transaction)
    waiting = await wait(client, identifier, transaction)
    other = await wait(client, identifier, again)
    assert other != waiting
    await client.api.approvals.approve(ANN, waiting)
    assert await wait(client, identifier, again) == other
    await carry_out(client)
    await client.api.approvals.approve(ANN, other)
    await carry_out(client)
    failed = await found(client, other)
    assert (failed.state, failed.reason) == (
        ApprovalState.FAILED,
        "The proposal is refused: tx-proposal-not-open",
    )
    await pushed(client, transaction)


async def test_what_is_refused_is_not_sent(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    waiting = await wait(client, identifier, transaction)
    await client.api.approvals.refuse(ANN, waiting, "not this month")
    await carry_out(client)
    assert client.node.pushed == []
    assert await client.status(identifier) == "open"
    assert await wait(client, identifier, transaction) != waiting


async def test_a_proposal_keeps_its_outputs_while_its_transaction_waits(client: Client) -> None:
    transaction, idle = payment(1), payment(0)
    identifier, left = await client.propose(transaction), await client.propose(idle)
    waiting = await wait(client, identifier, transaction)
    client.api.clock.advance(LIFE_S + 1)
    await client.sweep().sweep()
    assert [await client.status(each) for each in (identifier, left)] == ["open", "cancelled"]
    await client.api.approvals.approve(ANN, waiting)
    await carry_out(client)
    await pushed(client, transaction)


async def test_after_its_time_a_request_holds_nothing(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    waiting = await wait(client, identifier, transaction)
    client.api.clock.advance(APPROVAL_S)
    await client.sweep().sweep()
    assert await client.status(identifier) == "cancelled"
    await carry_out(client)
    assert (await found(client, waiting)).state is ApprovalState.EXPIRED
    assert client.node.pushed == []


async def test_nobody_is_asked_about_a_proposal_that_its_wallet_gave_up(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    waiting = await wait(client, identifier, transaction)
    other = payment(0)
    still_waiting = await wait(client, await client.propose(other), other)
    assert (await client.ask("DELETE", f"/tx/proposal/{identifier}"))[0] == 200
    failed = await found(client, waiting)
    assert (failed.state, failed.reason) == (ApprovalState.FAILED, "The proposal was given up")
    assert [each.id for each in await client.api.approvals.list()] == [still_waiting]
    rows = await client.api.database.fetch_all(select(audit.c.action, audit.c.subject))
    assert [(row.action, row.subject) for row in rows if row.subject == waiting] == [
        ("approval.ask", waiting),
        ("approval.failed", waiting),
    ]
    with pytest.raises(Conflict):
        await client.api.approvals.approve(ANN, waiting)
    await carry_out(client)
    assert client.node.pushed == []
