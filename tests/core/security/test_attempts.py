"""Who fails again and again is slowed down, nobody else is, and it is recorded once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from strongroom.core.errors import (
    CredentialEnded,
    CredentialUnclear,
    RateLimited,
    StrongroomError,
    Unauthenticated,
)
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.attempts import (
    BURST_S,
    FIRST_S,
    FREE,
    HOUR_S,
    KNOWN_S,
    LEAK_S,
    MAX_KEPT,
    MAX_RECORDED,
    MAX_S,
    MAX_WAITING,
    Attempts,
    AuditedBursts,
    Burst,
)
from strongroom.core.security.audit import Audit
from strongroom.core.security.credentials import Credentials
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.trail import open_trail

pytestmark = pytest.mark.anyio

TOKEN = "0123456789abcdef"
GUESS = Credentials(authorization=f"Bearer sr_{TOKEN}_guess", source="192.0.2.7")
OWNER = Credentials(authorization=f"Bearer sr_{TOKEN}_secret", source="198.51.100.1")


class House:
    """Attempts whose only right secret is `secret`."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.metrics = Metrics("test")
        self.bursts: list[Burst] = []
        self.asked = 0
        self.right = "_secret"
        self.refusal: StrongroomError = Unauthenticated("The API token is not valid")
        self.attempts = Attempts("toy", clock, SeededEntropy(), self.metrics, self.bursts.append)

    async def identify(self, credentials: Credentials) -> str:
        self.asked += 1
        if not (credentials.authorization or "_secret").endswith(self.right):
            raise self.refusal
        return credentials.source

    def start(self, credentials: Credentials) -> "asyncio.Task[str]":
        return asyncio.ensure_future(self.attempts.around(self).identify(credentials))

    async def fail(self, credentials: Credentials = GUESS, times: int = 1) -> float:
        """How long the answers took together."""
        began_s = self.clock.monotonic_s()
        for _ in range(times):
            task = self.start(credentials)
            await self._end(task)
            assert task.exception() is self.refusal
        return self.clock.monotonic_s() - began_s

    async def pass_(self, credentials: Credentials) -> float:
        began_s = self.clock.monotonic_s()
        task = self.start(credentials)
        await self._end(task)
        assert task.result() == credentials.source
        return self.clock.monotonic_s() - began_s

    async def _end(self, task: "asyncio.Task[str]") -> None:
        """Lets as much time pass as it takes."""
        while not task.done():
            sleeping = asyncio.ensure_future(self.clock.sleepers(1))
            await asyncio.wait((task, sleeping), return_when=asyncio.FIRST_COMPLETED)
            if sleeping.done() and not task.done():
                self.clock.advance(0.25)
            sleeping.cancel()
            await asyncio.wait((sleeping,))

    def value(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"ledger": "toy"}) or 0.0


@pytest.fixture
def house(clock: ManualClock) -> House:
    return House(clock)


async def test_the_first_failures_cost_no_time_and_later_ones_more_and_more(house: House) -> None:
    assert await house.fail(times=FREE) == 0
    waits = [await house.fail() for _ in range(8)]
    assert waits[0] == FIRST_S < waits[3]
    assert waits == sorted(waits)
    assert waits[-1] == MAX_S
    assert house.value("strongroom_authentication_failures_total") == FREE + 8


async def test_a_guesser_elsewhere_costs_the_owner_nothing(house: House) -> None:
    await house.fail(times=FREE + 6)
    assert await house.pass_(OWNER) == 0
    for number in range(2 * FREE):  # from everywhere, each address once
        await house.fail(replace(GUESS, source=f"203.0.113.{number}"))
    assert await house.pass_(replace(OWNER, source="198.51.100.9")) == 0
    # Who guesses at the same token from the next address waits for the refusal.
    assert await house.fail(replace(GUESS, source="203.0.113.250")) == MAX_S


async def test_credentials_that_counted_lately_do_not_wait_behind_a_neighbour_s(house: House) -> None:
    neighbour = replace(OWNER, source=GUESS.source)
    await house.pass_(neighbour)
    await house.fail(times=FREE + 8)
    assert await house.pass_(neighbour) == 0
    newcomer = replace(neighbour, authorization="Bearer sr_fedcba9876543210_secret")
    assert await house.pass_(newcomer) > 0  # once
    assert await house.pass_(newcomer) == 0
    house.clock.advance(KNOWN_S)
    await house.fail(times=FREE + 8)
    assert await house.pass_(neighbour) > 0


async def test_credentials_that_count_no_more_wait_like_any_others(house: House) -> None:
    shop = Credentials(certificate=b"shop's", source=GUESS.source)
    await house.pass_(shop)
    house.right = "_another"
    assert await house.fail(shop, times=FREE + 1) == 0
    assert await house.fail(shop) > 0


async def test_guesses_that_not_everybody_could_judge_wait_too(house: House) -> None:
    house.refusal = CredentialUnclear("The database of toy does not answer")
    assert await house.fail(times=FREE) == 0
    await house.fail()
    assert await house.fail() > 0
    assert len(house.bursts) == 1


async def test_credentials_that_counted_lately_wait_for_nobody_who_is_away(house: House) -> None:
    await house.pass_(OWNER)
    house.right, house.refusal = "_another", CredentialUnclear("The database of toy does not answer")
    assert await house.fail(OWNER, times=3 * FREE) == 0
    assert house.bursts == []
    house.right = "_secret"
    assert await house.pass_(OWNER) == 0


async def test_the_time_tells_a_newcomer_nothing(house: House) -> None:
    """From an address that waits, a right secret takes as long as a wrong one."""
    await house.fail(times=FREE + 8)
    assert await house.fail() == MAX_S
    assert await house.pass_(replace(OWNER, source=GUESS.source)) == MAX_S


async def test_many_at_once_are_told_to_come_later_and_are_not_looked_at(house: House) -> None:
    await house.fail(times=FREE + 8)
    asked = house.asked
    waiting = [house.start(GUESS) for _ in range(MAX_WAITING)]
    await house.clock.sleepers(MAX_WAITING)
    with pytest.raises(RateLimited) as refused:
        await house.start(GUESS)
    assert refused.value.retry_after_s == MAX_S
    assert house.asked == asked
    assert await house.start(OWNER) == OWNER.source
    house.clock.advance(MAX_S)
    assert {type(each) for each in await asyncio.gather(*waiting, return_exceptions=True)} == {
        Unauthenticated
    }
    house.clock.advance(LEAK_S * 100)
    assert await house.fail() == 0


async def test_failures_are_forgotten(house: House) -> None:
    await house.fail(times=FREE + 8)
    house.clock.advance(LEAK_S * (FREE + 8))
    assert await house.fail(times=FREE) == 0


async def test_who_presents_nothing_or_what_has_ended_is_not_slowed_down(house: House) -> None:
    nothing = Credentials(source=GUESS.source)

    async def refuse() -> str:
        raise Unauthenticated("needs a token")

    async def end() -> str:
        raise CredentialEnded("over")

    for _ in range(3 * FREE):
        with pytest.raises(Unauthenticated):
            await house.attempts.identify(nothing, refuse)
        with pytest.raises(CredentialEnded):
            await house.attempts.identify(GUESS, end)
    assert house.value("strongroom_authentication_failures_total") == 0
    certificate = Credentials(certificate=b"stranger's", source=GUESS.source)
    for _ in range(FREE + 1):
        with pytest.raises(Unauthenticated):
            await house.attempts.identify(certificate, refuse)
    assert len(house.bursts) == 1


async def test_a_burst_is_told_once(house: House) -> None:
    await house.fail(times=FREE)
    assert house.bursts == []
    await house.fail(replace(GUESS, authorization="Bearer sr_fedcba9876543210_x"), times=6)
    (burst,) = house.bursts
    assert burst == Burst(
        at="toy", source=GUESS.source, failures=FREE + 1, tokens=(TOKEN, "fedcba9876543210")
    )
    house.clock.advance(BURST_S / 2)
    await house.fail(times=FREE + 1)
    assert len(house.bursts) == 1
    house.clock.advance(BURST_S)
    await house.fail(times=FREE + 1)
    assert [each.tokens for each in house.bursts[1:]] == [(TOKEN,)]
    assert house.value("strongroom_authentication_bursts_total") == 2


async def test_many_addresses_fill_neither_memory_nor_audit_trail(house: House) -> None:
    for number in range(MAX_RECORDED + 5):
        guess = Credentials(
            authorization=f"Bearer sr_{number:016x}_guess", source=f"2001:db8:{number:x}::/64"
        )
        await house.fail(guess, times=FREE + 1)
    assert len(house.bursts) == MAX_RECORDED
    assert house.value("strongroom_authentication_bursts_total") == MAX_RECORDED + 5
    house.clock.advance(HOUR_S)
    await house.fail(times=FREE + 1)
    assert len(house.bursts) == MAX_RECORDED + 1, "an hour later others are recorded"
    for number in range(MAX_KEPT + 5):
        await house.attempts.identify(replace(OWNER, source=str(number)), lambda: house.identify(OWNER))
    assert len(house.attempts._kept) <= MAX_KEPT
    assert len(house.attempts._known) == MAX_KEPT
    assert len(house.attempts._waiting) == 0


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    background = Background()
    yield background
    await background.close()


async def test_a_burst_is_in_the_audit_trail(
    database: Database, clock: ManualClock, background: Background
) -> None:
    record = AuditedBursts(database, Audit(clock, open_trail()), background)
    record(Burst(at="toy", source="192.0.2.7", failures=11, tokens=(TOKEN,)))
    await asyncio.gather(*background._tasks)
    (row,) = await database.fetch_all(select(tables.audit))
    assert (row.principal, row.action, row.subject) == (
        "system:gatekeeper",
        "authentication.failures",
        "192.0.2.7",
    )
    assert row.details == f'{{"at":"toy","failures":11,"tokens":["{TOKEN}"]}}'
