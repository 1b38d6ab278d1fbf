"""What is decided of one request stays with it: other requests, other votes and other clients have no part in it."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, select

from strongroom.core.errors import ApprovalNeeded, Forbidden, InvalidInput
from strongroom.core.guard.approvals import administration, asking, store
from strongroom.core.guard.approvals.approval import ApprovalState, Vote
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import Deferral, SignatureRequest
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage import tables
from support.clock import ManualClock, SeededEntropy
from support.guarding import ADMIN, ANN, BEN, EVE, LIFETIME_S, TRADER, Guarded, asks, code, request, state
from support.trail import open_trail, verify

pytestmark = pytest.mark.anyio


async def test_what_is_decided_of_one_request_is_decided_of_no_other(
    guarded: Guarded, clock: ManualClock
) -> None:
    await guarded.add("one", asks())
    signed, approved, refused, waiting = [await guarded.park(request(key=key)) for key in "abcd"]
    for each in (signed, approved):
        await guarded.approvals.approve(ANN, each)
    await guarded.approvals.refuse(BEN, refused, "no")
    await guarded.add("eve", asks(1, EVE.name))
    assert await guarded.park(request(key="a")) == signed
    await guarded.approvals.approve(EVE, signed)
    await guarded.sign(request(key="a"))
    found = {each.id: each for each in await guarded.approvals.list(list(ApprovalState))}
    assert {each: one.state for each, one in found.items()} == {
        signed: ApprovalState.SPENT,
        approved: ApprovalState.APPROVED,
        refused: ApprovalState.REFUSED,
        waiting: ApprovalState.PARKED,
    }
    assert {each: [vote.principal for vote in one.votes] for each, one in found.items()} == {
        signed: [ANN.name, EVE.name],
        approved: [ANN.name],
        refused: [],
        waiting: [],
    }
    ended = {each: one.ended_at_ms for each, one in found.items()}
    assert ended == {signed: clock.now_ms(), approved: None, refused: clock.now_ms(), waiting: None}
    assert [len(found[each].requirements) for each in (signed, approved)] == [2, 1]
    assert found[refused].reason == "no (token:ben)"
    assert [one.reason for each, one in found.items() if each != refused] == [None] * 3


async def test_one_client_s_requests_do_not_fill_the_list(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MAX_WAITING", 2)
    await guarded.add("one", asks())
    first = await guarded.park(request(key="a"))
    await guarded.park(request(key="b"))
    for _ in range(2):
        assert await code(guarded, request(key="c")) == "too_many_approvals"
    assert await guarded.park(request(key="a")) == first
    other = Principal(name="token:other", scopes=TRADER.scopes)
    await guarded.park(request(key="c", principal=other))
    await guarded.approvals.refuse(ANN, first, "no")
    await guarded.park(request(key="c"))


async def test_what_is_over_takes_nobody_s_room_and_ends_with_its_row_when_it_is_asked_for_anew(
    guarded: Guarded, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MAX_WAITING", 2)
    await guarded.add("one", asks())
    over = await guarded.park(request())
    await guarded.park(request(key="a"))
    clock.advance(LIFETIME_S)
    anew = await guarded.park(request())
    await guarded.park(request(key="b"))
    assert await code(guarded, request(key="c")) == "too_many_approvals"
    columns = tables.audit.c
    rows = await guarded.database.fetch_all(
        select(columns.principal, columns.action)
        .where(columns.subject.in_([over, anew]))
        .order_by(columns.sequence)
    )
    assert [(row.principal, row.action) for row in rows] == [
        (TRADER.name, "approval.ask"),
        (TRADER.name, "approval.expired"),
        (TRADER.name, "approval.ask"),
    ]
    await verify(guarded.database)


async def test_a_stored_vote_of_whoever_asked_does_not_count(guarded: Guarded) -> None:
    """Nobody can cast one; one that a defect wrote opens nothing."""
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    vote = Vote(principal=TRADER.name, token=None, has_scope=True, at_ms=1, source="")
    approval = await guarded.approvals.show(waiting)

    def write(connection: Connection) -> None:
        store.insert_vote(connection, approval, vote)
        store.set_requirements(connection, approval, approval.requirements, ApprovalState.APPROVED)
        ApprovalRows(open_trail()).tag(connection, waiting)

    await guarded.database.write(write)
    assert await state(guarded, waiting) is ApprovalState.APPROVED
    assert await guarded.park(request()) == waiting
    assert await state(guarded, waiting) is ApprovalState.PARKED
    assert [each.principal for each in (await guarded.approvals.show(waiting)).votes] == [TRADER.name]


async def test_a_vote_that_comes_after_the_end_is_a_defect_and_is_not_stored(guarded: Guarded) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    approval = await guarded.approvals.refuse(BEN, waiting, "no")
    vote = Vote(principal=ANN.name, token=None, has_scope=True, at_ms=1, source="")
    with pytest.raises(AssertionError, match="is not parked any more"):
        await guarded.database.write(lambda connection: store.insert_vote(connection, approval, vote))
    assert (await guarded.approvals.show(waiting)).votes == ()


async def test_what_its_ledger_gives_up_fails_whether_or_not_it_was_approved(
    guarded: Guarded, clock: ManualClock
) -> None:
    """A client of one that still waited is not told that somebody approved it."""
    await guarded.add("one", asks())
    waiting, approved = await guarded.park(request(key="a")), await guarded.park(request(key="b"))
    other = await guarded.park(request(amount_raw=6, key="c"))
    await guarded.approvals.approve(ANN, approved)
    withdrawals = Withdrawals("toy", Audit(clock, open_trail()), clock)
    await guarded.database.write(
        lambda connection: withdrawals.withdraw(connection, {"amount": 5}, "given up")
    )
    for key, each in (("a", waiting), ("b", approved)):
        with pytest.raises(Forbidden) as raised:
            await guarded.sign(request(key=key))
        assert raised.value.instance_code == "approval_failed"
        assert raised.value.message == f"The request {each} could not be carried out: given up"
    assert await state(guarded, other) is ApprovalState.PARKED
    await verify(guarded.database)


async def test_nobody_carries_out_what_waits_still(guarded: Guarded) -> None:
    """Not even when no rule asks for it any more: only its client may ask for it then."""
    await guarded.add("one", asks())
    waiting = await guarded.park(request(key="k"))
    with pytest.raises(ApprovalNeeded):
        await guarded.sign(request(key="k", approval=waiting))
    await guarded.rules.remove(ADMIN, "one")
    assert await code(guarded, request(key="k", approval=waiting)) == "approval_spent"
    assert await state(guarded, waiting) is ApprovalState.PARKED


async def test_a_rule_that_came_and_went_asks_no_more(guarded: Guarded) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    await guarded.approvals.approve(ANN, waiting)
    await guarded.add("eve", asks(1, EVE.name))
    assert await guarded.park(request()) == waiting
    await guarded.rules.remove(ADMIN, "eve")
    with pytest.raises(ApprovalNeeded):
        await guarded.ask(request())
    assert (await guarded.sign(request())).approval == waiting, "one has said yes, as the other rule asks"


async def test_what_is_signed_or_refused_is_so_after_its_time(guarded: Guarded, clock: ManualClock) -> None:
    await guarded.add("one", asks())
    signed, refused = await guarded.park(request(key="a")), await guarded.park(request(key="b"))
    await guarded.approvals.approve(ANN, signed)
    await guarded.sign(request(key="a"))
    await guarded.approvals.refuse(ANN, refused, "no")
    clock.advance(2 * LIFETIME_S)
    assert await state(guarded, signed) is ApprovalState.SPENT
    assert await state(guarded, refused) is ApprovalState.REFUSED
    assert await code(guarded, request(key="a")) == "approval_spent"
    assert await code(guarded, request(key="b")) == "approval_refused"
    assert await code(guarded, request(key="b", approval=refused)) == "approval_refused"


async def test_what_is_signed_is_bound_where_nothing_else_names_its_content(guarded: Guarded) -> None:
    def bare(content: bytes, payload: bytes) -> SignatureRequest:
        return replace(request(), content_hash=content or None, payload_hash=payload)

    await guarded.add("one", asks())
    first, second = bytes(32), bytes([1] * 32)
    assert await guarded.park(bare(b"", first)) != await guarded.park(bare(b"", second))
    assert await guarded.park(bare(b"content", first)) == await guarded.park(bare(b"content", second))
    assert await guarded.park(bare(b"content", first)) != await guarded.park(bare(b"other", first))


@pytest.mark.parametrize("reason", ["", " ", "n" * 501, "line\nbreak"])
async def test_a_refusal_says_why_in_one_line(guarded: Guarded, reason: str) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    with pytest.raises(InvalidInput):
        await guarded.approvals.refuse(ANN, waiting, reason)
    assert await state(guarded, waiting) is ApprovalState.PARKED
    await guarded.approvals.refuse(ANN, waiting, "n" * 500)


async def test_a_decision_wakes_whoever_carries_out(guarded: Guarded) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    assert not guarded.approvals.decided.is_set()
    await guarded.approvals.approve(ANN, waiting)
    assert guarded.approvals.decided.is_set()


async def test_the_newest_are_listed_first_and_no_more_than_asked_for(
    guarded: Guarded, clock: ManualClock
) -> None:
    await guarded.add("one", asks())
    made = []
    for key in "abc":
        made.append(await guarded.park(request(key=key)))
        clock.advance(1)
    assert [each.id for each in await guarded.approvals.list()] == made[::-1]
    assert [each.id for each in await guarded.approvals.page(limit=2)] == [made[2], made[1]]


async def paged(guarded: Guarded, limit: int, **parts: Any) -> list[list[str]]:
    pages: list[list[str]] = []
    while not pages or len(pages[-1]) == limit:
        after = pages[-1][-1] if pages else None
        page = await guarded.approvals.page(after=after, limit=limit, **parts)
        pages.append([each.id for each in page])
    return pages


async def test_pages_have_every_request_once_whatever_comes_and_ends_between_them(
    guarded: Guarded, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that were asked for in the same millisecond."""
    await guarded.add("one", asks())
    made = []
    for number in range(7):
        made.append(await guarded.park(request(key=str(number))))
        clock.advance(number % 2)
    listed = [each.id for each in await guarded.approvals.list()]
    assert sorted(listed) == sorted(made)
    for limit in (1, 2, 3, 7, 8):
        assert [one for page in await paged(guarded, limit) for one in page] == listed
    monkeypatch.setattr(administration, "MAX_PAGE", 2)
    assert [each.id for each in await guarded.approvals.list()] == listed

    first = [each.id for each in await guarded.approvals.page(limit=3)]
    clock.advance(1)
    later = await guarded.park(request(key="later"))
    await guarded.approvals.refuse(ANN, first[-1], "no")
    rest = await guarded.approvals.page(after=first[-1])
    assert [*first, *(each.id for each in rest)] == listed
    assert (await guarded.approvals.page(limit=1))[0].id == later
    with pytest.raises(InvalidInput) as raised:
        await guarded.approvals.page(after="nothing")
    assert raised.value.instance_code == "invalid_cursor"


async def test_a_page_is_full_of_what_was_asked_for(guarded: Guarded, clock: ManualClock) -> None:
    """What is over by time fills no page of what waits, and what others asked for none of one's own."""
    await guarded.add("one", asks())
    other = Principal(name="token:other", scopes=TRADER.scopes)
    over = await guarded.park(request(key="a"))
    clock.advance(LIFETIME_S - 1)
    mine = [await guarded.park(request(key=key)) for key in "bc"]
    theirs = await guarded.park(request(key="b", principal=other))
    clock.advance(1)
    assert await paged(guarded, 1, asked_by=other.name) == [[theirs], []]
    assert {each.id for each in await guarded.approvals.page(asked_by=TRADER.name)} == {*mine}
    assert [each.id for each in await guarded.approvals.page([ApprovalState.EXPIRED], limit=1)] == [over]
    parked = await guarded.approvals.page([ApprovalState.PARKED], limit=3)
    assert {each.id for each in parked} == {*mine, theirs}
    assert await guarded.approvals.page([ApprovalState.APPROVED, ApprovalState.SPENT]) == []


async def test_no_token_approves_what_one_that_it_made_asks_for_but_the_machine_s_operator_does(
    guarded: Guarded, clock: ManualClock
) -> None:
    tokens = Tokens(
        guarded.database, Audit(clock, open_trail()), clock, SeededEntropy(), scopes=("toy:send",)
    )
    of_maker = await tokens.create(OPERATOR, "maker", ["toy:send"])
    maker = Principal(name="token:maker", scopes=frozenset({"toy:approve"}), token=of_maker.id)
    await guarded.add("one", asks())
    for maker_of_it, key in ((maker, "a"), (OPERATOR, "b")):
        giver = maker_of_it
        made = await tokens.create(giver, f"shop {key}", ["toy:send"])
        shop = Principal(name=f"token:shop {key}", scopes=TRADER.scopes, token=made.id)
        waiting = await guarded.park(request(key=key, principal=shop))
        if giver is maker:
            with pytest.raises(Forbidden) as raised:
                await guarded.approvals.approve(giver, waiting)
            assert raised.value.instance_code == "approval_own"
            other = await tokens.create(OPERATOR, "other", ["toy:send"])
            giver = Principal(name="token:other", scopes=maker.scopes, token=other.id)
        found = await guarded.approvals.approve(giver, waiting)
        assert found.state is ApprovalState.APPROVED


async def test_who_a_later_rule_names_may_decide_what_waits_already(guarded: Guarded) -> None:
    await guarded.add("two", asks(2))
    waiting = await guarded.park(request())
    await guarded.add("eve", asks(1, EVE.name))
    with pytest.raises(Forbidden):
        await guarded.approvals.approve(EVE, waiting)
    assert await guarded.park(request()) == waiting
    for person in (ANN, BEN, EVE):
        await guarded.approvals.approve(person, waiting)
    assert (await guarded.sign(request())).approval == waiting


@pytest.mark.parametrize(
    ("document", "how"), [({"amount": 5}, "approved, it is signed"), (None, "ask again")]
)
async def test_whoever_asks_is_told_whether_to_ask_again(
    guarded: Guarded, document: dict[str, int] | None, how: str
) -> None:
    await guarded.add("one", asks())
    asked = replace(request(), deferral=Deferral(key=None, document=document, approval=None))
    with pytest.raises(ApprovalNeeded, match=how):
        await guarded.sign(asked)
