"""Rolling windows: never more than the limit in any stretch of time, whoever races."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from strongroom.core.clock import iso_instant
from strongroom.core.coordination.spent import decode_spent
from strongroom.core.errors import Forbidden
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import Payment, SignatureRequest
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.guarding import ADMIN, TRADER, Guarded, request

pytestmark = pytest.mark.anyio
DAY_S = 86_400


def limit(**parts: Any) -> dict[str, Any]:
    return {"effect": "deny", "when": {"kinds": ["SEND"]}, "limit": parts}


async def refusal(guarded: Guarded, **parts: Any) -> str:
    with pytest.raises(Forbidden) as raised:
        await guarded.authorize(request(**parts))
    assert raised.value.instance_code == "rule_limit"
    return raised.value.message


async def test_a_window_lets_pass_what_its_limit_says_and_says_when_there_is_room(
    guarded: Guarded, clock: ManualClock
) -> None:
    await guarded.add("day", limit(amount_raw="100", seconds=DAY_S))
    await guarded.authorize(request(amount_raw=60))
    clock.advance(3_600)
    await guarded.authorize(request(amount_raw=40))
    told = await refusal(guarded, amount_raw=1)
    assert "'day' lets pass in 86400 s 100 raw, of which 100 passed and this is 1" in told
    assert "It never fits" in await refusal(guarded, amount_raw=101)
    await guarded.authorize(request(amount_raw=0))
    clock.advance(DAY_S - 3_600)
    await refusal(guarded, amount_raw=60)  # a bucket counts as long as its end does
    clock.advance(DAY_S / 60)
    await guarded.authorize(request(amount_raw=60))
    await refusal(guarded, amount_raw=1)


async def test_a_refusal_says_from_when_on_it_fits(guarded: Guarded, clock: ManualClock) -> None:
    await guarded.add("hour", limit(amount_raw="100", seconds=3_600))
    clock.advance(60 - clock.now_ms() / 1000 % 60)  # the beginning of a bucket, which is a minute long
    begin_ms = clock.now_ms()
    await guarded.authorize(request(amount_raw=60))
    clock.advance(600)
    await guarded.authorize(request(amount_raw=40))
    for amount, minutes in ((60, 61), (61, 71), (100, 71)):
        moment = iso_instant(begin_ms + minutes * 60_000)
        assert (await refusal(guarded, amount_raw=amount)).endswith(f"It fits from {moment} on")
    clock.advance((61 - 10) * 60 - 0.001)
    await refusal(guarded, amount_raw=60)
    clock.advance(0.001)
    await guarded.authorize(request(amount_raw=60))


async def test_a_clock_that_is_set_back_frees_nothing(guarded: Guarded, clock: ManualClock) -> None:
    await guarded.add("hour", limit(amount_raw="100", seconds=3_600))
    await guarded.authorize(request(amount_raw=100))
    earlier = Guarded(guarded.database, ManualClock(clock.now_ms() - 30 * DAY_S * 1000))
    await refusal(earlier, amount_raw=1)


async def test_a_count_of_nothing_lets_nothing_pass(guarded: Guarded) -> None:
    await guarded.add("never", limit(count=0, seconds=60))
    assert (await refusal(guarded)).endswith("0 signatures, of which 0 passed. It never fits")


async def test_a_refused_signature_counts_nowhere(guarded: Guarded) -> None:
    await guarded.add("wide", limit(amount_raw="100", seconds=DAY_S))
    await guarded.add("narrow", limit(amount_raw="10", seconds=60))
    for _ in range(3):
        await refusal(guarded, amount_raw=11)
    await guarded.authorize(request(amount_raw=10))
    rows = await guarded.database.fetch_all(select(tables.window))
    assert [decode_spent(row.spent).amount for row in rows] == [10, 10]


async def test_a_count_is_limited_like_an_amount(guarded: Guarded, clock: ManualClock) -> None:
    await guarded.add("three a minute", limit(count=3, seconds=60))
    for _ in range(3):
        await guarded.authorize(request())
    assert "3 signatures, of which 3 passed" in await refusal(guarded)
    clock.advance(62)
    await guarded.authorize(request())


@pytest.mark.parametrize(
    ("per", "other"),
    [
        ("wallet", {"wallet": "cold"}),
        ("account", {"account": "hot/1"}),
        ("destination", {"destination": "bank"}),
        ("principal", {"principal": Principal(name="token:other", scopes=frozenset({"*"}))}),
    ],
)
async def test_a_window_counts_each_subject_apart(guarded: Guarded, per: str, other: dict[str, Any]) -> None:
    await guarded.add("each", limit(amount_raw="10", seconds=DAY_S, per=per))
    await guarded.authorize(request(amount_raw=10))
    await guarded.authorize(request(amount_raw=10, **other))
    assert f"for {per} " in await refusal(guarded, amount_raw=1)
    await refusal(guarded, amount_raw=1, **other)


async def test_amounts_beyond_any_machine_number_are_exact(guarded: Guarded) -> None:
    most = 2**256 - 1
    await guarded.add("huge", limit(amount_raw=str(most), seconds=DAY_S))
    await guarded.authorize(request(amount_raw=most - 1))
    await guarded.authorize(request(amount_raw=1))
    await refusal(guarded, amount_raw=1)


async def test_no_stretch_of_the_windows_length_ever_holds_more(guarded: Guarded, clock: ManualClock) -> None:
    """Looked at after random payments at random times; each stretch that ends with a payment."""
    await guarded.add("ten minutes", limit(amount_raw="1000", seconds=600))
    chance = random.Random(7)
    passed: list[tuple[int, int]] = []
    for _ in range(200):
        clock.advance(chance.choice([0, 0.25, 1, 30, 200]))
        amount = chance.randrange(1, 400)
        try:
            await guarded.authorize(request(amount_raw=amount))
        except Forbidden:
            continue
        passed.append((clock.now_ms(), amount))
        within = [each for at_ms, each in passed if at_ms > clock.now_ms() - 600_000]
        assert sum(within) <= 1000
    assert len(passed) > 20


async def test_processes_that_race_never_pass_the_limit_together(
    database: Database, replica: Database, clock: ManualClock
) -> None:
    first, second = Guarded(database, clock), Guarded(replica, clock, seed=2)
    await first.add("day", limit(amount_raw="1000", seconds=DAY_S))

    async def pay(guarded: Guarded) -> int:
        passed = 0
        for _ in range(60):
            try:
                await guarded.authorize(request(amount_raw=17))
            except Forbidden:
                continue
            passed += 17
        return passed

    passed = await asyncio.gather(*(pay(each) for each in (first, second) * 3))
    assert sum(passed) == 1000 // 17 * 17


async def test_counters_of_a_rule_that_has_ended_are_dropped(guarded: Guarded, clock: ManualClock) -> None:
    await guarded.add("one", limit(amount_raw="100", seconds=60, per="destination"))
    await guarded.add("two", limit(amount_raw="100", seconds=60))
    await guarded.authorize(request(destination="bank"))
    await guarded.authorize(request())
    await guarded.rules.remove(ADMIN, "one")
    clock.advance(1)
    await guarded.add("three", limit(amount_raw="100", seconds=60))
    rows = await guarded.database.fetch_all(select(tables.window.c.subject))
    assert [row.subject for row in rows] == [""]
    await guarded.authorize(request(amount_raw=90))
    await refusal(guarded, amount_raw=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Several(SignatureRequest):
    """A signature that pays several destinations."""

    paid: tuple[Payment, ...]

    @property
    def payments(self) -> tuple[Payment, ...]:
        return self.paid


def several(*paid: Payment) -> Several:
    return Several(
        principal=TRADER,
        scope="toy:send",
        account="hot/0",
        kind="SEND",
        payload_hash=bytes(32),
        wallet="hot",
        paid=paid,
    )


async def test_a_window_for_each_destination_adds_up_what_one_signature_pays_it(guarded: Guarded) -> None:
    await guarded.add("each", limit(amount_raw="10", seconds=DAY_S, per="destination"))
    shop, bank = Payment(destination="shop", amount_raw=6), Payment(destination="bank", amount_raw=10)
    with pytest.raises(Forbidden, match="for destination shop"):
        await guarded.authorize(several(shop, bank, shop))
    await guarded.authorize(several(shop, bank, Payment(destination=None, amount_raw=10)))
    await refusal(guarded, amount_raw=5)
    await guarded.authorize(request(amount_raw=4))


async def test_a_window_of_one_asset_counts_no_other(guarded: Guarded) -> None:
    await guarded.add("each", limit(amount_raw="10", seconds=DAY_S, per="destination"))
    other = Payment(destination="shop", amount_raw=99, asset="ab")
    await guarded.authorize(several(other, Payment(destination="shop", amount_raw=10)))
    await guarded.authorize(several(other))
    await refusal(guarded, amount_raw=1)
