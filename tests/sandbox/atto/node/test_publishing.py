"""Publishing: confirmation, refusal, repetition and rivalry."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from strongroom.atto.protocol import MAX_SUPPLY_RAW, Network, encode_transaction
from strongroom_sandbox.atto import AttoSandbox, Chain
from support.atto_account import account
from support.atto_sandbox import JSON, SandboxNode, running
from support.clock import ManualClock
from support.waiting import eventually

pytestmark = pytest.mark.anyio
ALICE, BOB, CAROL = account(1), account(2), account(3)


@pytest.fixture
async def slow_node(clock: ManualClock) -> AsyncIterator[SandboxNode]:
    """Its elections take ten seconds of the manual clock."""
    async with running(AttoSandbox(Chain(), clock, confirmation_delay_ms=10_000)) as node:
        yield node


def message(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["message"]


async def test_answer_is_the_confirmed_transaction(node: SandboxNode) -> None:
    opening = ALICE.open(await node.fund(ALICE))
    response = await node.publish(opening)
    assert (response.status_code, response.content) == (200, encode_transaction(opening))
    assert response.headers["content-type"] == "application/json"
    state = await node.state(ALICE)
    assert state is not None
    assert state.frontier == opening.hash


async def test_streamed_answer_is_one_line(node: SandboxNode) -> None:
    opening = ALICE.open(await node.fund(ALICE))
    response = await node.publish(opening, "/transactions/stream")
    assert (response.status_code, response.content) == (200, encode_transaction(opening) + b"\n")
    assert response.headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize("path", ["/transactions", "/transactions/stream"])
async def test_refusal_names_its_reason(node: SandboxNode, path: str) -> None:
    opening = ALICE.open(replace(await node.fund(ALICE), hash=bytes(32)))
    assert message(await node.publish(opening, path)) == (
        400,
        f"Transaction rejected due to RECEIVABLE_NOT_FOUND: There is no receivable {bytes(32).hex()}",
    )


async def test_what_is_invalid_by_itself_is_refused_without_a_reason(node: SandboxNode) -> None:
    opening = ALICE.open(await node.fund(ALICE))
    forged = replace(opening, signature=bytes(64))
    assert message(await node.publish(forged)) == (400, "Invalid transaction")


async def test_transaction_of_another_network_is_refused(
    node: SandboxNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = ALICE.open(await node.fund(ALICE))
    foreign = replace(opening, block=replace(opening.block, network=Network.DEV))
    monkeypatch.setattr("strongroom_sandbox.atto.chain.chain.validate_transaction", lambda *_, **__: None)
    assert message(await node.publish(foreign)) == (400, "Invalid transaction network")


async def test_unreadable_transaction_is_refused(node: SandboxNode) -> None:
    response = await node.client.post("/transactions", content=b'{"block":{}}', headers=JSON)
    assert message(response) == (400, "Failed to read HTTP message")


async def test_amount_above_the_supply_is_the_nodes_own_error(node: SandboxNode) -> None:
    sending = ALICE.send(await node.open(ALICE), BOB.address, 999)
    body = encode_transaction(sending).replace(b'"amount":999', b'"amount":%d' % (MAX_SUPPLY_RAW + 1))
    response = await node.client.post("/transactions", content=body, headers=JSON)
    assert response.status_code == 500


async def test_frontier_is_acknowledged_again(node: SandboxNode) -> None:
    sending = ALICE.send(await node.open(ALICE), BOB.address, 400)
    answers = [await node.publish(sending) for _ in range(2)]
    assert [answer.content for answer in answers] == [encode_transaction(sending)] * 2
    assert len(node.sandbox.chain.transactions(ALICE.public_key, 1, 9)) == 2


async def test_older_transaction_is_found_only_with_deduplicate(node: SandboxNode) -> None:
    opening = ALICE.open(await node.fund(ALICE))
    await node.publish(opening)
    refused = await node.publish(opening)
    found = await node.publish(opening, "/transactions?deduplicate=true")
    streamed = await node.publish(opening, "/transactions/stream?deduplicate=true")
    assert (refused.status_code, found.status_code, streamed.status_code) == (400, 200, 200)
    assert found.content + b"\n" == streamed.content == encode_transaction(opening) + b"\n"


async def test_publisher_waits_for_the_confirmation(slow_node: SandboxNode, clock: ManualClock) -> None:
    opening = ALICE.open(await slow_node.fund(ALICE))
    publishing = asyncio.create_task(slow_node.publish(opening))
    assert await clock.sleepers() == [10.0]
    assert await slow_node.state(ALICE) is None
    assert not publishing.done()
    clock.advance(10)
    assert (await publishing).status_code == 200


async def test_elections_of_different_accounts_run_side_by_side(
    slow_node: SandboxNode, clock: ManualClock
) -> None:
    openings = [owner.open(await slow_node.fund(owner)) for owner in (ALICE, BOB, CAROL)]
    clock.advance(1)
    publishing = [asyncio.create_task(slow_node.publish(opening)) for opening in openings]
    assert await clock.sleepers(3) == [10.0, 10.0, 10.0]
    clock.advance(10)
    assert [(await task).status_code for task in publishing] == [200, 200, 200]


async def test_same_transaction_published_twice_is_one_election(
    slow_node: SandboxNode, clock: ManualClock
) -> None:
    opening = ALICE.open(await slow_node.fund(ALICE))
    publish = slow_node.sandbox.node.elections.publish
    publishing = [asyncio.create_task(publish(opening, deduplicate=again)) for again in (False, True, False)]
    assert await clock.sleepers() == [10.0]
    clock.advance(10)
    assert await asyncio.gather(*publishing) == [opening] * 3


async def elections(node: SandboxNode, count: int) -> None:
    """Waits until so many transactions are being decided."""
    await eventually(lambda: len(node.sandbox.node.elections._running) == count)


async def test_first_of_two_blocks_for_one_slot_wins(slow_node: SandboxNode, clock: ManualClock) -> None:
    slow_node.sandbox.node.faults.confirmation_delay_ms = 0
    state = await slow_node.open(ALICE)
    slow_node.sandbox.node.faults.clear()
    winner, loser = ALICE.send(state, BOB.address, 400), ALICE.send(state, CAROL.address, 500)
    first = asyncio.create_task(slow_node.publish(winner))
    await clock.sleepers()
    second = asyncio.create_task(slow_node.publish(loser))
    await elections(slow_node, 2)
    clock.advance(10)
    assert (await first).status_code == 200
    assert message(await second) == (
        400,
        "Transaction rejected due to OLD_TRANSACTION: The account has 2 blocks, number 2 is decided",
    )
    assert [item.hash for item in slow_node.sandbox.chain.transactions(ALICE.public_key, 2, 2)] == [
        winner.hash
    ]


async def test_block_waits_for_the_election_of_its_previous(
    slow_node: SandboxNode, clock: ManualClock
) -> None:
    slow_node.sandbox.node.faults.confirmation_delay_ms = 0
    state = await slow_node.open(ALICE)
    slow_node.sandbox.node.faults.clear()
    first = ALICE.send(state, BOB.address, 400)
    after = replace(state, height=2, balance=600, frontier=first.hash, timestamp_ms=first.block.timestamp)
    second = ALICE.send(after, BOB.address, 100)
    publishing = [asyncio.create_task(slow_node.publish(first))]
    await clock.sleepers()
    publishing.append(asyncio.create_task(slow_node.publish(second)))
    await elections(slow_node, 2)
    for _ in range(2):
        assert await clock.sleepers() == [10.0]
        clock.advance(10)
    assert [(await task).status_code for task in publishing] == [200, 200]


async def test_election_goes_on_when_its_publisher_leaves(slow_node: SandboxNode, clock: ManualClock) -> None:
    opening = ALICE.open(await slow_node.fund(ALICE))
    publishing = asyncio.create_task(slow_node.publish(opening))
    await clock.sleepers()
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    async with slow_node.get_lines(f"/transactions/{opening.hash.hex()}/stream") as lines:
        clock.advance(10)
        assert len(await lines.rest()) == 1


async def test_publisher_is_sent_away_when_nothing_is_decided(clock: ManualClock) -> None:
    sandbox = AttoSandbox(Chain(), clock, confirmation_delay_ms=10_000, reply_timeout_s=0.05)
    async with running(sandbox) as node:
        opening = ALICE.open(await node.fund(ALICE))
        assert message(await node.publish(opening)) == (500, "Timed out waiting for 50 ms")
        clock.advance(10)
        answer = await node.publish(opening, "/transactions?deduplicate=true")
        assert answer.status_code == 200


async def test_many_accounts_publish_at_once(node: SandboxNode) -> None:
    owners = [account(number) for number in range(10, 40)]
    openings = [owner.open(await node.fund(owner)) for owner in owners]
    answers = await asyncio.gather(*(node.publish(opening) for opening in openings))
    assert {answer.status_code for answer in answers} == {200}
