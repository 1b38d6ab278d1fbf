"""What a payment's life says, whatever became of it."""

from dataclasses import replace
from typing import Any

import pytest

from strongroom.core.guard.approvals.approval import Approval, ApprovalState, Purpose, Requirement, Vote
from strongroom.core.intents.execution import Execution, ExecutionState
from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.intents.payments import payment_of
from strongroom.core.ledger.life.facts import Delivery, Facts, Step, Word
from strongroom.core.ledger.life.tale import life_of
from strongroom.core.ledger.telling import Telling
from strongroom.core.security.access import Principal
from strongroom.core.webhooks.queue import EventState, QueuedEvent

NOW_MS = 10_000
SHOP = Principal(name="token:shop", scopes=frozenset(), request_id="order-1")
INTENT = Intent(
    id=bytes(32),
    account="alice",
    slot=None,
    kind="SEND",
    payload=b"",
    principal="token:shop",
    request="{}",
    stage="SIGNED",
    rule="small",
    request_id="order-1",
    client_key="invoice",
    created_at_ms=1_000,
    first_offered_at_ms=1_001,
    last_offered_at_ms=1_001,
)
ASKED = Approval(
    id="a1",
    purpose=Purpose.SIGNATURE,
    state=ApprovalState.PARKED,
    terms={},
    terms_hash=bytes(32),
    principal=SHOP,
    key="invoice",
    document={},
    requirements=(Requirement(rule="r", name="large", needed=2),),
    asked_at_ms=500,
    expires_at_ms=20_000,
    ended_at_ms=None,
    payload_id=None,
    reason=None,
)
EVENT = QueuedEvent(
    row=1,
    endpoint="e",
    id="evt_1",
    kind="payment.confirmed",
    stream="alice",
    payload="{}",
    created_at_ms=2_000,
    state=EventState.WAITING,
    attempts=0,
    due_at_ms=2_000,
    since_ms=None,
    status=None,
    trouble=None,
    ended_at_ms=None,
)


def told(approval: Approval | None = None, **facts: Any) -> list[Step]:
    intent, execution = facts.pop("intent", None), facts.pop("execution", None)
    payment = None if intent is None else payment_of("toy", intent, NOW_MS, execution)
    known = Facts(ledger="toy", payment=payment, network_id="AB", approval=approval, **facts)
    return list(life_of(known, NOW_MS).steps)


def test_each_step_is_one_line_with_its_time() -> None:
    accepted = replace(INTENT, outcome=Outcome.ACCEPTED, stage="CONFIRMED", resolved_at_ms=1_500)
    delivered = replace(EVENT, state=EventState.DELIVERED, attempts=2, status=200, ended_at_ms=2_500)
    spent = replace(
        ASKED,
        state=ApprovalState.SPENT,
        votes=(Vote(principal="token:ann", token=None, has_scope=True, at_ms=700, source=""),),
    )
    steps = told(
        spent,
        intent=accepted,
        deliveries=[Delivery(endpoint="books", event=delivered)],
        tellings=[Telling(to="CALLBACK_URL", told_at_ms=2_000, attempts=1)],
    )
    assert [(one.at_ms, one.word.value, one.text) for one in steps] == [
        (
            500,
            "asked",
            "It was asked for by token:shop, in the request order-1, which its client calls invoice.",
        ),
        (500, "waited", "It waited as a1 for approvals: the rule 'large' asks for 2."),
        (700, "approved", "token:ann approved it."),
        (1_000, "allowed", "The rule 'small' allowed it."),
        (1_000, "signed", "The signed bytes were stored before anybody got them: SEND AB."),
        (1_001, "offered", "It was first offered to the network."),
        (1_500, "confirmed", "The ledger has it (CONFIRMED)."),
        (2_000, "told", "CALLBACK_URL took it."),
        (2_500, "told", "The webhook books took payment.confirmed at attempt 2 (status 200)."),
    ]


@pytest.mark.parametrize(
    ("intent", "words"),
    [
        (
            replace(INTENT, attempts=3, last_offered_at_ms=9_000, last_answer="no", last_answer_at_ms=9_500),
            ["3 times in all so far", "last stood still: no.", "offers the same bytes again until"],
        ),
        (replace(INTENT, attempts=0, first_offered_at_ms=None), ["Its client has the signature"]),
        (
            replace(
                INTENT, outcome=Outcome.REJECTED, stage="expired", reason="too old", resolved_at_ms=5_000
            ),
            ["It ended without effect (expired): too old. Another may take its place."],
        ),
        (
            replace(INTENT, principal="system:receiver", rule=None),
            ["The service itself asked", "No rule had to"],
        ),
    ],
)
def test_where_it_stands_is_told(intent: Intent, words: list[str]) -> None:
    text = " ".join(one.text for one in told(intent=intent))
    for each in words:
        assert each in text
    assert ("Nothing is lost" in text) is intent.is_open


@pytest.mark.parametrize(
    ("state", "word", "text"),
    [
        (ExecutionState.SUCCEEDED, Word.CONFIRMED, "The ledger has it (final)."),
        (
            ExecutionState.FAILED,
            Word.FAILED,
            "The ledger has it (final), but what it asks for did not happen there: no money. A fee may be spent.",
        ),
        (
            ExecutionState.UNKNOWN,
            Word.UNVERIFIED,
            "The ledger has it (final); what it did there is not known: no money. Look it up before you count on it.",
        ),
    ],
)
def test_what_is_on_the_ledger_without_effect_is_not_confirmed(
    state: ExecutionState, word: Word, text: str
) -> None:
    accepted = replace(INTENT, outcome=Outcome.ACCEPTED, stage="final", resolved_at_ms=1_500)
    last = told(intent=accepted, execution=Execution(state=state, reason="no money"))[-1]
    assert (last.at_ms, last.word, last.text) == (1_500, word, text)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (EVENT, "is told payment.confirmed, not before 1970-01-01T00:00:02.000Z."),
        (replace(EVENT, attempts=3, trouble="status 500"), "(3 attempts so far: status 500)"),
        (
            replace(EVENT, state=EventState.DEAD, trouble="status 500"),
            "It is kept: strongroom webhook replay.",
        ),
    ],
)
def test_who_is_not_told_yet_stands_last(event: QueuedEvent, words: str) -> None:
    accepted = replace(INTENT, outcome=Outcome.ACCEPTED, resolved_at_ms=1_500)
    last = told(intent=accepted, deliveries=[Delivery(endpoint="books", event=event)])[-1]
    assert (last.word, last.at_ms) == (Word.NEXT, None)
    assert words in last.text


@pytest.mark.parametrize(
    ("approval", "words"),
    [
        (ASKED, "nothing is signed and no money has moved"),
        (replace(ASKED, state=ApprovalState.APPROVED), "The service signs it within seconds"),
        (replace(ASKED, state=ApprovalState.APPROVED, document=None), "Its client asks again"),
        (replace(ASKED, state=ApprovalState.REFUSED, reason="no", ended_at_ms=600), "It was refused: no."),
        (replace(ASKED, state=ApprovalState.FAILED, reason="late", ended_at_ms=600), "It failed: late."),
        (replace(ASKED, expires_at_ms=9_000), "Its time was over"),
    ],
)
def test_what_is_not_signed_says_what_it_waits_for(approval: Approval, words: str) -> None:
    steps = told(approval)
    assert [one.word for one in steps][:2] == [Word.ASKED, Word.WAITED]
    assert words in steps[-1].text


@pytest.mark.parametrize(
    ("network_id", "word", "text"),
    [
        ("AB", Word.SIGNED, "It was signed, once, as AB. No payment with this id is kept"),
        ("", Word.TOLD, "What it asked for was given out, once."),
    ],
)
def test_what_an_approval_was_spent_on_is_told_without_its_payment(
    network_id: str, word: Word, text: str
) -> None:
    """A message's signature, an export, or a payment whose time is over."""
    spent = replace(ASKED, state=ApprovalState.SPENT, ended_at_ms=900)
    known = Facts(ledger="toy", payment=None, network_id=network_id, approval=spent)
    last = life_of(known, NOW_MS).steps[-1]
    assert (last.at_ms, last.word) == (900, word)
    assert last.text.startswith(text)
