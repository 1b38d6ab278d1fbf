"""The outcome of an intent is found out: lost answers, late answers, other processes, restarts."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from strongroom.core.errors import Unavailable
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.intents.intent import Accepted, Intent, Outcome, Pending, Rejected, Unknown, Verdict
from strongroom.core.intents.network import Effects, Network
from strongroom.core.intents.resolver import Pace, Resolver
from strongroom.core.intents.signing import Signing
from strongroom.core.intents.store import load_intent, record_accepted, record_rejected, reject_all
from strongroom.core.intents.tables import intent as intent_table
from strongroom.core.intents.verdicts import IntentGone
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Metrics, Status
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SigningGate
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.intents.example_ledger import (
    CALLER,
    LARGEST,
    ExampleChain,
    ExampleEffects,
    ExampleNode,
    Pay,
    Payment,
    open_accounts,
    paid,
    sign_digest,
)
from support.intents.scripted import Scripted
from support.trail import open_trail

pytestmark = pytest.mark.anyio
PACE = Pace(noun="payments")


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    running = Background()
    yield running
    await running.close()


@pytest.fixture
async def signing(database: Database, clock: ManualClock) -> Signing:
    await open_accounts(database, "alice", "bob")
    gate = SigningGate(Guard(clock, Default.ALLOW, key=open_trail()), Audit(clock, open_trail()))
    return Signing("example", database=database, gate=gate, clock=clock, metrics=Metrics("test"))


@pytest.fixture
def node() -> ExampleNode:
    return ExampleNode(ExampleChain())


@pytest.fixture
def effects() -> ExampleEffects:
    return ExampleEffects()


class Start:
    """Makes resolvers on the test's clock."""

    def __init__(self, clock: ManualClock, background: Background) -> None:
        self._clock = clock
        self._background = background

    def __call__(
        self, database: Database, network: Network, effects: Effects[int], pace: Pace = PACE
    ) -> Resolver[int]:
        return Resolver(
            network=network,
            effects=effects,
            database=database,
            clock=self._clock,
            entropy=SeededEntropy(),
            background=self._background,
            pace=pace,
        )


@pytest.fixture
def start(clock: ManualClock, background: Background) -> Start:
    return Start(clock, background)


@pytest.fixture
def resolver(start: Start, database: Database, node: ExampleNode, effects: ExampleEffects) -> Resolver[int]:
    return start(database, node, effects)


async def load(database: Database, intent: Intent) -> Intent:
    found = await database.read(lambda connection: load_intent(connection, intent.id))
    assert found is not None
    return found


async def test_an_intent_is_offered_and_its_end_stored_with_its_effects(
    database: Database,
    signing: Signing,
    resolver: Resolver[int],
    effects: ExampleEffects,
    clock: ManualClock,
) -> None:
    intent = await signing.sign(Pay(account="alice", amount=7))
    resolution = await resolver.resolve(intent)
    assert resolution.intent.outcome is Outcome.ACCEPTED
    assert resolution.effect == 1
    found = await load(database, intent)
    assert (found.outcome, found.stage, found.resolved_at_ms) == (
        Outcome.ACCEPTED,
        "accepted",
        clock.now_ms(),
    )
    assert await paid(database, "alice") == 7
    assert effects.told == [(intent.id, "accepted")]


async def test_a_lost_answer_is_asked_for_and_not_paid_again(
    database: Database, signing: Signing, resolver: Resolver[int], node: ExampleNode, clock: ManualClock
) -> None:
    node.faults.extend(["lost answer", "lost request"])
    intent = await signing.sign(Pay(account="alice", amount=7))
    task = resolver.resolve(intent)
    for _ in range(2):
        await clock.sleepers()
        assert resolver.check().status is Status.DEGRADED
        clock.advance(1)
    assert (await task).intent.outcome is Outcome.ACCEPTED
    assert len(node.offers) == 1
    assert await paid(database, "alice") == 7
    assert resolver.check().status is Status.UP


async def test_a_lost_request_is_offered_again_with_the_same_bytes(
    database: Database, signing: Signing, resolver: Resolver[int], node: ExampleNode, clock: ManualClock
) -> None:
    node.faults.append("lost request")
    intent = await signing.sign(Pay(account="alice", amount=7))
    task = resolver.resolve(intent)
    await clock.sleepers()
    assert resolver.check().detail == "1 payments are open, 1 are tried again: The node does not answer"
    clock.advance(1)
    resolution = await task
    assert (resolution.intent.outcome, resolution.intent.attempts) == (Outcome.ACCEPTED, 2)
    assert node.offers == [intent.payload] * 2
    assert (await load(database, intent)).attempts == 2


async def test_what_can_never_be_is_rejected_with_its_reason(
    database: Database, signing: Signing, resolver: Resolver[int], node: ExampleNode
) -> None:
    intent = await signing.sign(Pay(account="alice", amount=LARGEST + 1))
    resolution = await resolver.resolve(intent)
    assert (resolution.intent.outcome, resolution.intent.stage) == (Outcome.REJECTED, "rule")
    again = await signing.sign(Pay(account="alice", amount=3))
    assert (again.slot, intent.slot) == (b"alice/0", b"alice/0")
    rival = Payment(account="alice", number=0, amount=5, memo="made elsewhere")
    signed = Payment(
        account="alice", number=0, amount=5, memo=rival.memo, signature=sign_digest(rival.digest)
    )
    node.chain.submit(signed)
    resolution = await resolver.resolve(again)
    assert (resolution.intent.stage, resolution.intent.reason) == ("taken", "Another has its number")
    assert await paid(database, "alice") == 0
    assert (await signing.sign(Pay(account="alice", amount=3))).slot == b"alice/1"


async def test_a_sweep_takes_up_what_another_process_left(
    database: Database,
    replica: Database,
    signing: Signing,
    start: Start,
    node: ExampleNode,
    effects: ExampleEffects,
    clock: ManualClock,
) -> None:
    intent = await signing.sign(Pay(account="alice", amount=7))
    patient = start(replica, node, effects, Pace(noun="payments", own_s=15))
    await patient.sweep()
    assert not patient.is_running(intent.id)
    clock.advance(15)
    await patient.sweep()
    resolution = await patient.wait(intent.id)
    assert resolution is not None
    assert (resolution.intent.outcome, resolution.intent.attempts) == (Outcome.ACCEPTED, 2)
    assert (await load(database, intent)).outcome is Outcome.ACCEPTED


async def test_many_wait_for_one_resolution(
    signing: Signing, start: Start, database: Database, effects: ExampleEffects
) -> None:
    network = Scripted(Accepted())
    resolver = start(database, network, effects)
    intent = await signing.sign(Pay(account="alice", amount=7))
    done = await asyncio.gather(*(resolver.resolve(intent) for _ in range(3)))
    assert network.asked == ["offer 1"]
    assert len({id(one) for one in done}) == 1


async def test_who_waits_for_what_is_resolved_is_answered_at_once(
    signing: Signing, resolver: Resolver[int]
) -> None:
    assert await resolver.wait(bytes(32)) is None
    intent = await signing.sign(Pay(account="alice", amount=7))
    await resolver.resolve(intent)
    found = await resolver.wait(intent.id)
    assert found is not None
    assert (found.intent.outcome, found.effect) == (Outcome.ACCEPTED, None)


async def test_many_intents_are_asked_about_in_one_question(
    signing: Signing, start: Start, database: Database, effects: ExampleEffects, clock: ManualClock
) -> None:
    network = Scripted(*[Pending(stage="pooled")] * 2, *[Accepted()] * 2)
    resolver = start(database, network, effects)
    tasks = [resolver.resolve(await signing.sign(Pay(account=name, amount=7))) for name in ("alice", "bob")]
    await clock.sleepers(2)
    clock.advance(PACE.pending_pause_s)
    await asyncio.gather(*tasks)
    assert network.batches == [2]
    assert network.asked == ["offer 1", "offer 1", "follow"]


async def test_a_stage_is_stored_and_not_offered_again(
    database: Database, signing: Signing, start: Start, effects: ExampleEffects, clock: ManualClock
) -> None:
    network = Scripted(Pending(stage="pooled"), Pending(stage="pooled"), Pending(stage="block"), Accepted())
    resolver = start(database, network, effects)
    intent = await signing.sign(Pay(account="alice", amount=7))
    assert (await resolver.first_answer(intent)).intent.stage == "pooled"
    assert (await load(database, intent)).stage == "pooled"
    task = resolver.resolve(intent)
    for _ in range(3):
        await clock.sleepers()
        clock.advance(PACE.pending_pause_s)
    await task
    assert network.asked == ["offer 1", "follow", "follow", "follow"]
    assert effects.told == [(intent.id, "pooled"), (intent.id, "block"), (intent.id, "accepted")]


async def test_the_first_answer_tells_what_it_changed_and_what_kept_it_from_more(
    database: Database, signing: Signing, start: Start, effects: ExampleEffects
) -> None:
    network = Scripted(Unknown(why="silence"), Rejected(reason="It is too large", stage="rule"))
    resolver = start(database, network, effects)
    unknown = await resolver.first_answer(await signing.sign(Pay(account="alice", amount=7)))
    assert (unknown.intent.is_open, unknown.effect, unknown.trouble) == (True, None, "silence")
    refused = await resolver.first_answer(await signing.sign(Pay(account="bob", amount=7)))
    assert (refused.intent.stage, refused.effect, refused.trouble) == ("rule", 0, None)


async def test_what_others_submit_is_never_offered_first(
    database: Database, signing: Signing, start: Start, effects: ExampleEffects, clock: ManualClock
) -> None:
    intent = await signing.sign(Pay(account="alice", amount=7))

    def lend(connection: Connection) -> None:
        connection.execute(intent_table.update().values(attempts=0))

    await database.write(lend)
    network = Scripted(Pending(stage="signed"), Accepted())
    task = start(database, network, effects).resolve(await load(database, intent))
    await clock.sleepers()
    clock.advance(PACE.pending_pause_s)
    await task
    assert network.asked == ["follow", "follow"]


async def test_the_answer_to_the_first_offer_is_final_only_without_another_offer(
    database: Database, replica: Database, signing: Signing, start: Start, clock: ManualClock
) -> None:
    never_sent = Rejected(reason="No connection", stage="withdrawn", if_unshared=True)
    intent = await signing.sign(Pay(account="alice", amount=7))
    gate = asyncio.Event()

    class Slow(Scripted):
        async def offer(self, intent: Intent) -> Verdict:
            await gate.wait()
            return await super().offer(intent)

    slow, quick = Slow(never_sent, Accepted()), Scripted(Unknown(why="absent"), Unknown(why="silent"))
    first = start(database, slow, ExampleEffects()).resolve(intent)
    start(replica, quick, ExampleEffects()).resolve(await load(database, intent))
    await clock.sleepers()
    assert quick.asked == ["follow", "offer 2"]
    gate.set()
    await clock.sleepers(2)
    assert (await load(database, intent)).is_open
    quick.answers.append(Accepted())
    clock.advance(1)
    assert (await first).intent.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("is_restarted", [False, True], ids=["one process", "after a restart"])
async def test_a_second_offer_refused_while_the_first_is_under_way_proves_nothing(
    database: Database,
    replica: Database,
    signing: Signing,
    start: Start,
    node: ExampleNode,
    clock: ManualClock,
    *,
    is_restarted: bool,
) -> None:
    node.faults.extend(["late request"])
    intent = await signing.sign(Pay(account="alice", amount=7))
    running = start(database, node, ExampleEffects()).resolve(intent)
    await clock.sleepers()
    node.faults.extend([None, "refusal"])
    if is_restarted:
        running.cancel()
        running = start(replica, node, ExampleEffects()).resolve(await load(database, intent))
    else:
        clock.advance(1)
    await clock.sleepers()
    kept = await load(database, intent)
    assert (kept.outcome, kept.attempts, len(node.offers)) == (Outcome.OPEN, 2, 2)
    node.arrive()
    clock.advance(1)
    assert (await running).intent.outcome is Outcome.ACCEPTED
    assert await paid(database, "alice") == 7


async def test_the_refusal_of_the_only_offer_is_proof_again_when_the_same_bytes_are_signed_anew(
    signing: Signing, resolver: Resolver[int], node: ExampleNode
) -> None:
    for _ in range(2):
        node.faults.append("refusal")
        intent = await signing.sign(Pay(account="alice", amount=7))
        assert intent.attempts == 1
        resolution = await resolver.resolve(intent)
        assert (resolution.intent.outcome, resolution.intent.stage) == (Outcome.REJECTED, "refused")
    assert len(node.offers) == 2


async def test_the_refusal_of_what_an_operator_gave_up_before_proves_nothing(
    database: Database, signing: Signing, start: Start, node: ExampleNode, clock: ManualClock
) -> None:
    node.faults.append("late request")
    first = await signing.sign(Pay(account="alice", amount=7))
    running = start(database, node, ExampleEffects()).resolve(first)
    await clock.sleepers()
    running.cancel()
    given_up = Rejected(reason="The operator gave it up", stage="abandoned")
    assert await database.write(lambda c: reject_all(c, [first.id], given_up, 1)) == [first.id]
    node.faults.append("refusal")
    again = await signing.sign(Pay(account="alice", amount=7))
    assert (again.id, again.attempts, again.is_new) == (first.id, 2, True)
    running = start(database, node, ExampleEffects()).resolve(again)
    await clock.sleepers()
    assert (await load(database, first)).is_open
    node.arrive()
    clock.advance(1)
    assert (await running).intent.outcome is Outcome.ACCEPTED


async def test_a_verdict_stored_elsewhere_is_the_answer(
    database: Database, signing: Signing, start: Start, effects: ExampleEffects, clock: ManualClock
) -> None:
    network = Scripted(Unavailable("silent"), Unknown(why="absent"))
    intent = await signing.sign(Pay(account="alice", amount=7))
    task = start(database, network, effects).resolve(intent)
    await clock.sleepers()
    await database.write(lambda c: record_rejected(c, intent, Rejected(reason="by the operator"), 1))
    clock.advance(1)
    resolution = await task
    assert (resolution.intent.outcome, resolution.intent.reason) == (Outcome.REJECTED, "by the operator")
    assert network.asked == ["offer 1", "follow"], "bytes that are said to be rejected are not offered"
    assert effects.told == []


async def test_an_acceptance_is_counted_once_on_two_replicas(
    database: Database, signing: Signing, start: Start, effects: ExampleEffects
) -> None:
    class Overtaken(Scripted):
        async def offer(self, intent: Intent) -> Verdict:
            await database.write(lambda c: record_accepted(c, intent, Accepted(), 1))
            return await super().offer(intent)

    intent = await signing.sign(Pay(account="alice", amount=7))
    resolution = await start(database, Overtaken(Accepted()), effects).resolve(intent)
    assert (resolution.intent.outcome, resolution.effect) == (Outcome.ACCEPTED, None)
    assert await paid(database, "alice") == 0, "the effects are of the transaction that stored the verdict"
    assert effects.told == []


@pytest.mark.parametrize("is_refused", [False, True])
async def test_an_acceptance_is_that_of_the_last_request_for_the_same_bytes(
    database: Database, signing: Signing, start: Start, *, is_refused: bool
) -> None:
    """This process still follows the first request, which another one has seen fail, and signed again for the second."""
    heard: list[str] = []

    class Hearing(ExampleEffects):
        def apply(
            self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending
        ) -> int:
            heard.append(intent.principal)
            return super().apply(connection, intent, verdict)

    class Overtaken(Scripted):
        async def offer(self, intent: Intent) -> Verdict:
            no = Rejected(reason="no")
            await database.write(lambda c: record_rejected(c, intent, no, 1))
            again = await signing.sign(Pay(account="alice", amount=7, principal=second))
            assert (again.id, again.is_new) == (intent.id, True)
            if is_refused:
                await database.write(lambda c: record_rejected(c, again, no, 1))
            return await super().offer(intent)

    second = replace(CALLER, name="second")
    intent = await signing.sign(Pay(account="alice", amount=7))
    resolution = await start(database, Overtaken(Accepted()), Hearing()).resolve(intent)
    assert (resolution.intent.outcome, resolution.intent.principal) == (Outcome.ACCEPTED, "second")
    assert heard[-1] == "second"
    assert await paid(database, "alice") == 7, "what the stale request changed is undone"


async def test_effects_that_fail_leave_the_intent_open(
    database: Database, signing: Signing, start: Start, clock: ManualClock, node: ExampleNode
) -> None:
    class NotYet(ExampleEffects):
        failures = 1

        def apply(
            self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending
        ) -> int:
            number = super().apply(connection, intent, verdict)
            if self.failures:
                self.failures -= 1
                raise Unavailable("The account has not caught up yet")
            return number

    intent = await signing.sign(Pay(account="alice", amount=7))
    task = start(database, node, NotYet()).resolve(intent)
    await clock.sleepers()
    assert (await load(database, intent)).is_open
    assert await paid(database, "alice") == 0
    clock.advance(1)
    await task
    assert await paid(database, "alice") == 7


async def test_an_intent_that_was_deleted_is_followed_no_more(
    database: Database, signing: Signing, start: Start, effects: ExampleEffects, clock: ManualClock
) -> None:
    network = Scripted(Unavailable("silent"), Unknown(why="absent"))
    resolver = start(database, network, effects)
    intent = await signing.sign(Pay(account="alice", amount=7))
    task = resolver.resolve(intent)
    await clock.sleepers()
    await database.write(lambda c: c.execute(intent_table.delete()))
    clock.advance(1)
    with pytest.raises(IntentGone):
        await task
    assert resolver.count == 0


async def test_health_worries_about_what_is_open_for_long(
    database: Database, signing: Signing, start: Start, effects: ExampleEffects, clock: ManualClock
) -> None:
    resolver = start(database, Scripted(*[Pending(stage="pooled")] * 2), effects)
    resolver.resolve(await signing.sign(Pay(account="alice", amount=7)))
    await clock.sleepers()
    assert resolver.check().status is Status.UP
    clock.advance(PACE.worrying_age_s + 1)
    await clock.sleepers()
    assert resolver.check().detail == "1 payments are open, the oldest for 61 s"
    assert resolver.check().status is Status.DEGRADED
