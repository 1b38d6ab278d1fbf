"""Who lost the answer sends the same bytes again, and gets the same answer; nothing goes out twice."""

import asyncio
from typing import Any

import pytest

from strongroom.core.intents.execution import ExecutionState
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentFilter, Payments
from strongroom.hathor.definition import LEDGER
from strongroom.hathor.gateway.push import Presence
from strongroom.hathor.proposals.sent import KEPT_S
from strongroom.hathor.proposals.sweeper import UNSEEN_S
from strongroom.hathor.protocol.transactions import Transaction
from support.clock import ManualClock
from support.hathor.proposals import FUNDS, NOW_S, Client, hexed, payment
from support.sql import execute
from support.waiting import eventually

pytestmark = pytest.mark.anyio

NOT_OPEN = (400, {"success": False, "error": "tx-proposal-not-open", "status": "sent"})


def sent(identifier: str, transaction: Transaction) -> tuple[int, dict[str, Any]]:
    return 200, {"success": True, "txProposalId": identifier, **hexed(transaction)}


async def confirm(client: Client, transaction: Transaction) -> None:
    """The chain shows it, and what sending needed is dropped."""
    row = "INSERT INTO `transaction` (tx_id, timestamp, version) VALUES ({}, {}, 1)"
    await client.api.database.write(lambda c: execute(c, row, transaction.id, NOW_S))
    spent = "UPDATE tx_output SET spent_by = {} WHERE tx_id = {} AND `index` = 1"
    await client.api.database.write(lambda c: execute(c, spent, transaction.id, FUNDS))
    await client.sweep().sweep()


async def failed_payments(client: Client) -> list[str]:
    """Ids of those that lists show as failed; the filter finds the same."""
    api = client.api
    payments = Payments("hathor", api.database, api.clock, LEDGER.executions())
    shown = await payments.page(PaymentFilter())
    assert {one.state for one in shown} == {Outcome.ACCEPTED}
    failed = [one for one in shown if one.execution is ExecutionState.FAILED]
    assert all(one.execution is None and one.reason is None for one in shown if one not in failed)
    assert all(one.reason is not None and "voided" in one.reason for one in failed)
    assert await payments.page(PaymentFilter(execution=ExecutionState.FAILED)) == failed
    assert await payments.page(PaymentFilter(execution=ExecutionState.SUCCEEDED)) == []
    return [one.id.hex() for one in failed]


async def test_the_same_bytes_get_the_same_answer_before_and_after_the_chain_shows_them(
    client: Client,
) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    assert await client.send(identifier, transaction) == sent(identifier, transaction)
    assert await client.send(identifier, transaction) == sent(identifier, transaction)
    await confirm(client, transaction)
    assert await client.rows_beside() == 0
    again = await asyncio.gather(*(client.send(identifier, transaction) for _ in range(5)))
    assert again == [sent(identifier, transaction)] * 5
    assert client.node.pushed == [transaction.encode()]


async def test_other_bytes_are_refused_as_ever(client: Client) -> None:
    transaction, heavier = payment(1), payment(1, weight=9.0)
    identifier = await client.propose(transaction)
    assert (await client.send(identifier, transaction))[0] == 200
    assert await client.send(identifier, heavier) == NOT_OPEN
    assert await client.send(identifier, payment(0)) == NOT_OPEN
    await confirm(client, transaction)
    assert await client.send(identifier, heavier) == NOT_OPEN
    sql = "UPDATE tx_proposal SET wallet_id = 'other' WHERE id = {}"
    await client.api.database.write(lambda c: execute(c, sql, identifier))
    assert await client.send(identifier, transaction) == (403, {"success": False, "error": "forbidden"})
    assert client.node.pushed == [transaction.encode()]


async def test_while_it_is_sent_the_same_bytes_wait_for_the_same_fate(
    client: Client, clock: ManualClock
) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [client.node.lose_answer]
    asked = [asyncio.ensure_future(client.send(identifier, transaction)) for _ in range(3)]
    await clock.sleepers(1)  # the answer was lost; the node is asked a moment later
    clock.advance(10)
    assert await asyncio.gather(*asked) == [sent(identifier, transaction)] * 3
    assert await client.send(identifier, transaction) == sent(identifier, transaction)
    assert client.node.pushed == [transaction.encode()]


async def test_what_is_on_its_way_is_not_refused_because_the_chain_has_changed_since(
    client: Client, clock: ManualClock
) -> None:
    """A reorganisation took back what it spends, and may bring it again: nobody knows, so nobody is told no."""
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [client.node.lose_answer]
    first = asyncio.ensure_future(client.send(identifier, transaction))
    await clock.sleepers(1)
    await client.api.database.write(lambda c: execute(c, "DELETE FROM tx_output WHERE tx_id = {}", FUNDS))
    again = asyncio.ensure_future(client.send(identifier, transaction))
    await eventually(lambda: client.api.broadcaster.joined == 1 or again.done())
    clock.advance(10)
    assert list(await asyncio.gather(first, again)) == [sent(identifier, transaction)] * 2
    assert client.node.pushed == [transaction.encode()]


async def test_after_a_refusal_the_node_is_asked_again(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [lambda _raw: "Too early", lambda _raw: "Too early"]
    refused = await client.send(identifier, transaction)
    assert (refused[0], refused[1]["error"]) == (400, "tx-proposal-send-error")
    assert await client.send(identifier, transaction) == refused
    assert await client.send(identifier, transaction) == sent(identifier, transaction)
    assert client.node.pushed == [transaction.encode()] * 3


async def test_what_was_held_for_refused_and_is_on_the_chain_all_the_same_was_sent(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [lambda _raw: "No"]
    assert (await client.send(identifier, transaction))[0] == 400
    await confirm(client, transaction)
    assert await client.send(identifier, payment(1, weight=9.0)) != sent(identifier, transaction)
    assert await client.send(identifier, transaction) == sent(identifier, transaction)
    assert await client.status(identifier) == "sent"
    assert client.node.pushed == [transaction.encode()]


async def test_what_the_chain_voided_is_not_told_to_be_sent_until_it_comes_back(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    assert (await client.send(identifier, transaction))[0] == 200
    await confirm(client, transaction)
    sql = "UPDATE `transaction` SET voided = {} WHERE tx_id = {}"
    await client.api.database.write(lambda c: execute(c, sql, 1, transaction.id))
    assert await client.send(identifier, transaction) == NOT_OPEN
    assert await failed_payments(client) == [transaction.id]
    await client.api.database.write(lambda c: execute(c, sql, 0, transaction.id))
    assert await failed_payments(client) == []
    assert await client.send(identifier, transaction) == sent(identifier, transaction)
    assert client.node.pushed == [transaction.encode()]


async def test_nothing_is_left_of_one_that_the_chain_voided_before_the_sweep_had_seen_it(
    client: Client,
) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    assert (await client.send(identifier, transaction))[0] == 200
    # So the sync does with the void.
    await client.api.database.write(lambda c: execute(c, "DELETE FROM strongroom_hathor_held_output"))
    assert await client.rows_beside() == 1
    await client.sweep().sweep()
    assert await client.rows_beside() == 0
    assert await client.status(identifier) == "sent"


async def test_what_another_transaction_has_displaced_is_lost_once_the_node_says_so(
    client: Client, clock: ManualClock
) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    assert (await client.send(identifier, transaction))[0] == 200
    spent = "UPDATE tx_output SET spent_by = {} WHERE tx_id = {} AND `index` = 1"
    await client.api.database.write(lambda c: execute(c, spent, "ee" * 32, FUNDS))
    clock.advance(UNSEEN_S)
    await client.sweep().sweep()  # the node still has it: nobody knows which of the two stays
    assert await client.send(identifier, transaction) == sent(identifier, transaction)
    client.node.has[transaction.id] = Presence.VOIDED
    assert client.lost == []
    await client.sweep().sweep()
    assert client.lost == [transaction.id]
    assert await client.send(identifier, transaction) == NOT_OPEN
    assert await client.rows_beside() == 0
    assert client.node.pushed == [transaction.encode()]


async def test_a_week_later_or_when_the_network_lost_it_nobody_is_told_that_it_was_sent(
    client: Client, clock: ManualClock
) -> None:
    seen, lost = payment(1), payment(0)
    identifiers = [await client.propose(each) for each in (seen, lost)]
    for identifier, transaction in zip(identifiers, (seen, lost), strict=True):
        assert (await client.send(identifier, transaction))[0] == 200
    await confirm(client, seen)
    del client.node.has[lost.id]
    clock.advance(UNSEEN_S)
    await client.sweep().sweep()
    assert await client.send(identifiers[1], lost) == NOT_OPEN
    assert await client.send(identifiers[0], seen) == sent(identifiers[0], seen)
    clock.advance(KEPT_S)
    await client.sweep().sweep()
    await client.announce()
    assert await client.send(identifiers[0], seen) == NOT_OPEN
