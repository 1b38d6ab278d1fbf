"""What counted as rejected and is on the chain all the same was paid: lists, webhooks and proposals say so."""

import json
from functools import partial

import pytest

from strongroom.core.intents.announcing import PaymentEvents
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentFilter, Payments
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.database import Database
from strongroom.hathor.gateway.push import Presence
from strongroom.hathor.proposals.broadcaster import PACE, Broadcaster, ProposalEffects, TransactionNetwork
from strongroom.hathor.proposals.returned import ReturnedPayments
from strongroom.hathor.proposals.sent import KEPT_S
from strongroom.hathor.proposals.store import lose_broadcast
from strongroom.hathor.proposals.sweeper import UNSEEN_S
from strongroom.hathor.protocol.transactions import Transaction
from support.clock import ManualClock, SeededEntropy
from support.hathor.proposals import NOW_S, Client, payment
from support.sql import execute
from support.webhooks.house import WebhookHouse

pytestmark = pytest.mark.anyio


@pytest.fixture
def house(client: Client, clock: ManualClock) -> WebhookHouse:
    return WebhookHouse(client.api.database, clock)


@pytest.fixture
def returned(client: Client, house: WebhookHouse) -> ReturnedPayments:
    api = client.api
    events = PaymentEvents("hathor", bytes.hex, house.announcer)
    broadcaster = Broadcaster(
        network=TransactionNetwork(client.node, api.clock),
        effects=events.around(ProposalEffects(api.clock, Metrics("test"))),
        database=api.database,
        clock=api.clock,
        entropy=SeededEntropy(),
        background=api.background,
        pace=PACE,
    )
    return ReturnedPayments(api.database, broadcaster, api.clock)


async def show(client: Client, transaction: Transaction, *, voided: int = 0) -> None:
    """The sync has it from the chain."""
    row = "INSERT INTO `transaction` (tx_id, timestamp, version, voided) VALUES ({}, {}, 1, {})"
    await client.api.database.write(lambda c: execute(c, row, transaction.id, NOW_S, voided))


async def states(client: Client) -> list[tuple[Outcome, str | None]]:
    found = await Payments("hathor", client.api.database, client.api.clock).page(PaymentFilter())
    return [(one.state, one.reason) for one in found]


async def kinds(database: Database) -> list[str]:
    """Of the events that wait for the endpoint."""
    rows = await database.read(
        lambda c: execute(c, "SELECT payload FROM strongroom_webhook_event ORDER BY id")
    )
    return [json.loads(row[0])["type"] for row in rows]


async def test_what_one_node_refused_and_the_chain_has_is_confirmed_without_being_asked(
    client: Client, house: WebhookHouse, returned: ReturnedPayments
) -> None:
    await house.add("payments", "http://127.0.0.1:1025/", kinds=["payment.confirmed"])
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [lambda _raw: "No"]
    assert (await client.send(identifier, transaction))[0] == 400
    await returned.look()
    ((state, reason),) = await states(client)
    assert (state, await kinds(client.api.database)) == (Outcome.REJECTED, [])
    assert reason is not None
    await show(client, transaction)
    await returned.look()
    await returned.look()
    assert await states(client) == [(Outcome.ACCEPTED, None)]
    assert await kinds(client.api.database) == ["payment.confirmed"]
    assert await client.status(identifier) == "sent"
    assert client.node.pushed == [transaction.encode()]


async def test_what_the_network_lost_and_has_again_is_told_once_more(
    client: Client, clock: ManualClock, house: WebhookHouse, returned: ReturnedPayments
) -> None:
    await house.add("payments", "http://127.0.0.1:1025/", kinds=["payment.confirmed"])
    transaction = payment(1)
    identifier = await client.propose(transaction)
    assert (await client.send(identifier, transaction))[0] == 200
    clock.advance(UNSEEN_S)
    client.node.has[transaction.id] = Presence.VOIDED
    await client.sweep().sweep()
    assert [state for state, _ in await states(client)] == [Outcome.REJECTED]
    await returned.look()
    assert [state for state, _ in await states(client)] == [Outcome.REJECTED]
    await show(client, transaction)
    for times in (1, 2):
        await returned.look()
        assert await states(client) == [(Outcome.ACCEPTED, None)]
        assert await kinds(client.api.database) == ["payment.confirmed"] * times
        clock.advance(1)
        now_ms = clock.now_ms()
        await client.api.database.write(partial(lose_broadcast, tx_id=transaction.id, now_ms=now_ms))


async def test_what_the_chain_has_voided_stays_rejected_and_so_does_what_is_older_than_a_week(
    client: Client, clock: ManualClock, returned: ReturnedPayments
) -> None:
    voided, old = payment(1), payment(0)
    client.node.answers = [lambda _raw: "No", lambda _raw: "No"]
    for transaction in (voided, old):
        assert (await client.send(await client.propose(transaction), transaction))[0] == 400
    await show(client, voided, voided=1)
    await returned.look()
    assert [state for state, _ in await states(client)] == [Outcome.REJECTED] * 2
    await show(client, old)
    clock.advance(KEPT_S + 1)
    await returned.look()
    assert [state for state, _ in await states(client)] == [Outcome.REJECTED] * 2


async def test_a_webhook_hears_of_it_although_the_client_had_sent_it_again_before(
    client: Client, house: WebhookHouse, returned: ReturnedPayments
) -> None:
    await house.add("payments", "http://127.0.0.1:1025/", kinds=["payment.confirmed"])
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [lambda _raw: "No"]
    assert (await client.send(identifier, transaction))[0] == 400
    await show(client, transaction)
    assert (await client.send(identifier, transaction))[0] == 200
    assert client.node.pushed == [transaction.encode()]
    await returned.look()
    assert await states(client) == [(Outcome.ACCEPTED, None)]
    assert await kinds(client.api.database) == ["payment.confirmed"]
