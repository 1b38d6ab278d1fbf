"""What the ledger refuses for good is given back to the windows of rules: once, and never while it may still arrive."""

import asyncio
import json
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select

from strongroom.core.coordination.spent import decode_spent
from strongroom.core.errors import Forbidden
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.intents.intent import Accepted, Intent, Outcome, Rejected
from strongroom.core.intents.signing import Signing
from strongroom.core.intents.store import (
    count_attempt,
    load_intent,
    record_accepted,
    record_rejected,
    reject_all,
)
from strongroom.core.intents.tables import intent as intent_table
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SigningGate
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.guarding import ADMIN, Guarded
from support.intents.example_ledger import Pay, open_accounts
from support.trail import open_trail

pytestmark = pytest.mark.anyio
HOUR_S = 3_600
LIMIT = 100
PROVEN = Rejected(reason="another took its place")
UNSHARED = Rejected(reason="the only node refused it", if_unshared=True)
PRESUMED = Rejected(reason="nobody has it", is_presumed=True)
Unit = Callable[[Connection], Any]


def rule(**parts: Any) -> dict[str, Any]:
    return {"effect": "deny", "limit": {"amount_raw": str(LIMIT), "seconds": HOUR_S, **parts}}


class Desk:
    """Signs payments of an account whose slots do not matter here, and notes what becomes of them."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock
        gate = SigningGate(Guard(clock, Default.ALLOW, key=open_trail()), Audit(clock, open_trail()))
        self.signing = Signing(
            "example", database=database, gate=gate, clock=clock, metrics=Metrics("counted")
        )
        self.rules = Guarded(database, clock)

    async def sign(self, account: str, amount: int, memo: str = "") -> Intent:
        return await self.signing.sign(Pay(account=account, amount=amount, memo=memo))

    async def note(self, unit: Unit) -> Any:
        return await self.database.write(unit)

    async def reject(self, intent: Intent, verdict: Rejected) -> Intent | None:
        now_ms = self.clock.now_ms()
        found: Intent | None = await self.note(
            partial(record_rejected, intent=intent, verdict=verdict, now_ms=now_ms)
        )
        return found

    async def accept(self, intent: Intent) -> Intent | None:
        now_ms = self.clock.now_ms()
        found: Intent | None = await self.note(
            partial(record_accepted, intent=intent, verdict=Accepted(), now_ms=now_ms)
        )
        return found

    async def held(self) -> tuple[int, int]:
        """Signatures and amount in all windows."""
        rows = await self.database.fetch_all(select(tables.window.c.spent))
        spent = [decode_spent(row.spent) for row in rows]
        return sum(each.signatures for each in spent), sum(each.amount for each in spent)


@pytest.fixture
async def desk(database: Database, clock: ManualClock) -> Desk:
    await open_accounts(database, "alice", "bob")
    return Desk(database, clock)


async def test_a_proven_refusal_is_given_back_once(desk: Desk) -> None:
    await desk.rules.add("hour", rule())
    intent = await desk.sign("alice", 80)
    assert await desk.held() == (1, 80)
    with pytest.raises(Forbidden):
        await desk.sign("bob", 21)
    assert await desk.reject(intent, PROVEN) is not None
    assert await desk.reject(intent, PROVEN) is None
    assert await desk.held() == (0, 0)
    await desk.sign("bob", 100)


async def test_what_is_accepted_stays_counted(desk: Desk) -> None:
    await desk.rules.add("hour", rule())
    intent = await desk.sign("alice", 80)
    await desk.accept(intent)
    assert await desk.reject(intent, PROVEN) is None
    assert await desk.held() == (1, 80)


async def test_a_refusal_that_another_offer_voids_gives_nothing_back(desk: Desk) -> None:
    await desk.rules.add("hour", rule())
    intent = await desk.sign("alice", 80)
    await desk.note(partial(count_attempt, intent=intent))
    assert await desk.reject(intent, UNSHARED) is None
    assert await desk.held() == (1, 80)


async def test_without_proof_it_stays_counted_for_good(desk: Desk) -> None:
    await desk.rules.add("hour", rule())
    presumed = await desk.sign("alice", 30)
    assert await desk.reject(presumed, PRESUMED) is not None
    given_up = await desk.sign("alice", 40, "by the operator")
    await desk.note(partial(reject_all, intent_ids=[given_up.id], verdict=PROVEN, now_ms=desk.clock.now_ms()))
    assert await desk.held() == (2, 70)
    for intent in (presumed, given_up):
        assert await desk.accept(intent) is not None
    assert await desk.held() == (2, 70)


async def test_what_arrives_after_all_is_counted_again(desk: Desk) -> None:
    await desk.rules.add("hour", rule())
    intent = await desk.sign("alice", 80)
    await desk.reject(intent, PROVEN)
    assert await desk.accept(intent) is not None
    assert await desk.accept(intent) is None
    assert await desk.held() == (1, 80)


async def test_the_same_bytes_again_count_again(desk: Desk) -> None:
    await desk.rules.add("hour", rule())
    intent = await desk.sign("alice", 80)
    await desk.reject(intent, PROVEN)
    again = await desk.sign("alice", 80)
    assert again.id == intent.id
    assert await desk.held() == (1, 80)
    await desk.reject(again, PROVEN)
    assert await desk.held() == (0, 0)


async def test_a_rule_in_the_place_of_another_is_not_paid_back(desk: Desk, clock: ManualClock) -> None:
    await desk.rules.add("hour", rule())
    first = await desk.sign("alice", 80)
    await desk.rules.rules.remove(ADMIN, "hour")
    clock.advance(1)
    await desk.rules.add("hour", rule())
    await desk.sign("bob", 50)
    await desk.reject(first, PROVEN)
    assert await desk.held() == (1, 50)


async def test_a_window_that_has_rolled_is_not_paid_back(desk: Desk, clock: ManualClock) -> None:
    await desk.rules.add("hour", rule())
    first = await desk.sign("alice", 80)
    clock.advance(2 * HOUR_S)
    await desk.sign("bob", 50)
    await desk.reject(first, PROVEN)
    assert await desk.held() == (1, 50)


async def test_each_window_gets_back_its_own(desk: Desk) -> None:
    await desk.rules.add("all", rule())
    await desk.rules.add("each", rule(per="account", count=3))
    await desk.rules.add("a minute", rule(seconds=60))
    first = await desk.sign("alice", 10)
    await desk.sign("bob", 20)
    assert await desk.held() == (6, 90)
    await desk.reject(first, PROVEN)
    assert await desk.held() == (3, 60)


async def test_processes_that_resolve_at_once_give_back_once(
    desk: Desk, replica: Database, clock: ManualClock
) -> None:
    await desk.rules.add("hour", rule())
    other = Desk(replica, clock)
    kept = await desk.sign("bob", 5)
    for number in range(8):
        intent = await desk.sign("alice", 90, f"{number}")
        ended = await asyncio.gather(*(each.reject(intent, PROVEN) for each in (desk, other) * 3))
        assert sum(each is not None for each in ended) == 1
        assert await desk.held() == (1, 5)
    assert await desk.accept(kept) is not None


@pytest.mark.parametrize("seed", range(6))
async def test_no_stretch_ever_moves_more_than_the_limit(desk: Desk, clock: ManualClock, seed: int) -> None:
    """Random payments and ends. What moved value, or may still, never exceeds the limit in any stretch of an hour.

    The ledger speaks the truth here: what it refuses with proof has not moved and never will.
    """
    await desk.rules.add("hour", rule())
    chance = random.Random(seed)
    open_intents: list[Intent] = []
    may_have_moved: dict[bytes, tuple[int, int]] = {}
    refusals = 0
    for number in range(120):
        clock.advance(chance.choice([0, 1, 30, 61, 300, 900]))
        if open_intents and chance.random() < 0.5:
            intent = open_intents.pop(chance.randrange(len(open_intents)))
            match chance.choice(["accept", "refuse", "refuse", "presume"]):
                case "accept":
                    await desk.accept(intent)
                case "refuse":
                    await desk.reject(intent, PROVEN)
                    del may_have_moved[intent.id]
                case _:
                    await desk.reject(intent, PRESUMED)
        amount = chance.randrange(1, 60)
        try:
            intent = await desk.sign("alice", amount, f"{number}")
        except Forbidden:
            refusals += 1
        else:
            open_intents.append(intent)
            may_have_moved[intent.id] = (clock.now_ms(), amount)
            # The example ledger has one slot a number: this frees it for the next.
            await desk.note(partial(_free, intent_id=intent.id))
        since_ms = clock.now_ms() - HOUR_S * 1000
        assert sum(each for at_ms, each in may_have_moved.values() if at_ms > since_ms) <= LIMIT
    assert refusals > 5
    rows = await desk.database.fetch_all(select(tables.window.c.spent))
    for row in rows:
        assert all(each.signatures >= 0 and each.amount >= 0 for each in decode_spent(row.spent).buckets())


def _free(connection: Connection, intent_id: bytes) -> None:
    row = intent_table.c.id == intent_id
    connection.execute(intent_table.update().where(row).values(slot=None))


async def test_what_is_stored_says_what_was_counted(desk: Desk) -> None:
    await desk.rules.add("hour", rule())
    intent = await desk.sign("alice", 7)
    stored = await desk.database.read(partial(load_intent, intent_id=intent.id))
    assert stored is not None
    assert stored.counted == intent.counted
    assert stored.outcome is Outcome.OPEN
    ((_, bucket, amount),) = json.loads(stored.counted or "")
    assert (bucket, amount) == (desk.clock.now_ms() // 60_000, "7")
    await desk.rules.rules.remove(ADMIN, "hour")
    assert (await desk.sign("bob", 7)).counted is None
