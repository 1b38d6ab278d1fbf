"""What the node says of transactions that are being sent, of each by itself."""

import asyncio

import pytest

from strongroom.core.errors import Unavailable
from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected, Unknown
from strongroom.hathor.gateway.push import Presence
from strongroom.hathor.proposals.broadcaster import (
    GRACE_S,
    NEVER_ARRIVED,
    PACE,
    PUSH_WINDOW_S,
    TransactionNetwork,
)
from strongroom.hathor.proposals.store import SENDING
from strongroom.hathor.tables import SEND_ERROR, SENT
from support.clock import ManualClock
from support.waiting import eventually

pytestmark = pytest.mark.anyio


class Node:
    """Has what is in `live`; is silent about what is in `silent`, until `may_answer`; refuses every push."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.away: set[str] = set()
        self.silent: set[str] = set()
        self.may_answer = asyncio.Event()
        self.asked: list[str] = []
        self.pushed: list[bytes] = []

    async def push(self, raw: bytes) -> str | None:
        self.pushed.append(raw)
        return REFUSAL

    async def presence(self, tx_id: str) -> Presence:
        self.asked.append(tx_id)
        if tx_id in self.silent:
            await self.may_answer.wait()
        if tx_id in self.away:
            raise Unavailable("The node does not answer")
        return Presence.LIVE if tx_id in self.live else Presence.ABSENT


REFUSAL = "A parent does not exist"


def sent(
    number: int, clock: ManualClock, *, age_s: float = 0.0, attempts: int = 1, is_new: bool = False
) -> Intent:
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
        attempts=attempts,
        is_new=is_new,
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
        failed = Rejected(reason=NEVER_ARRIVED, stage=SEND_ERROR, if_unshared=True, is_presumed=True)
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


async def test_a_refusal_of_the_only_push_counts_at_once(clock: ManualClock) -> None:
    verdict = await TransactionNetwork(Node(), clock).offer(sent(1, clock, is_new=True))
    assert verdict == Rejected(reason=REFUSAL, stage=SEND_ERROR, if_unshared=True)


async def test_a_refusal_after_a_push_without_an_answer_counts_when_nothing_arrives_late(
    clock: ManualClock,
) -> None:
    node = Node()
    network, intent = TransactionNetwork(node, clock), sent(1, clock, attempts=2)
    assert isinstance(await network.offer(intent), Pending)
    clock.advance(GRACE_S / 2)
    assert isinstance((await network.follow([intent]))[intent.id], Pending)
    clock.advance(GRACE_S / 2)
    failed = Rejected(reason=REFUSAL, stage=SEND_ERROR, if_unshared=True, is_presumed=True)
    assert (await network.follow([intent]))[intent.id] == failed
    node.live.add(intent.id.hex())
    assert (await network.follow([intent]))[intent.id] == Accepted(stage=SENT)


async def test_another_push_begins_the_absence_anew(clock: ManualClock) -> None:
    """Also when another process made it: this one learns of it by the count."""
    network = TransactionNetwork(Node(), clock)
    late = PUSH_WINDOW_S + 1
    assert isinstance((await network.follow([sent(1, clock, age_s=late)]))[bytes([1] * 32)], Pending)
    clock.advance(GRACE_S)
    pushed_again = sent(1, clock, age_s=late, attempts=2)
    assert isinstance((await network.follow([pushed_again]))[pushed_again.id], Pending)


@pytest.mark.parametrize(("age_s", "is_new"), [(PUSH_WINDOW_S + 1, False), (PACE.own_s + 1, True)])
async def test_a_process_that_stood_still_too_long_pushes_nothing(
    clock: ManualClock, age_s: float, is_new: bool
) -> None:
    """Another one has taken the transaction up meanwhile, and may have called it failed."""
    node = Node()
    verdict = await TransactionNetwork(node, clock).offer(sent(1, clock, age_s=age_s, is_new=is_new))
    assert (isinstance(verdict, Unknown), node.pushed) == (True, [])
