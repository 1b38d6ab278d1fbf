"""Whatever becomes of an answer: a transaction that may be out is never called failed, and is sent once."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import Connection

from strongroom.core.intents.intent import Accepted, Intent, Outcome, Rejected
from strongroom.core.intents.store import count_attempt, record_accepted, record_rejected
from strongroom.hathor.gateway.push import NotDelivered
from strongroom.hathor.maintenance.deletion import delete_wallet
from strongroom.hathor.proposals.broadcaster import GRACE_S, NEVER_ARRIVED, PUSH_WINDOW_S, result_of
from strongroom.hathor.proposals.store import (
    begin_broadcast,
    finish_broadcast,
)
from strongroom.hathor.proposals.submitter import WAIT_S
from strongroom.hathor.proposals.sweeper import LIFE_S, UNSEEN_S
from strongroom.hathor.protocol.transactions import Transaction
from strongroom.hathor.tables import OPEN, SEND_ERROR, SENT
from support.clock import ManualClock
from support.hathor.api import WALLET_ID
from support.hathor.proposals import Client, admit_any, payment
from support.hathor.running import until
from support.sql import execute
from support.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.anyio


async def _let_it_try(clock: ManualClock) -> None:
    await clock.sleepers()
    clock.advance(15)


async def test_the_answer_is_lost_and_the_node_has_it(client: Client, clock: ManualClock) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [client.node.lose_answer]
    asked = asyncio.ensure_future(client.send(identifier, transaction))
    await _let_it_try(clock)
    assert (await asked)[0] == 200
    assert client.node.pushed == [transaction.encode()]


async def test_the_push_is_lost_and_goes_out_again(client: Client, clock: ManualClock) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [client.node.lose_push]
    asked = asyncio.ensure_future(client.send(identifier, transaction))
    await _let_it_try(clock)
    assert (await asked)[0] == 200
    assert client.node.pushed == [transaction.encode()] * 2


async def test_a_refusal_of_what_the_node_has_is_none(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)

    def exists(raw: bytes) -> str:
        client.node.take(raw)
        return "Transaction already exists"

    client.node.answers = [exists]
    assert (await client.send(identifier, transaction))[0] == 200


async def test_a_node_that_is_away_got_nothing(client: Client) -> None:
    """Nothing left the service: other bytes may be sent, or none, and another proposal may spend the same."""
    transaction = payment(1)
    identifier = await client.propose(transaction)

    def gone(_raw: bytes) -> str:
        raise NotDelivered("gone in the meantime")

    client.node.answers = [gone]
    status, body = await client.send(identifier, transaction)
    assert (status, body["error"]) == (503, "fullnode-unavailable")
    assert await client.status(identifier) == "send_error"
    assert 1 in await client.offered()
    assert (await client.send(identifier, payment(1, weight=9.0)))[0] == 200
    assert (await client.status(identifier)) == "sent"


async def test_two_clients_at_once_meet_a_node_that_is_away(client: Client) -> None:
    """Both are told so at once: none of them waits for the other's doubt."""
    transaction = payment(1)
    identifier = await client.propose(transaction)
    second_came = asyncio.Event()

    async def connect(raw: bytes) -> str | None:
        client.node.pushed.append(raw)
        await second_came.wait()
        raise NotDelivered("gone in the meantime")

    client.node.push = connect  # type: ignore[method-assign]
    first = asyncio.ensure_future(client.send(identifier, transaction))
    await eventually(lambda: bool(client.node.pushed))
    second = asyncio.ensure_future(client.send(identifier, transaction))
    await eventually(lambda: client.api.broadcaster.joined == 1)
    second_came.set()
    async with asyncio.timeout(PATIENCE_S):
        answers = [await first, await second]
    assert [(status, body["error"]) for status, body in answers] == [(503, "fullnode-unavailable")] * 2
    assert await client.status(identifier) == "send_error"
    assert (len(client.node.pushed), 1 in await client.offered()) == (1, True)


async def test_who_waits_too_long_is_told_that_nobody_knows(client: Client, clock: ManualClock) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [client.node.lose_push]
    asked = asyncio.ensure_future(client.send(identifier, transaction))
    await clock.sleepers()
    client.api.submitter.drain()
    status, body = await asked
    assert (status, body["error"]) == (504, "tx-proposal-pending")
    assert WAIT_S < 60  # the client's patience
    other = await client.send(identifier, payment(1, weight=9.0))
    assert other == (400, {"success": False, "error": "tx-proposal-not-open", "status": "sending"})
    given_up = await client.ask("DELETE", f"/tx/proposal/{identifier}")
    assert given_up == (400, {"success": False, "error": "tx-proposal-not-open"})
    clock.advance(15)
    await until(client.api.database, lambda c: _status(c) == SENT)


async def test_what_a_dead_process_was_sending_is_taken_up(client: Client, clock: ManualClock) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    clock.advance(LIFE_S - 20)
    await client.api.database.write(_begin(identifier, transaction, clock))  # and then it died
    clock.advance(20)
    await client.sweep().sweep()
    await until(client.api.database, lambda c: _status(c) == SENT)
    assert client.node.pushed == [transaction.encode()]


def _status(connection: Connection) -> str:
    found: str = execute(connection, "SELECT status FROM tx_proposal")[0][0]
    return found


async def test_too_late_it_is_not_pushed_again(client: Client, clock: ManualClock) -> None:
    """Nobody waits for the payment any more: the node is only asked, and only its second no counts."""
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [client.node.lose_push] * 2
    asked = asyncio.ensure_future(client.send(identifier, transaction))
    await clock.sleepers()
    clock.advance(PUSH_WINDOW_S + 1)
    await clock.sleepers()
    assert await client.status(identifier) == "open"
    clock.advance(GRACE_S)
    status, body = await asked
    assert (status, body["error"], body["message"]) == (400, "tx-proposal-send-error", NEVER_ARRIVED)
    assert len(client.node.pushed) == 1
    assert 1 in await client.offered()


async def test_who_meets_no_node_does_not_call_off_what_another_may_have_delivered(
    client: Client, clock: ManualClock
) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    database = client.api.database
    intent = await database.write(_begin(identifier, transaction, clock))
    assert intent is not None
    assert await database.write(partial(count_attempt, intent=intent)) is not None
    client.node.away = True
    task = client.api.broadcaster.resolve(intent)
    await clock.sleepers()
    assert await client.status(identifier) == OPEN
    client.node.away = False
    clock.advance(15)
    assert result_of((await task).intent).status == SENT
    assert await client.status(identifier) == SENT


async def test_that_one_node_took_it_outweighs_that_another_refused_it(
    client: Client, clock: ManualClock
) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    database = client.api.database
    intent = await database.write(_begin(identifier, transaction, clock))
    assert intent is not None

    def store(connection: Connection, outcome: Outcome) -> bool:
        is_sent = outcome is Outcome.ACCEPTED
        finish_broadcast(connection, intent, is_sent=is_sent, now_s=1)
        if is_sent:
            return record_accepted(connection, intent, Accepted(stage=SENT), 1) is not None
        return record_rejected(connection, intent, Rejected(reason="no", stage=SEND_ERROR), 1) is not None

    assert await database.write(partial(store, outcome=Outcome.REJECTED))
    assert await client.status(identifier) == SEND_ERROR
    assert await database.write(partial(store, outcome=Outcome.ACCEPTED))
    assert await client.status(identifier) == SENT
    assert not await database.write(partial(store, outcome=Outcome.REJECTED))
    assert await client.status(identifier) == SENT
    assert await client.rows_beside() == 0


async def test_what_went_out_for_an_earlier_proposal_is_sent_for_the_next_one_too(
    client: Client, clock: ManualClock
) -> None:
    """The first was thought lost, and its outputs were free: a wallet proposed the same transaction again."""
    transaction = payment(1)
    first = await client.propose(transaction)
    database = client.api.database
    intent = await database.write(_begin(first, transaction, clock))
    assert intent is not None

    def refuse(connection: Connection) -> None:
        finish_broadcast(connection, intent, is_sent=False, now_s=1)
        record_rejected(connection, intent, Rejected(reason="no", stage=SEND_ERROR), 1)

    def find(connection: Connection) -> None:
        finish_broadcast(connection, intent, is_sent=True, now_s=1)
        assert record_accepted(connection, intent, Accepted(stage=SENT), 1) is not None

    await database.write(refuse)
    second = await client.propose(transaction)
    await database.write(find)
    assert (await client.status(first), await client.status(second)) == (SENT, OPEN)
    assert (await client.send(second, transaction))[0] == 200
    assert await client.status(second) == SENT
    assert client.node.pushed == []
    assert 1 not in await client.offered(), "it is held until the chain shows it spent"
    client.node.take(transaction.encode())
    clock.advance(UNSEEN_S + 1)
    await client.sweep().sweep()
    assert await client.status(second) == SENT


def _begin(identifier: str, transaction: Transaction, clock: ManualClock) -> partial[Intent | None]:
    return partial(
        begin_broadcast,
        proposal_id=identifier,
        wallet_id=WALLET_ID,
        raw=transaction.encode(),
        tx_id=transaction.id,
        now_ms=clock.now_ms(),
        admit=admit_any,
    )


async def test_of_different_bytes_at_once_one_goes_out(client: Client) -> None:
    identifier = await client.propose(payment(1))
    variants = [payment(1, weight=8.0 + step / 10) for step in range(8)]
    answers = await asyncio.gather(*(client.send(identifier, each) for each in variants))
    assert sorted(status for status, _ in answers) == [200] + [400] * 7
    assert {body["status"] for status, body in answers if status == 400} <= {"sending", "sent"}
    assert len(set(client.node.pushed)) == 1


async def test_what_is_given_up_while_it_is_sent(client: Client) -> None:
    """One of both wins, and both are told so."""
    for _ in range(5):
        transaction = payment(0)
        identifier = await client.propose(transaction)
        sent, given_up = await asyncio.gather(
            client.send(identifier, transaction), client.ask("DELETE", f"/tx/proposal/{identifier}")
        )
        assert sorted((sent[0], given_up[0])) == [200, 400]
        if sent[0] == 200:
            assert await client.status(identifier) == "sent"
            return
        assert await client.status(identifier) == "cancelled"
    assert client.node.pushed == []


async def test_what_expires_while_it_is_sent(client: Client, clock: ManualClock) -> None:
    """It went out, or it is cancelled and did not."""
    for _ in range(5):
        transaction = payment(0)
        identifier = await client.propose(transaction)
        clock.advance(LIFE_S)
        (status, body), _ = await asyncio.gather(client.send(identifier, transaction), client.sweep().sweep())
        if status == 200:
            assert await client.status(identifier) == "sent"
            assert client.node.pushed == [transaction.encode()]
            return
        assert (status, body["error"], body["status"]) == (400, "tx-proposal-not-open", "cancelled")
        assert (client.node.pushed, 0 in await client.offered()) == ([], True)


async def test_a_wallet_that_is_deleted_while_it_sends(client: Client, clock: ManualClock) -> None:
    """The payment goes out, or nobody holds anything for it after its five minutes."""
    transaction = payment(0)
    identifier = await client.propose(transaction)
    (status, body), _ = await asyncio.gather(
        client.send(identifier, transaction),
        client.api.database.write(lambda c: delete_wallet(c, WALLET_ID)),
    )
    if status == 200:
        assert await client.status(identifier) == "sent"
        return
    assert (status, body["error"]) in {(404, "wallet-not-found"), (400, "tx-proposal-no-match")}, body
    clock.advance(LIFE_S)
    await client.sweep().sweep()
    assert client.node.pushed == []
    assert await client.rows_beside() == 0
    marked = "SELECT COUNT(*) FROM tx_output WHERE tx_proposal IS NOT NULL"
    assert await client.api.database.read(lambda c: execute(c, marked)) == [(0,)]
