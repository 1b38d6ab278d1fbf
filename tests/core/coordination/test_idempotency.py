"""One key, one effect, one answer: across repetitions, restarts and processes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Connection, select

from core.accounts import add, balances, create_accounts
from strongroom.core.coordination.idempotency import (
    PURGED_AT_ONCE,
    Attempt,
    Idempotency,
    Replay,
    Resume,
    instance_lease,
)
from strongroom.core.coordination.lease import Leases
from strongroom.core.errors import IdempotencyMismatch, IdempotencyRunning, InvalidInput, LeaseLost
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock

ONE = b"1" * 32
OTHER = b"2" * 32
ATTEMPT = Attempt(scope="atto:ci", key="k")


class Server(Idempotency):
    """A process with its own connections, that says that it lives until it `dies`."""

    def __init__(self, database: Database, clock: ManualClock, name: str) -> None:
        self.database = database
        self.leases = Leases(database, clock, holder=name)
        super().__init__(database, clock, self.leases)

    async def live(self) -> None:
        self.lease = await self.leases.acquire(instance_lease(self.leases.holder))

    async def die(self) -> None:
        assert self.lease is not None
        await self.leases.release(self.lease)

    def before_taking_over(self, first: Callable[[], Awaitable[object]]) -> None:
        """`first` happens between the look at the owner's lease and what follows from it."""

        async def look(name: str) -> bool:
            held = await Leases.is_held(self.leases, name)
            await first()
            return held

        self.leases.is_held = look  # type: ignore[method-assign]

    async def ask(self, key: str = "k", fingerprint: bytes = ONE) -> Replay | Resume | Attempt:
        return await self.begin("atto:ci", key, fingerprint)

    async def sign(self, attempt: Attempt, reference: str) -> None:
        def work(connection: Connection) -> None:
            add(connection, "a", 1)
            self.refer(connection, attempt, reference)

        await self.database.write(work)


@pytest.fixture
async def server(database: Database, clock: ManualClock) -> Server:
    await create_accounts(database, "a")
    server = Server(database, clock, "first")
    await server.live()
    return server


@pytest.fixture
async def second(server: Server, replica: Database, clock: ManualClock) -> Server:
    del server  # it made the tables
    second = Server(replica, clock, "second")
    await second.live()
    return second


async def is_running(claim: Awaitable[object]) -> bool:
    with pytest.raises(IdempotencyRunning):
        await claim
    return True


async def test_the_first_answer_is_replayed_by_every_process(server: Server, second: Server) -> None:
    attempt = await server.ask()
    assert attempt == ATTEMPT
    await server.finish(ATTEMPT, 200, '{"hash":"Łódź"}')
    for each in (server, second):
        assert await each.ask() == Replay(status=200, body='{"hash":"Łódź"}')


async def test_a_stored_answer_never_changes(server: Server, second: Server) -> None:
    await server.ask()
    await server.finish(ATTEMPT, 200, "first")
    await server.finish(ATTEMPT, 500, "second")
    await second.finish(Resume(scope="atto:ci", key="k", reference="r"), 500, "third")
    assert await server.ask() == Replay(status=200, body="first")


async def test_a_request_under_way_is_not_begun_again(server: Server, second: Server) -> None:
    assert await server.ask() == ATTEMPT
    assert await is_running(server.ask())
    assert await is_running(second.ask())
    await server.sign(ATTEMPT, "block 1")
    assert await is_running(server.ask())


async def test_keys_and_scopes_do_not_meet(server: Server) -> None:
    await server.ask()
    assert await server.ask("K") == Attempt(scope="atto:ci", key="K")
    assert await server.begin("atto:cd", "k", OTHER) == Attempt(scope="atto:cd", key="k")


async def test_another_request_with_the_key_is_refused_at_every_stage(server: Server, second: Server) -> None:
    async def refused() -> None:
        for each in (server, second):
            with pytest.raises(IdempotencyMismatch):
                await each.ask(fingerprint=OTHER)

    await server.ask()
    await refused()
    await server.sign(ATTEMPT, "block 1")
    await refused()
    await server.finish(ATTEMPT, 200, "{}")
    await refused()
    assert await server.ask() == Replay(status=200, body="{}")


async def test_of_many_at_once_one_passes(server: Server, second: Server) -> None:
    asked = [each.ask() for each in [server, second] * 8]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert Counter(map(type, outcomes)) == {Attempt: 1, IdempotencyRunning: 15}


async def test_of_many_at_once_one_takes_over_from_the_dead(
    server: Server, database: Database, clock: ManualClock, replica: Database
) -> None:
    await server.ask()
    await server.die()
    heirs = [Server(database, clock, "heir"), Server(replica, clock, "other heir")]
    for heir in heirs:
        await heir.live()
    outcomes = await asyncio.gather(*(each.ask() for each in heirs * 8), return_exceptions=True)
    assert Counter(map(type, outcomes)) == {Attempt: 1, IdempotencyRunning: 15}


async def test_what_was_signed_but_not_answered_is_resumed(server: Server, second: Server) -> None:
    await server.ask()
    await server.sign(ATTEMPT, "block 1")
    server.let_go(ATTEMPT)
    resume = Resume(scope="atto:ci", key="k", reference="block 1")
    assert await server.ask() == resume
    assert await second.ask() == resume
    await second.finish(resume, 200, "{}")
    assert await server.ask() == Replay(status=200, body="{}")


async def test_what_a_dead_process_began_and_did_not_sign_starts_afresh(
    server: Server, second: Server
) -> None:
    await server.ask()
    assert await is_running(second.ask())
    await server.die()
    assert await second.ask() == ATTEMPT
    assert await is_running(second.ask())
    await second.sign(ATTEMPT, "block 1")
    await second.finish(ATTEMPT, 200, "{}")
    assert await second.ask() == Replay(status=200, body="{}")


async def test_what_a_restarted_process_left_starts_afresh(
    server: Server, database: Database, clock: ManualClock
) -> None:
    await server.ask()
    restarted = Server(database, clock, "first")
    assert await restarted.ask() == ATTEMPT


async def test_an_owner_counts_as_dead_when_its_lease_has_run_out(
    server: Server, second: Server, clock: ManualClock
) -> None:
    await server.ask()
    assert await is_running(second.ask())
    clock.advance(server.leases.ttl_s - 0.001)
    assert await is_running(second.ask())
    clock.advance(0.001)
    assert await second.ask() == ATTEMPT


async def test_a_process_that_wakes_up_too_late_signs_nothing(
    server: Server, second: Server, database: Database
) -> None:
    await server.ask()
    await server.die()  # it only paused
    await second.ask()
    await second.sign(ATTEMPT, "block of the second")
    with pytest.raises(LeaseLost):
        await server.sign(ATTEMPT, "block of the first")
    await server.finish(ATTEMPT, 409, "refused")
    await server.forget(ATTEMPT)
    assert await balances(database) == {"a": 1}
    second.let_go(ATTEMPT)
    assert await second.ask() == Resume(scope="atto:ci", key="k", reference="block of the second")


async def test_a_process_that_wakes_up_in_time_keeps_its_heir_from_signing(
    server: Server, second: Server, database: Database
) -> None:
    await server.ask()
    await server.die()  # it only paused
    await second.ask()
    await server.sign(ATTEMPT, "block of the first")
    with pytest.raises(LeaseLost):
        await second.sign(ATTEMPT, "block of the second")
    assert await balances(database) == {"a": 1}


async def test_a_forgotten_request_can_no_longer_sign(server: Server, database: Database) -> None:
    await server.ask()
    await server.forget(ATTEMPT)
    with pytest.raises(LeaseLost):
        await server.sign(ATTEMPT, "block 1")
    assert await balances(database) == {"a": 0}


async def test_an_abandoned_request_and_its_repetition_sign_once(server: Server, database: Database) -> None:
    """The client hung up and asked again while the first unit was still on its way."""
    await server.ask()
    server.let_go(ATTEMPT)
    await server.ask()
    outcomes = await asyncio.gather(
        server.sign(ATTEMPT, "block 1"), server.sign(ATTEMPT, "block 2"), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LeaseLost", "NoneType"]
    assert await balances(database) == {"a": 1}


async def test_a_forgotten_key_is_free_at_once_also_for_another_request(server: Server) -> None:
    await server.ask()
    await server.forget(ATTEMPT)
    assert await server.ask(fingerprint=OTHER) == ATTEMPT


async def test_what_was_signed_is_never_forgotten(server: Server) -> None:
    await server.ask()
    await server.sign(ATTEMPT, "block 1")
    await server.forget(ATTEMPT)
    assert await server.ask() == Resume(scope="atto:ci", key="k", reference="block 1")


async def test_a_process_that_wakes_up_too_late_forgets_nothing_of_its_heir(
    server: Server, second: Server, database: Database
) -> None:
    """Else the heir's payment fails, or a third process makes another one."""
    await server.ask()
    await server.die()  # it only paused
    assert await second.ask() == ATTEMPT
    await server.forget(ATTEMPT)
    await second.sign(ATTEMPT, "block of the second")
    await second.finish(ATTEMPT, 200, "{}")
    assert await second.ask() == Replay(status=200, body="{}")
    assert await balances(database) == {"a": 1}


async def test_what_was_answered_is_never_forgotten(server: Server) -> None:
    """A refusal signs nothing, but it is an answer and is stored."""
    await server.ask()
    await server.finish(ATTEMPT, 422, "refused")
    await server.forget(ATTEMPT)
    assert await server.ask() == Replay(status=422, body="refused")


async def test_a_request_that_was_signed_meanwhile_is_not_taken_over(
    server: Server, second: Server, database: Database
) -> None:
    """The paused process signs after the other saw that it is dead: the other must not begin anew."""
    await server.ask()
    await server.die()  # it only paused
    second.before_taking_over(lambda: server.sign(ATTEMPT, "block of the first"))
    assert await is_running(second.ask())
    second.before_taking_over(_nothing)
    assert await second.ask() == Resume(scope="atto:ci", key="k", reference="block of the first")
    assert await balances(database) == {"a": 1}


async def test_a_request_that_was_taken_over_meanwhile_is_not_taken_over_again(
    server: Server, second: Server, database: Database, clock: ManualClock
) -> None:
    await server.ask()
    await server.die()
    heir = Server(database, clock, "heir")
    await heir.live()
    second.before_taking_over(heir.ask)
    assert await is_running(second.ask())
    await heir.sign(ATTEMPT, "block of the heir")


async def test_a_request_that_was_answered_meanwhile_is_not_taken_over(
    server: Server, second: Server
) -> None:
    await server.ask()
    await server.die()  # it only paused
    second.before_taking_over(lambda: server.finish(ATTEMPT, 422, "refused"))
    assert await is_running(second.ask())
    assert await second.ask() == Replay(status=422, body="refused")


async def test_an_answer_of_a_process_that_lost_its_request_is_not_stored(
    server: Server, second: Server
) -> None:
    await server.ask()
    await server.die()  # it only paused
    assert await second.ask() == ATTEMPT
    await server.finish(ATTEMPT, 400, "refused by the first")
    await second.finish(ATTEMPT, 200, "paid by the second")
    assert await second.ask() == Replay(status=200, body="paid by the second")


async def _nothing() -> None:
    """Nothing happens in between."""


async def test_a_failed_transaction_leaves_no_reference(server: Server, second: Server) -> None:
    await server.ask()

    def work(connection: Connection) -> None:
        server.refer(connection, ATTEMPT, "block 1")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await server.database.write(work)
    await server.die()
    assert await second.ask() == ATTEMPT


async def test_a_client_that_hangs_up_while_it_begins_may_ask_again(server: Server) -> None:
    for number in range(8):
        asked = asyncio.create_task(server.ask(f"k{number}"))
        for _ in range(number):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        if asked.cancelled():
            assert await server.ask(f"k{number}") == Attempt(scope="atto:ci", key=f"k{number}")
        else:
            assert await is_running(server.ask(f"k{number}"))


async def test_answers_are_kept_for_the_retention_and_then_purged(server: Server, clock: ManualClock) -> None:
    await server.ask()
    await server.finish(ATTEMPT, 200, "{}")
    clock.advance(48 * 3600)  # two days, as the documents promise
    await server.purge()
    assert await server.ask() == Replay(status=200, body="{}")
    clock.advance(0.001)
    await server.purge()
    assert await server.ask(fingerprint=OTHER) == ATTEMPT


async def test_more_expired_keys_are_purged_than_one_transaction_deletes(
    server: Server, clock: ManualClock
) -> None:
    now_ms = clock.now_ms()
    known = {"scope": "atto:ci", "fingerprint": ONE, "owner": "first", "created_at_ms": 0}
    old = [
        known | {"key": f"old-{number}", "expires_at_ms": now_ms - 1} for number in range(2 * PURGED_AT_ONCE)
    ]
    new = [known | {"key": f"new-{number}", "expires_at_ms": now_ms} for number in range(3)]
    await server.database.write(lambda c: c.execute(tables.idempotency.insert(), old + new))
    await server.purge()
    left = await server.database.fetch_all(select(tables.idempotency.c.key))
    assert sorted(row.key for row in left) == ["new-0", "new-1", "new-2"]


@pytest.mark.parametrize("key", ["", "k" * 191, "line\nbreak", "\0"])
async def test_an_unfit_key_is_refused(server: Server, key: str) -> None:
    with pytest.raises(InvalidInput):
        await server.ask(key)
    longest = "\N{CLAPPING HANDS SIGN}" * 190
    assert await server.ask(longest) == Attempt(scope="atto:ci", key=longest)
