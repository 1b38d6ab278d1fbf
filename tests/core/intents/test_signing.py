"""An intent is stored with its signature, its audit row and what the ledger adds, or not at all."""

import asyncio
import json
from dataclasses import replace
from functools import partial

import msgspec
import pytest
from sqlalchemy import Connection, select

from strongroom.core.errors import Forbidden
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.intents.intent import Accepted, Intent, Outcome, Pending, Rejected
from strongroom.core.intents.signing import CommitUnclear, Signing, Unsigned
from strongroom.core.intents.store import (
    adopt,
    count_attempt,
    forget_resolved,
    free_slots,
    list_intents,
    load_by_slot,
    load_intent,
    load_open,
    load_open_slots,
    record_accepted,
    record_pending,
    record_rejected,
)
from strongroom.core.intents.tables import intent as intent_table
from strongroom.core.runtime.deadlines import Deadlines
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SigningGate
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import CommitUnknown, Duplicate
from support.clock import ManualClock
from support.intents.example_ledger import InTheWay, Pay, open_accounts, payment_of, sign_digest
from support.trail import open_trail, verify

pytestmark = pytest.mark.anyio
NOBODY = Principal(name="nobody", scopes=frozenset({"example:read"}))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("test")


@pytest.fixture
async def signing(database: Database, clock: ManualClock, metrics: Metrics) -> Signing:
    await open_accounts(database, "alice", "bob")
    return signing_on(database, clock, metrics)


def signing_on(database: Database, clock: ManualClock, metrics: Metrics) -> Signing:
    gate = SigningGate(Guard(clock, Default.ALLOW, key=open_trail()), Audit(clock, open_trail()))
    return Signing("example", database=database, gate=gate, clock=clock, metrics=metrics)


async def stored(database: Database, intent_id: bytes) -> Intent | None:
    return await database.read(lambda connection: load_intent(connection, intent_id))


async def test_a_draft_becomes_an_intent_with_its_audit_row(
    database: Database, signing: Signing, clock: ManualClock, metrics: Metrics
) -> None:
    intent = await signing.sign(Pay(account="alice", amount=7, memo="tea"))
    payment = payment_of(intent)
    assert payment.signature == sign_digest(payment.digest)
    assert (intent.id, intent.slot, intent.kind) == (payment.digest, b"alice/0", "PAY")
    assert (intent.principal, intent.outcome, intent.attempts) == ("shop", Outcome.OPEN, 1)
    assert intent.created_at_ms == clock.now_ms()
    assert intent.notes == {
        "kind": "PAY",
        "hash": payment.digest.hex().upper(),
        "amountRaw": "7",
        "destination": None,
        "number": 0,
    }
    assert intent.is_new
    assert await stored(database, intent.id) == replace(intent, is_new=False)
    (row,) = await database.fetch_all(select(tables.audit))
    assert (row.principal, row.action, row.subject) == ("shop", "sign", "alice")
    assert json.loads(row.details)["hash"] == payment.digest.hex().upper()
    assert metrics.signatures.labels("example", "PAY")._value.get() == 1


async def test_what_the_policy_refuses_leaves_nothing(database: Database, signing: Signing) -> None:
    with pytest.raises(Forbidden, match="example:pay"):
        await signing.sign(Pay(account="alice", amount=7, principal=NOBODY))
    assert await verify(database) == 0
    assert await database.fetch_all(select(intent_table)) == []


async def test_what_the_ledger_cannot_store_leaves_nothing(database: Database, signing: Signing) -> None:
    class Broken:
        def __init__(self) -> None:
            self.draft = Pay(account="alice", amount=7)

        def prepare(self, connection: Connection) -> Unsigned:
            return self.draft.prepare(connection)

        def on_signed(self, *_: object) -> None:
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        await signing.sign(Broken())
    assert await verify(database) == 0
    assert await database.fetch_all(select(intent_table)) == []


async def test_one_slot_has_one_intent(database: Database, signing: Signing) -> None:
    first = await signing.sign(Pay(account="alice", amount=7))
    with pytest.raises(InTheWay) as raised:
        await signing.sign(Pay(account="alice", amount=8))
    assert raised.value.intent_id == first.id
    other = replace(first, id=bytes(32))
    with pytest.raises(Duplicate):
        await database.write(lambda connection: adopt(connection, other))
    await signing.sign(Pay(account="bob", amount=8))
    assert len(await database.fetch_all(select(intent_table))) == 2


async def test_replicas_sign_one_payload_for_a_slot(
    database: Database, replica: Database, signing: Signing, clock: ManualClock, metrics: Metrics
) -> None:
    other = signing_on(replica, clock, metrics)
    drafts = [Pay(account="alice", amount=amount) for amount in range(1, 9)]
    done = await asyncio.gather(
        *(each.sign(draft) for draft, each in zip(drafts, [signing, other] * 4, strict=True)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Intent) for one in done) == 1
    assert all(isinstance(one, Intent | InTheWay) for one in done)
    assert await verify(database) == 1


async def test_a_rejected_intent_frees_its_slot_and_may_come_again(
    database: Database, signing: Signing, clock: ManualClock
) -> None:
    first = await signing.sign(Pay(account="alice", amount=7))
    rejected = await database.write(
        lambda c: record_rejected(c, first, Rejected(reason="no", stage="rule"), clock.now_ms())
    )
    assert rejected is not None
    assert (rejected.outcome, rejected.slot, rejected.stage, rejected.reason) == (
        Outcome.REJECTED,
        None,
        "rule",
        "no",
    )
    assert await database.read(lambda c: load_by_slot(c, b"alice/0")) is None
    # The clock stands still: two processes may do all of this in one millisecond, or by clocks that differ.
    again = await signing.sign(Pay(account="alice", amount=7))
    assert (again.id, again.payload) == (first.id, first.payload)
    assert (again.outcome, again.attempts, again.reason, again.is_new) == (Outcome.OPEN, 2, None, True)
    # Verdicts on the first one, which another process still follows, say nothing of the second.
    for late in (Rejected(reason="late", if_unshared=True), Rejected(reason="late")):
        assert await database.write(partial(record_rejected, intent=first, verdict=late, now_ms=1)) is None
    assert await database.write(lambda c: record_accepted(c, first, Accepted(), 1)) is None
    assert await database.write(lambda c: record_pending(c, first, Pending(stage="late"))) is None
    assert await database.write(lambda c: count_attempt(c, first)) is None


async def test_what_is_adopted_twice_is_one_intent(database: Database, signing: Signing) -> None:
    first = await signing.sign(Pay(account="alice", amount=7))
    again = await database.write(lambda connection: adopt(connection, first))
    assert again == replace(first, is_new=False)
    assert await database.write(lambda c: record_accepted(c, first, Accepted(), 5)) is not None
    again = await database.write(lambda connection: adopt(connection, first))
    assert (again.outcome, again.is_new) == (Outcome.ACCEPTED, False)


async def test_the_ledger_has_the_last_word(database: Database, signing: Signing) -> None:
    intent = await signing.sign(Pay(account="alice", amount=7))
    no, yes = Rejected(reason="no"), Accepted()
    assert await database.write(lambda c: record_rejected(c, intent, no, 1)) is not None
    assert await database.write(lambda c: record_rejected(c, intent, no, 2)) is None
    found = await database.write(lambda c: record_accepted(c, intent, yes, 3))
    assert found is not None
    assert found.outcome is Outcome.ACCEPTED
    assert await database.write(lambda c: record_accepted(c, intent, yes, 4)) is None
    assert await database.write(lambda c: record_rejected(c, intent, no, 5)) is None
    kept = await stored(database, intent.id)
    assert kept is not None
    assert (kept.outcome, kept.resolved_at_ms, kept.reason) == (Outcome.ACCEPTED, 3, None)


async def test_a_refusal_of_the_first_offer_proves_nothing_after_a_second(
    database: Database, signing: Signing
) -> None:
    intent = await signing.sign(Pay(account="alice", amount=7))
    assert await database.write(lambda c: count_attempt(c, intent)) == replace(
        intent, attempts=2, is_new=False
    )
    alone = Rejected(reason="never sent", if_unshared=True)
    assert await database.write(lambda c: record_rejected(c, intent, alone, 1)) is None
    assert await database.write(lambda c: record_rejected(c, intent, Rejected(reason="proof"), 1)) is not None
    assert await database.write(lambda c: count_attempt(c, intent)) is None


async def test_lists(database: Database, signing: Signing, clock: ManualClock) -> None:
    first = await signing.sign(Pay(account="alice", amount=7))
    clock.advance(1)
    second = await signing.sign(Pay(account="bob", amount=8))

    async def open_ids(**options: object) -> list[bytes]:
        found = await database.read(lambda c: load_open(c, **options))  # type: ignore[arg-type]
        return [one.id for one in found]

    assert await open_ids() == [first.id, second.id]
    assert await open_ids(latest_ms=first.created_at_ms) == [first.id]
    assert await open_ids(without={first.id}) == [second.id]
    await database.write(lambda c: record_accepted(c, first, Accepted(), clock.now_ms()))
    assert await open_ids() == [second.id]
    listed = await database.read(list_intents)
    assert [one.id for one in listed] == [second.id, first.id]
    accepted = await database.read(lambda c: list_intents(c, outcome=Outcome.ACCEPTED, account="alice"))
    assert [one.id for one in accepted] == [first.id]
    every, none = (b"", b"\xff" * 64), (first.slot or b"",) * 2
    assert [one.id for one in await database.read(lambda c: load_open_slots(c, *every))] == [second.id]
    assert await database.read(lambda c: load_open_slots(c, *none)) == []
    assert await database.write(lambda c: forget_resolved(c, clock.now_ms() + 1, at_most=0)) == []
    assert await database.write(lambda c: forget_resolved(c, clock.now_ms() + 1)) == [first.id]
    assert [one.id for one in await database.read(list_intents)] == [second.id]


async def test_slots_that_the_ledger_gives_out_again_are_freed_of_what_it_accepted(
    database: Database, signing: Signing
) -> None:
    first = await signing.sign(Pay(account="alice", amount=7))
    assert first.slot is not None
    slot = first.slot
    await database.write(lambda c: free_slots(c, slot, slot))
    assert await database.read(lambda c: load_by_slot(c, slot)) is not None
    await database.write(lambda c: record_accepted(c, first, Accepted(), 1))
    await database.write(lambda c: free_slots(c, slot + b"\x00", slot + b"\xff"))
    assert await database.read(lambda c: load_by_slot(c, slot)) is not None
    await database.write(lambda c: free_slots(c, slot[:-1], slot))
    assert await database.read(lambda c: load_by_slot(c, slot)) is None


async def test_a_commit_without_an_answer_names_what_may_be_stored(
    database: Database, clock: ManualClock, metrics: Metrics
) -> None:
    await open_accounts(database, "alice")

    class Silent(Database):
        async def write(self, work: object, **_: object) -> object:  # type: ignore[override]
            await super().write(work)  # type: ignore[arg-type]
            raise CommitUnknown

    silent = Silent(database.url)
    with pytest.raises(CommitUnclear) as raised:
        await signing_on(silent, clock, metrics).sign(Pay(account="alice", amount=7))
    await silent.close()
    assert raised.value.intent_id is not None
    assert await stored(database, raised.value.intent_id) is not None


def test_notes_are_a_json_object() -> None:
    with pytest.raises(msgspec.DecodeError):
        _ = Intent(
            id=b"",
            account="",
            slot=None,
            kind="",
            payload=b"",
            principal="",
            request="[",
            stage="",
            created_at_ms=0,
        ).notes


@pytest.mark.parametrize("is_signed", [False, True], ids=["before the signature", "before the answer"])
async def test_a_limit_that_is_over_during_the_signing_does_not_say_that_nothing_was_signed(
    database: Database, clock: ManualClock, metrics: Metrics, *, is_signed: bool
) -> None:
    await open_accounts(database, "alice")
    begun, deadlines = asyncio.Event(), Deadlines()

    class Slow(Database):
        async def write(self, work: object, **_: object) -> object:  # type: ignore[override]
            if is_signed:
                await super().write(work)  # type: ignore[arg-type]
            begun.set()
            return await asyncio.Future[object]()

    slow = Slow(database.url)

    async def pay() -> None:
        async with deadlines.limit(60):
            await signing_on(slow, clock, metrics).sign(Pay(account="alice", amount=7))

    paying = asyncio.create_task(pay())
    await begun.wait()
    deadlines.end()
    with pytest.raises(CommitUnclear) as raised:
        await paying
    await slow.close()
    assert (raised.value.intent_id is not None) == is_signed


async def test_who_cancels_a_signing_cancels_its_task(
    database: Database, clock: ManualClock, metrics: Metrics
) -> None:
    begun = asyncio.Event()

    class Slow(Database):
        async def write(self, *_: object, **__: object) -> object:  # type: ignore[override]
            begun.set()
            return await asyncio.Future[object]()

    slow = Slow(database.url)
    task = asyncio.create_task(signing_on(slow, clock, metrics).sign(Pay(account="alice", amount=7)))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    await slow.close()
    assert task.cancelled()
