"""What the node says of transactions that are being sent, of each by itself."""

import asyncio

import pytest

from strongroom.core.errors import Unavailable
from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected, Unknown
from strongroom.hathor.gateway.push import Presence
from strongroom.hathor.proposals.broadcaster import (
    GRACE_S,
    NEVER_ARRIVED,
    PUSH_WINDOW_S,
    TransactionNetwork,
)
from strongroom.hathor.proposals.store import SEND_ERROR, SENDING, SENT
from support.clock import ManualClock
from support.waiting import eventually

pytestmark = pytest.mark.anyio


class Node:
    """Has what is in `live`; is silent about what is in `silent`, until `may_answer`."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.away: set[str] = set()
        self.silent: set[str] = set()
        self.may_answer = asyncio.Event()
        self.asked: list[str] = []

    async def push(self, raw: bytes) -> str | None:
        raise AssertionError(raw)

    async def presence(self, tx_id: str) -> Presence:
        self.asked.append(tx_id)
        if tx_id in self.silent:
            await self.may_answer.wait()
        if tx_id in self.away:
            raise Unavailable("The node does not answer")
        return Presence.LIVE if tx_id in self.live else Presence.ABSENT


def sent(number: int, clock: ManualClock, *, age_s: float = 0.0) -> Intent:
    return Intent(
        id=bytes([number] * 32),
        account="wallet",
        slot=bytes([number]),
        kind="TRANSACTION",
        payload=b"raw",
        principal="wallet:w",
        request="{}",
        stage=SENDING,
        created_at_ms=clock.now_ms() - round(age_s * 1000),
    )


async def test_each_transaction_has_its_own_verdict(clock: ManualClock) -> None:
    node = Node()
    young, there, unclear = (sent(number, clock) for number in (1, 2, 3))
    node.live.add(there.id.hex())
    node.away.add(unclear.id.hex())
    verdicts = await TransactionNetwork(node, clock).follow([young, there, unclear])
    assert isinstance(verdicts[young.id], Unknown)
    assert verdicts[there.id] == Accepted(stage=SENT)
    assert verdicts[unclear.id] == Pending(stage=SENDING, trouble="The node does not answer")


async def test_late_transactions_that_are_asked_about_in_turn_fail_all_the_same(clock: ManualClock) -> None:
    """A question about one says nothing of how long another was absent."""
    network = TransactionNetwork(Node(), clock)
    one, other = (sent(number, clock, age_s=PUSH_WINDOW_S + 1) for number in (1, 2))
    for intent in (one, other):
        assert isinstance((await network.follow([intent]))[intent.id], Pending)
    clock.advance(GRACE_S / 2)
    for intent in (one, other):
        assert isinstance((await network.follow([intent]))[intent.id], Pending)
    clock.advance(GRACE_S / 2)
    for intent in (one, other):
        failed = Rejected(reason=NEVER_ARRIVED, stage=SEND_ERROR)
        assert (await network.follow([intent]))[intent.id] == failed


async def test_a_question_without_an_answer_keeps_no_other_transaction_waiting(clock: ManualClock) -> None:
    node = Node()
    stuck, there = sent(1, clock), sent(2, clock)
    node.silent.add(stuck.id.hex())
    node.live.add(there.id.hex())
    following = asyncio.ensure_future(TransactionNetwork(node, clock).follow([stuck, there]))
    await eventually(lambda: there.id.hex() in node.asked)
    node.may_answer.set()
    verdicts = await following
    assert isinstance(verdicts[stuck.id], Unknown)
    assert verdicts[there.id] == Accepted(stage=SENT)
