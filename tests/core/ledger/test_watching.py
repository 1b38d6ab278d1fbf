"""The state of a ledger in metrics is what its database says, and nothing where the database does not answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import pytest
from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.coordination.idempotency import instance_lease
from strongroom.core.coordination.lease import Leases
from strongroom.core.errors import Forbidden, StrongroomError
from strongroom.core.guard.refusals import MAX_RULES, Refusals
from strongroom.core.intents.tables import intent
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.ledger.watching import EVERY_S, FREE_S, LedgerWatch
from strongroom.core.runtime.readings import Collection, Sample
from strongroom.core.runtime.telemetry import Metrics, Status
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.custody.custody import Custody
from strongroom.core.storage.database import Database
from strongroom.registry import LEDGERS
from support.clock import START_MS, ManualClock, SeededEntropy
from support.guarding import Guarded, asks, request
from support.tokens import TokenHouse

DAY_MS = 86_400_000


@dataclass(kw_only=True)
class Watched:
    definition: AnyLedger
    database: Database
    leases: Leases
    custody: Custody | None
    clock: Clock
    metrics: Metrics

    def collection(self, name: str, read: Callable[[], Awaitable[list[Sample]]]) -> Collection:
        failed = self.metrics.collection_failed
        return Collection(self.definition.name, name, read, clock=self.clock, failed=failed, every_s=EVERY_S)

    def value(self, name: str, **labels: str) -> float | None:
        read = self.metrics.registry.get_sample_value
        return read(f"strongroom_{name}", {"ledger": self.definition.name, **labels})


@pytest.fixture
def watched(database: Database, clock: ManualClock) -> Watched:
    return Watched(
        definition=LEDGERS[0],
        database=database,
        leases=Leases(database, clock, holder="me"),
        custody=None,
        clock=clock,
        metrics=Metrics("test"),
    )


def store_open(connection: Connection, number: int, age_ms: int) -> None:
    values = {
        "id": bytes([number]) * 32,
        "account": "a",
        "kind": "SEND",
        "payload": b"",
        "principal": "p",
        "request": "{}",
        "stage": "SIGNED",
        "outcome": "OPEN",
        "attempts": 1,
        "created_at_ms": START_MS - age_ms,
    }
    connection.execute(intent.insert(), values)


async def test_the_state_of_a_ledger(
    watched: Watched, clock: ManualClock, entropy: SeededEntropy, elsewhere: Callable[[str], object]
) -> None:
    database = watched.database
    guarded = Guarded(database, clock)
    tokens = TokenHouse(database, clock, entropy).tokens
    for name, days in (("never", None), ("soon", 6), ("later", 13), ("late", 90)):
        await tokens.create(OPERATOR, name, ["*"], None if days is None else START_MS + days * DAY_MS)
    for number, age_ms in enumerate((1_000, 61_000, 90_000)):
        await database.write(partial(store_open, number=number, age_ms=age_ms))
    await guarded.add("one", asks())
    await guarded.park(request())
    watch, value = LedgerWatch(watched), watched.value
    collection = watched.collection("ledger", watch.read)
    trail = watched.collection("trail", watch.read_trail)
    await collection.look()
    await trail.look()
    assert (value("payments_open"), value("payments_stuck")) == (3, 2)
    assert value("payments_oldest_open_age_seconds") == 90
    assert value("approvals_waiting") == 1
    assert [value("tokens_expiring", days=days) for days in ("1", "7", "14")] == [0, 1, 2]
    assert value("token_next_expiry_timestamp_seconds") == START_MS / 1000 + 6 * DAY_MS / 1000
    assert value("tokens") == 4
    assert value("freezes", scope="ledger") == 0
    assert value("audit_checkpoint_timestamp_seconds") is None
    assert (value("audit_uncovered_rows") or 0) > 4
    elsewhere("DROP TABLE strongroom_freeze")
    with pytest.raises(StrongroomError):
        await collection.look()
    assert value("payments_open") is None
    assert value("collection_failed", collection="ledger") == 1
    await trail.look()
    assert value("collection_failed", collection="trail") == 0
    assert (value("audit_uncovered_rows") or 0) > 4


async def test_work_that_nobody_does_is_seen_by_no_hosts_clock(watched: Watched, clock: ManualClock) -> None:
    watched.leases.wanted |= {"work": True, "other": False}
    await watched.leases.acquire("work")
    await watched.leases.acquire(instance_lease("me"))
    watch, value = LedgerWatch(watched), watched.value
    collection = watched.collection("ledger", watch.read)
    await collection.look()
    assert (value("lease_taken", lease="work"), value("lease_taken", lease="other")) == (1, 0)
    assert value("lease_holder", lease="work", holder="me") == 1
    assert value("instances") == 1
    clock.advance(max(FREE_S, watched.leases.ttl_s))
    await collection.look()
    assert (value("lease_taken", lease="work"), value("instances")) == (0, 0)
    assert watch.check().status is Status.DEGRADED  # nobody has held the other one since the first look
    await watched.leases.acquire("other")
    await collection.look()
    assert watch.check().status is Status.UP
    clock.advance(FREE_S)
    assert watch.check().detail == "nobody holds work: this work stands still"

    slow = ManualClock()  # of a host whose clock is half a minute behind
    slow.advance(clock.monotonic_s() - slow.monotonic_s() - 30)
    assert await Leases(watched.database, slow, holder="slow").acquire("third") is not None
    watched.leases.wanted["third"] = False
    await collection.look()
    assert value("lease_holder", lease="third", holder="slow") == 1


def test_refusals_are_counted_by_rule_and_never_without_end() -> None:
    metrics = Metrics("test")
    refusals = Refusals("toy", metrics)
    for number in range(MAX_RULES + 5):
        refusals.count(Forbidden("no", code="rule_denied", rule=f"rule {number}"))
    refusals.count(Forbidden("no", code="frozen"))

    def value(reason: str, rule: str) -> float | None:
        labels = {"ledger": "toy", "reason": reason, "rule": rule}
        return metrics.registry.get_sample_value("strongroom_rule_refusals_total", labels)

    assert value("rule_denied", "rule 99") == 1
    assert (value("rule_denied", "rule 100"), value("rule_denied", "other")) == (None, 5)
    assert value("frozen", "") == 1
