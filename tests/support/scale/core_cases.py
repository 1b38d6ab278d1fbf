"""Cases of the core: signatures, lists of payments, events to deliver, requests, the audit trail, and the loops that watch."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count, cycle
from typing import Any, cast

from sqlalchemy import Connection

from strongroom.bittensor.extrinsics.nonces import free_nonce
from strongroom.bittensor.jobs.retention import Retention
from strongroom.bittensor.jobs.store import find_job, last_job, waiting_jobs
from strongroom.core.coordination.idempotency import Idempotency
from strongroom.core.coordination.lease import Leases
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.guard.rows.check import find_problems
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentFilter, Payments, Position
from strongroom.core.intents.signing import Signing
from strongroom.core.intents.store import forget_resolved, list_intents, load_open
from strongroom.core.ledger import watching
from strongroom.core.messaging.backlog import read_backlog
from strongroom.core.messaging.outbox import Destination, Dispatcher, Outbox
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SigningGate
from strongroom.core.security.trail.reading import rows_of
from strongroom.core.storage.database import Database
from strongroom.core.transparency.reading import AuditFilter, TrailReader
from strongroom.core.transparency.verification import examine
from strongroom.core.webhooks.queue import (
    EventState,
    events_of_payment,
    forget_delivered,
    list_events,
    next_events,
    queue_states,
    record_dead,
    record_delivered,
    waiting_streams,
)
from support.clock import ManualClock, SeededEntropy
from support.intents.example_ledger import Pay, open_accounts
from support.scale.cases import Case, Kind
from support.scale.core_rows import BORN_MS, ENDPOINT, PER_WALLET, RARE, account, payment_id, wallet
from support.scale.ledger_rows import bittensor_subject
from support.tokens import TokenHouse
from support.trail import open_trail

PAGE = 50
PAYERS = 50
"""Each signs once: what it signed stays open."""
_keys = count()


async def core_cases(database: Database, size: int) -> list[Case]:
    clock = ManualClock(BORN_MS + 1000 * size)
    await open_accounts(database, *(f"payer-{number}" for number in range(PAYERS)))
    return [
        *await _requests(database, clock),
        *_payments(database, clock, size),
        *_deliveries(database, clock, size),
        *_loops(database, clock, size),
        *await _trail(database, size),
        *_bittensor(database, clock, size),
    ]


async def _requests(database: Database, clock: ManualClock) -> list[Case]:
    house = TokenHouse(database, clock, SeededEntropy(7))
    token = await house.tokens.create(OPERATOR, "measured", ["*"])
    leases = Leases(database, clock, "measured")
    idempotency = Idempotency(database, clock, leases)
    gate = SigningGate(Guard(clock, Default.ALLOW, key=open_trail()), Audit(clock, open_trail()))
    signing = Signing("example", database=database, gate=gate, clock=clock, metrics=Metrics("scale"))
    payers = (f"payer-{number}" for number in range(PAYERS))

    async def answered() -> None:
        attempt: Any = await idempotency.begin("token:measured", f"new-{next(_keys)}", bytes(32))
        await idempotency.finish(attempt, 200, "{}")

    return [
        Case(name="token checked", work=lambda: house.principal(token.secret)),
        Case(name="Idempotency-Key: new request, answered", work=answered),
        Case(
            name="signature: guard, intent, audit row",
            work=lambda: signing.sign(Pay(account=next(payers), amount=5)),
        ),
        Case(name="expired Idempotency-Keys deleted (none)", work=idempotency.purge),
    ]


def _payments(database: Database, clock: ManualClock, size: int) -> list[Case]:
    payments = Payments("example", database, clock)
    middle = Position(created_at_ms=BORN_MS + 500 * size, id=payment_id(size // 2))
    filters: dict[str, PaymentFilter] = {
        "all": PaymentFilter(),
        "wallet": PaymentFilter(wallet=wallet(size // PER_WALLET // 2)),
        "account": PaymentFilter(account=account(size // PER_WALLET // 2)),
        "state OPEN": PaymentFilter(state=Outcome.OPEN),
        "state REJECTED": PaymentFilter(state=Outcome.REJECTED),
        "kind": PaymentFilter(kind="SEND"),
        "kind, rare": PaymentFilter(kind=RARE),
        "principal": PaymentFilter(principal="token:caller-1"),
        "principal, rare": PaymentFilter(principal=f"token:{RARE}"),
        "token, rare": PaymentFilter(token=RARE),
        "rule, rare": PaymentFilter(rule=RARE),
        "request": PaymentFilter(request_id=f"request-{size // 2:027d}"),
        "wallet and state": PaymentFilter(wallet=wallet(size // PER_WALLET // 2), state=Outcome.ACCEPTED),
        "principal and state": PaymentFilter(principal=f"token:{RARE}", state=Outcome.ACCEPTED),
        "a minute": PaymentFilter(since_ms=BORN_MS + 500 * size, until_ms=BORN_MS + 500 * size + 60_000),
        "stuck": PaymentFilter(is_stuck=True),
    }

    def page(wanted: PaymentFilter, after: Position | None = None) -> Callable[[], Any]:
        return lambda: payments.page(wanted, after=after, limit=PAGE)

    return [
        Case(name="payment by id", work=lambda: payments.get(payment_id(size // 2))),
        Case(
            name="payment by Idempotency-Key",
            work=lambda: database.read(
                lambda c: list_intents(c, limit=20, client_key=f"key-{size // 2:032d}")
            ),
        ),
        *(Case(name=f"payments, first page: {name}", work=page(wanted)) for name, wanted in filters.items()),
        Case(name="payments, page from the middle on", work=page(PaymentFilter(), middle)),
    ]


def _deliveries(database: Database, clock: ManualClock, size: int) -> list[Case]:
    async def deliver(_event: object) -> None:
        """Nothing is delivered."""

    dispatcher = Dispatcher(
        Destination(name="example", deliver=deliver, delivered=lambda _connection, _event: None),
        database=database,
        outbox=Outbox(clock),
        clock=clock,
        entropy=SeededEntropy(1),
    )

    def read(work: Callable[[Connection], Any]) -> Callable[[], Any]:
        return lambda: database.read(work)

    taken = cycle(range((size - size // 10) // PER_WALLET + 1, size // PER_WALLET))

    def ended(is_dead: bool) -> Callable[[], Any]:
        """Each time the first event of another stream, which was tried before."""

        def work(connection: Connection) -> None:
            first = next_events(connection, ENDPOINT, account(next(taken)), 1)[0]
            tried = replace(first, since_ms=BORN_MS)
            if is_dead:
                record_dead(connection, tried, None, "gone", since_ms=BORN_MS, now_ms=clock.now_ms())
            else:
                record_delivered(connection, tried, 200, clock.now_ms())

        return lambda: database.write(work)

    all_states = tuple(EventState)
    return [
        Case(name="outbox: streams that wait", work=dispatcher._pending_streams),
        Case(name="outbox: next events of a stream", work=lambda: dispatcher._next_events(account(1))),
        Case(name="outbox: backlog", work=read(lambda c: read_backlog(c, "example"))),
        Case(
            name="webhooks: streams that wait, whole look",
            work=read(lambda c: waiting_streams(c, 0)),
            kind=Kind.WHOLE,
        ),
        Case(name="webhooks: event delivered after it failed", work=ended(is_dead=False)),
        Case(name="webhooks: event dead", work=ended(is_dead=True)),
        Case(
            name="webhooks: next events of a stream",
            work=read(lambda c: next_events(c, ENDPOINT, account((size - 1) // PER_WALLET), 10)),
        ),
        Case(
            name="webhooks: events of a payment",
            work=read(lambda c: events_of_payment(c, payment_id(size // 2))),
        ),
        Case(
            name="webhooks: page of events, all states",
            work=read(lambda c: list_events(c, ENDPOINT, states=all_states, limit=PAGE)),
        ),
        Case(
            name="webhooks: page of dead events",
            work=read(lambda c: list_events(c, ENDPOINT, states=[EventState.DEAD], limit=PAGE)),
        ),
        Case(
            name="webhooks: old deliveries deleted (none)",
            work=lambda: database.write(lambda c: forget_delivered(c, BORN_MS - 1)),
        ),
        Case(
            name="webhooks: state of the queues",
            work=read(lambda c: queue_states(c, [ENDPOINT])),
            kind=Kind.WHOLE,
        ),
    ]


def _loops(database: Database, clock: ManualClock, size: int) -> list[Case]:
    now_ms = clock.now_ms()

    def read(work: Callable[[Connection], Any]) -> Callable[[], Any]:
        return lambda: database.read(work)

    return [
        Case(name="open payments resumed", work=read(load_open)),
        Case(name="metrics of the ledger", work=read(lambda c: watching._find(c, now_ms)), kind=Kind.WHOLE),
        Case(name="metrics of the trail", work=read(watching._find_trail)),
        Case(
            name="tokens, rules and requests checked",
            work=read(partial(find_problems, key=open_trail())),
            kind=Kind.WHOLE,
        ),
        Case(
            name="resolved payments forgotten (none)",
            work=lambda: database.write(lambda c: forget_resolved(c, BORN_MS - 1)),
        ),
        Case(
            name="resolved payments forgotten, a batch",
            work=lambda: database.write(lambda c: forget_resolved(c, BORN_MS + 500 * size, at_most=5)),
        ),
    ]


async def _trail(database: Database, size: int) -> list[Case]:
    reader = TrailReader("example", database)
    ends = (await examine(database, open_trail())).ends

    async def thousand() -> None:
        last = min(1000, size // 16)
        _ = [row async for row in rows_of(database, 1, after=0, last=last)]

    async def since() -> None:
        await examine(database, open_trail(), since=ends)

    return [
        Case(name="audit: newest page", work=lambda: reader.page(AuditFilter(), limit=PAGE)),
        Case(
            name="audit: page of one subject, old",
            work=lambda: reader.page(AuditFilter(subject=RARE), limit=PAGE),
        ),
        Case(
            name="audit: page of one principal",
            work=lambda: reader.page(AuditFilter(principal="token:caller-1"), limit=PAGE),
        ),
        Case(
            name="audit: action that is not there",
            work=lambda: reader.page(AuditFilter(action="nothing"), limit=PAGE),
            kind=Kind.WHOLE,
        ),
        Case(name="audit verify: 1,000 rows of a lane", work=thousand, kind=Kind.OWN),
        Case(name="audit verify: since the last look", work=since, kind=Kind.WHOLE),
        Case(name="audit verify: all", work=lambda: examine(database, open_trail()), kind=Kind.WHOLE),
    ]


def _bittensor(database: Database, clock: ManualClock, size: int) -> list[Case]:
    retention = Retention(days=3650, database=database, clock=clock)
    middle = size // 2

    def read(work: Callable[[Connection], Any]) -> Callable[[], Any]:
        return lambda: database.read(work)

    return [
        Case(
            name="bittensor: job by key",
            work=read(lambda c: find_job(c, f"token:caller-{middle % 10}", f"key-{middle:032d}")),
        ),
        Case(
            name="bittensor: newest job of a subject", work=read(lambda c: last_job(c, bittensor_subject(0)))
        ),
        Case(name="bittensor: jobs that wait", work=read(waiting_jobs)),
        Case(
            name="bittensor: next nonce",
            work=lambda: database.write(lambda c: free_nonce(c, bytes(32), chain_says=5, final_number=9)),
        ),
        Case(name="bittensor: retention (nothing is old)", work=cast(Any, retention.purge)),
    ]
