"""Lists of payments: filters, pages that stay right while payments are added, and what each payment says."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from strongroom.core.clock import parse_instant
from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.intents.intent import Accepted, Intent, Outcome, Rejected
from strongroom.core.intents.payments import (
    STUCK_AFTER_MS,
    Paid,
    PaymentFilter,
    Payments,
    Position,
    document_of,
    newest_first,
    parse_payment_id,
)
from strongroom.core.intents.signing import Signing, request_of
from strongroom.core.intents.store import adopt, record_accepted, record_rejected
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import Allowed, Granted, Payment, SignatureRequest, SigningGate
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.guarding import Guarded
from support.intents.example_ledger import CALLER, Pay, open_accounts
from support.tokens import TokenHouse
from support.trail import open_trail

pytestmark = pytest.mark.anyio


@pytest.fixture
def payments(database: Database, clock: ManualClock) -> Payments:
    return Payments("example", database, clock)


def intent_of(number: int, **parts: Any) -> Intent:
    known: dict[str, Any] = {
        "id": number.to_bytes(32, "big"),
        "account": "alice",
        "slot": None,
        "kind": "PAY",
        "payload": b"signed",
        "principal": "token:shop",
        "request": json.dumps({"amountRaw": "5", "destination": "bob", "kind": "PAY", "memo": "tea"}),
        "stage": "signed",
        "wallet": "hot",
        "token": "0123456789abcdef",
        "created_at_ms": number,
    }
    return Intent(**known | parts)


async def store(database: Database, *intents: Intent) -> None:
    for one in intents:
        await database.write(partial(adopt, intent=one))


async def numbers(payments: Payments, limit: int = 100, **wanted: Any) -> list[int]:
    return [int.from_bytes(one.id) for one in await payments.page(PaymentFilter(**wanted), limit=limit)]


async def test_a_payment_says_who_asked_for_it_and_which_rule_allowed_it(
    database: Database, clock: ManualClock, entropy: SeededEntropy, payments: Payments
) -> None:
    await open_accounts(database, "alice")
    made = await TokenHouse(database, clock, entropy).tokens.create(OPERATOR, "shop", ["*"])
    guarded = Guarded(database, clock)
    await guarded.rules.add(OPERATOR, "small sums", '{"effect": "allow", "when": {"principals": ["shop"]}}')
    gate = SigningGate(Guard(clock, Default.DENY, key=open_trail()), Audit(clock, open_trail()))
    signing = Signing("example", database=database, gate=gate, clock=clock, metrics=Metrics("test"))
    intent = await signing.sign(Pay(account="alice", amount=7, principal=replace(CALLER, token=made.id)))
    found = await payments.get(intent.id)
    assert (found.principal, found.token, found.rule) == ("shop", made.id, "small sums")
    assert (found.amount_raw, found.state, found.is_stuck) == ("7", Outcome.OPEN, False)
    assert found.reason == "Offered once; the network has neither shown it nor proven that it never will"
    assert [one.id for one in await payments.page(PaymentFilter(rule="small sums"))] == [intent.id]
    assert document_of(found, "0xAB")["id"] == "0xAB"


async def test_filters_hold_together(database: Database, clock: ManualClock, payments: Payments) -> None:
    await store(
        database,
        intent_of(1),
        intent_of(2, account="bob"),
        intent_of(3, wallet="cold"),
        intent_of(4, kind="CHANGE", principal="operator", token=None),
        intent_of(5, rule="small"),
        intent_of(6),
    )
    await database.write(lambda c: record_accepted(c, intent_of(6), Accepted(), clock.now_ms()))
    rejected = Rejected(reason="no money", stage="rule")
    await database.write(lambda c: record_rejected(c, intent_of(5), rejected, clock.now_ms()))
    assert await numbers(payments) == [6, 5, 4, 3, 2, 1]
    assert await numbers(payments, account="bob") == [2]
    assert await numbers(payments, wallet="cold") == [3]
    assert await numbers(payments, kind="CHANGE", principal="operator") == [4]
    assert await numbers(payments, kind="CHANGE", principal="token:shop") == []
    assert await numbers(payments, token="0123456789abcdef", since_ms=3, until_ms=6) == [5, 3]
    assert await numbers(payments, rule="small") == [5]
    assert await numbers(payments, state=Outcome.ACCEPTED) == [6]
    assert (await payments.get(intent_of(5).id)).reason == "no money"
    assert await numbers(payments, is_stuck=True) == [4, 3, 2, 1]
    assert await numbers(payments, is_stuck=True, state=Outcome.REJECTED) == []


async def test_a_payment_is_stuck_after_a_minute(
    database: Database, clock: ManualClock, payments: Payments
) -> None:
    now_ms = clock.now_ms()
    await store(database, intent_of(now_ms), intent_of(now_ms - STUCK_AFTER_MS))
    assert await numbers(payments, is_stuck=True) == [now_ms - STUCK_AFTER_MS]
    clock.advance(STUCK_AFTER_MS / 1000)
    assert await numbers(payments, is_stuck=True) == [now_ms, now_ms - STUCK_AFTER_MS]


async def test_pages_neither_repeat_nor_miss_a_payment_while_others_come(
    database: Database, payments: Payments
) -> None:
    """Also among those of one millisecond."""
    await store(database, *(intent_of(number, created_at_ms=7) for number in range(10)))
    seen, last = list[int](), None
    for round_ in range(5):
        page = await payments.page(PaymentFilter(), after=last, limit=3)
        seen += [int.from_bytes(one.id) for one in page]
        await store(database, intent_of(100 + round_, created_at_ms=8 + round_))
        if page:
            last = Position(created_at_ms=page[-1].created_at_ms, id=page[-1].id)
    assert seen == [*reversed(range(10))]


async def test_what_pays_several_says_so(database: Database, payments: Payments) -> None:
    class Several(SignatureRequest):
        @property
        def payments(self) -> tuple[Payment, ...]:
            return (
                Payment(destination="a", amount_raw=2**70),
                Payment(destination=None, amount_raw=1, asset="cd"),
            )

    asked = Several(
        principal=Principal(name="x", scopes=frozenset()),
        scope="",
        account="alice",
        kind="PAY",
        payload_hash=bytes(32),
        is_amount_known=False,
    )
    request = request_of(Granted(request=asked, signature=b"", allowed=Allowed()), {"memo": "tea"})
    await store(database, intent_of(1, request=request, attempts=0, wallet=""))
    found = await payments.get(intent_of(1).id)
    assert found.payments == (
        Paid(destination="a", amount_raw=str(2**70)),
        Paid(destination=None, amount_raw="1", asset="cd"),
    )
    assert (found.amount_raw, found.details) == (None, {"hash": "00" * 32, "memo": "tea"})
    assert found.reason == "The client got the signature and submits it; the network has not shown it yet"


async def test_an_unknown_payment_is_told(payments: Payments) -> None:
    with pytest.raises(NotFound):
        await payments.get(bytes(32))


async def test_payments_of_several_ledgers_have_one_order(database: Database, clock: ManualClock) -> None:
    await store(database, intent_of(1), intent_of(3), intent_of(2))
    found = [
        one for name in ("b", "a") for one in await Payments(name, database, clock).page(PaymentFilter())
    ]
    assert [(one.created_at_ms, one.ledger) for one in newest_first(found)] == [
        (3, "a"),
        (3, "b"),
        (2, "a"),
        (2, "b"),
        (1, "a"),
        (1, "b"),
    ]


@pytest.mark.parametrize("text", ["", "0x", "ab", "zz" * 32, "ab" * 33, "ab " * 32, "0x0x" + "ab" * 31])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="64 hexadecimal digits"):
        parse_payment_id(text)


def test_an_id_is_read_in_every_networks_way() -> None:
    assert parse_payment_id("0x" + "Ab" * 32) == b"\xab" * 32


@pytest.mark.parametrize("text", ["2026-11-21T08:57:00", "yesterday", "", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a moment"):
        parse_instant(text)


def test_moments_are_read() -> None:
    assert parse_instant("1970-01-02") == 86_400_000
    assert parse_instant("1970-01-01T01:00:00.123+01:00") == 123


async def test_what_was_signed_is_counted_by_the_time(database: Database, payments: Payments) -> None:
    await store(database, *(intent_of(number) for number in (99, 100, 109, 110, 139, 140)))
    assert await payments.signed(100, 10, 4) == [2, 1, 0, 1]
    assert await payments.signed(1000, 10, 2) == [0, 0]
