"""Requests that people must approve: who decides, what is bound, and that it is spent once."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from strongroom.core.errors import (
    ApprovalNeeded,
    Conflict,
    Forbidden,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from strongroom.core.guard.approvals.approval import ApprovalState, Unapproved
from strongroom.core.guard.approvals.carrying_out import ApprovedRequest, CarryingOut
from strongroom.core.guard.approvals.parking import ATTEMPTS
from strongroom.core.guard.guard import Default
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import ANONYMOUS, OPERATOR, Principal, system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SigningGate
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.guarding import ADMIN, ANN, BEN, EVE, LIFETIME_S, TRADER, Guarded, asks, code, request, state
from support.trail import open_trail, verify

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_request_waits_is_approved_and_signed_once(guarded: Guarded, key: str | None) -> None:
    await guarded.add("two", asks(2))
    asked = request(key=key)
    waiting = await guarded.park(asked)
    assert await guarded.park(asked) == waiting
    await guarded.approvals.approve(ANN, waiting)
    assert await guarded.park(asked) == waiting
    found = await guarded.approvals.approve(BEN, waiting)
    assert found.state is ApprovalState.APPROVED
    assert (await guarded.ask(asked)) is None
    assert (await guarded.sign(asked)).approval == waiting
    assert await state(guarded, waiting) is ApprovalState.SPENT
    if key is None:
        assert await guarded.park(asked) != waiting
    else:
        assert await code(guarded, asked) == "approval_spent"
    assert await code(guarded, request(key=key, approval=waiting)) == "approval_spent"
    await verify(guarded.database)


async def test_each_step_is_in_the_audit_trail(guarded: Guarded) -> None:
    await guarded.add("one", asks())
    approved, refused = await guarded.park(request(key="a")), await guarded.park(request(key="b"))
    await guarded.approvals.approve(ANN, approved)
    await guarded.approvals.refuse(BEN, refused, "no")
    is_step = tables.audit.c.action != "policy.state"
    rows = await guarded.database.fetch_all(
        select(tables.audit).where(is_step).order_by(tables.audit.c.sequence)
    )
    assert [(row.principal, row.action, row.subject) for row in rows[1:]] == [
        (TRADER.name, "approval.ask", approved),
        (TRADER.name, "approval.ask", refused),
        (ANN.name, "approval.approve", approved),
        (BEN.name, "approval.refuse", refused),
    ]
    assert json.loads(rows[1].details)["terms"]["payments"] == [
        {"destination": "shop", "amountRaw": "5", "asset": ""}
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"amount_raw": 6},
        {"destination": "thief"},
        {"destination": None},
        {"wallet": "cold"},
        {"account": "hot/1"},
        {"kind": "RECEIVE"},
        {"is_amount_known": False},
        {"facts": {"netuid": 1}},
    ],
)
async def test_an_approval_holds_for_nothing_else(guarded: Guarded, other: Mapping[str, Any]) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    await guarded.approvals.approve(ANN, waiting)
    assert await guarded.park(request(**other)) != waiting
    with pytest.raises(IdempotencyMismatch):
        await guarded.sign(request(**other, approval=waiting))
    keyed = await guarded.park(request(key="k"))
    await guarded.approvals.approve(ANN, keyed)
    with pytest.raises(IdempotencyMismatch):
        await guarded.sign(request(**other, key="k"))
    assert await state(guarded, waiting) is await state(guarded, keyed) is ApprovalState.APPROVED


async def test_an_approval_holds_for_nobody_else(guarded: Guarded) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request(key="k"))
    await guarded.approvals.approve(ANN, waiting)
    other = Principal(name="token:other", scopes=frozenset({"*"}))
    assert await guarded.park(request(key="k", principal=other)) != waiting
    assert await code(guarded, request(principal=other, approval=waiting)) == "approval_spent"


async def test_nobody_approves_their_own_nor_twice_nor_without_being_asked(guarded: Guarded) -> None:
    await guarded.add("one", asks(2))
    waiting = await guarded.park(request())
    own = Principal(name=TRADER.name, scopes=frozenset({"*"}), token="another")
    for principal, why in (
        (own, "approval_own"),
        (EVE, "approval_not_yours"),
        (ANONYMOUS, "approval_not_yours"),
        (system_principal("toy-receiver"), "approval_not_yours"),
    ):
        with pytest.raises(Forbidden) as raised:
            await guarded.approvals.approve(principal, waiting)
        assert raised.value.instance_code == why
    await guarded.approvals.approve(ANN, waiting)
    with pytest.raises(Conflict) as twice:
        await guarded.approvals.approve(ANN, waiting)
    assert twice.value.instance_code == "approval_voted"
    assert await state(guarded, waiting) is ApprovalState.PARKED
    with pytest.raises(NotFound):
        await guarded.approvals.approve(ANN, "nothing")


async def test_a_rule_may_name_who_approves(guarded: Guarded) -> None:
    await guarded.add("named", asks(1, EVE.name, "operator:cleo"))
    waiting = await guarded.park(request())
    with pytest.raises(Forbidden):
        await guarded.approvals.approve(ANN, waiting)
    with pytest.raises(Forbidden):
        await guarded.approvals.approve(OPERATOR, waiting)
    assert (await guarded.approvals.approve(EVE, waiting)).state is ApprovalState.APPROVED


async def test_all_rules_that_ask_must_be_satisfied(guarded: Guarded) -> None:
    await guarded.add("anybody", asks())
    await guarded.add("eve", asks(1, EVE.name))
    waiting = await guarded.park(request())
    await guarded.approvals.approve(ANN, waiting)
    assert await state(guarded, waiting) is ApprovalState.PARKED
    await guarded.approvals.approve(EVE, waiting)
    assert (await guarded.sign(request())).approval == waiting


@pytest.mark.parametrize("key", [None, "k"])
async def test_one_refusal_ends_it_also_after_approval(guarded: Guarded, key: str | None) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request(key=key))
    await guarded.approvals.approve(ANN, waiting)
    with pytest.raises(InvalidInput):
        await guarded.approvals.refuse(BEN, waiting, " ")
    with pytest.raises(Forbidden):
        await guarded.approvals.refuse(EVE, waiting, "no")
    await guarded.approvals.refuse(BEN, waiting, "not this month")
    with pytest.raises(Forbidden, match="not this month \\(token:ben\\)") as raised:
        await guarded.sign(request(key=key, approval=waiting))
    assert raised.value.instance_code == "approval_refused"
    if key is None:
        assert await guarded.park(request()) != waiting
    else:
        assert await code(guarded, request(key=key)) == "approval_refused"
    with pytest.raises(Conflict, match="refused already"):
        await guarded.approvals.approve(BEN, waiting)


async def test_whoever_asked_may_withdraw_it(guarded: Guarded) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    await guarded.approvals.refuse(TRADER, waiting, "a mistake")
    assert await state(guarded, waiting) is ApprovalState.REFUSED


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("approved", [True, False])
async def test_nothing_is_signed_when_the_time_is_over(
    guarded: Guarded, clock: ManualClock, key: str | None, approved: bool
) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request(key=key))
    if approved:
        await guarded.approvals.approve(ANN, waiting)
    clock.advance(LIFETIME_S)
    assert await state(guarded, waiting) is ApprovalState.EXPIRED
    assert [each.id for each in await guarded.approvals.list()] == []
    assert [each.id for each in await guarded.approvals.list([ApprovalState.EXPIRED])] == [waiting]
    assert await code(guarded, request(key=key, approval=waiting)) == "approval_expired"
    with pytest.raises(Conflict, match="expired already"):
        await guarded.approvals.approve(BEN, waiting)
    if key is None:
        assert await guarded.park(request()) != waiting
    else:
        assert await code(guarded, request(key=key)) == "approval_expired"


async def test_only_what_goes_beyond_an_amount_waits(guarded: Guarded) -> None:
    await guarded.add("big", asks(limit={"amount_raw": "10"}))
    assert (await guarded.sign(request(amount_raw=10))).approval is None
    await guarded.park(request(amount_raw=11))
    await guarded.park(request(amount_raw=0, is_amount_known=False))


async def test_what_goes_beyond_a_window_waits_and_is_counted_elsewhere_alone(guarded: Guarded) -> None:
    await guarded.add("ask", asks(limit={"amount_raw": "10", "seconds": 60}))
    await guarded.add("deny", {"effect": "deny", "limit": {"amount_raw": "30", "seconds": 60}})
    await guarded.sign(request(amount_raw=8))
    waiting = await guarded.park(request(amount_raw=20))
    await guarded.approvals.approve(ANN, waiting)
    await guarded.sign(request(amount_raw=20))
    assert (await guarded.sign(request(amount_raw=2))).approval is None  # 10 passed unasked
    assert await code(guarded, request(amount_raw=1)) == "rule_limit"  # 30 passed in all


async def test_no_approval_overrides_what_denies_or_freezes(guarded: Guarded) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    await guarded.approvals.approve(ANN, waiting)
    await guarded.add("deny", {"effect": "deny"})
    assert await code(guarded, request(approval=waiting)) == "rule_denied"
    await guarded.rules.remove(ADMIN, "deny")
    await guarded.rules.freeze(ADMIN, FreezeScope.WALLET, "hot", "a theft")
    assert await code(guarded, request()) == "frozen"
    assert await state(guarded, waiting) is ApprovalState.APPROVED
    await guarded.rules.unfreeze(ADMIN, FreezeScope.WALLET, "hot")
    assert (await guarded.sign(request())).approval == waiting


async def test_a_rule_that_asks_allows_nothing(database: Database, clock: ManualClock) -> None:
    guarded = Guarded(database, clock, default=Default.DENY)
    await guarded.add("one", asks())
    assert await code(guarded, request()) == "no_rule_allows"
    assert await guarded.approvals.list() == []


async def test_a_rule_that_came_later_asks_too(guarded: Guarded) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    await guarded.approvals.approve(ANN, waiting)
    await guarded.add("eve", asks(1, EVE.name))
    assert await guarded.park(request()) == waiting
    assert await state(guarded, waiting) is ApprovalState.PARKED
    assert {one.name for one in (await guarded.approvals.show(waiting)).requirements} == {"one", "eve"}
    await guarded.approvals.approve(EVE, waiting)
    assert await guarded.ask(request()) is None
    assert (await guarded.sign(request())).approval == waiting


@pytest.mark.parametrize("key", [None, "k"])
async def test_what_no_longer_needs_approval_spends_it_all_the_same(
    guarded: Guarded, clock: ManualClock, key: str | None
) -> None:
    """Otherwise it would be paid twice: when it is repeated, and when somebody approves it."""
    other = Guarded(guarded.database, clock, seed=2)
    await guarded.add("one", asks())
    waiting = await guarded.park(request(key=key))
    await guarded.rules.remove(ADMIN, "one")
    for each in (guarded, other):
        await each.sign(request(amount_raw=1, key=None))
    assert await other.ask(request(key=key)) is None
    assert (await other.sign(request(key=key))).approval == waiting
    with pytest.raises(Conflict):
        await guarded.approvals.approve(ANN, waiting)
    assert await code(guarded, request(key=key, approval=waiting)) == "approval_spent"
    begun_since = Guarded(guarded.database, clock, seed=3)  # it knows of no rule and of nothing that waits
    assert await code(begun_since, request(key=key, approval=waiting)) == "approval_spent"
    assert await code(begun_since, request(approval="nothing")) == "approval_spent"


async def test_votes_of_the_frozen_and_the_revoked_do_not_count(guarded: Guarded) -> None:
    created = {
        "secret_hash": bytes(32),
        "scopes": "[]",
        "created_at_ms": 1,
    }
    rows = [{"id": name, "name": name, **created} for name in ("ann", "ben", "trader")]
    await guarded.database.write(lambda connection: connection.execute(tables.token.insert(), rows))
    for row in rows:
        await tag_token(guarded, str(row["id"]), "token.create")
    ann = Principal(name="token:ann", scopes=ANN.scopes, token="ann")
    ben = Principal(name="token:ben", scopes=BEN.scopes, token="ben")
    await guarded.add("two", asks(2))
    waiting = await guarded.park(request())
    await guarded.approvals.approve(ann, waiting)
    await guarded.approvals.approve(ben, waiting)
    await guarded.rules.freeze(ADMIN, FreezeScope.TOKEN, "ben", "it leaked")
    assert await guarded.park(request()) == waiting
    assert await state(guarded, waiting) is ApprovalState.PARKED
    with pytest.raises(Forbidden, match="frozen"):
        await guarded.approvals.refuse(ben, waiting, "no")
    await guarded.rules.unfreeze(ADMIN, FreezeScope.TOKEN, "ben")
    await revoke(guarded, "ann")
    assert await guarded.park(request()) == waiting
    with pytest.raises(Unauthenticated):
        await guarded.approvals.refuse(ann, waiting, "no")
    await guarded.approvals.approve(Principal(name="operator:cleo", scopes=OPERATOR.scopes), waiting)
    await revoke(guarded, "trader")
    trader = Principal(name=TRADER.name, scopes=TRADER.scopes, token="trader")
    with pytest.raises(Unauthenticated):
        await guarded.sign(request(principal=trader, approval=waiting))
    assert await state(guarded, waiting) is ApprovalState.APPROVED


async def revoke(guarded: Guarded, token: str) -> None:
    statement = update(tables.token).where(tables.token.c.id == token).values(revoked_at_ms=1)
    await guarded.database.write(lambda connection: connection.execute(statement))
    await tag_token(guarded, token, "token.revoke")


async def tag_token(guarded: Guarded, token: str, action: str) -> None:
    """As the service does after each change of a token."""

    def work(connection: Connection) -> None:
        sequence = Audit(ManualClock(), open_trail()).append(connection, OPERATOR, action, token)
        TokenRows(open_trail()).tag(connection, token, sequence)

    await guarded.database.write(work)


async def test_the_service_waits_for_nobody(guarded: Guarded) -> None:
    await guarded.add("all", asks())
    receiver = system_principal("toy-receiver")
    assert (await guarded.sign(request(principal=receiver, kind="RECEIVE"))).approval is None


async def test_a_question_parks_nothing(guarded: Guarded) -> None:
    await guarded.add("all", asks())
    with pytest.raises(ApprovalNeeded, match="the rule 'all' asks for 1"):
        await guarded.ask(request())
    assert await guarded.approvals.list() == []


async def test_two_processes_park_one_request_and_spend_one_approval(
    database: Database, replica: Database, clock: ManualClock
) -> None:
    replicas = Guarded(database, clock), Guarded(replica, clock, seed=2)
    await replicas[0].add("one", asks())
    for number in range(20):
        asked = request(key=f"k{number}")
        ids = await asyncio.gather(*(each.park(asked) for each in replicas * 2))
        assert len(set(ids)) == 1
        votes = await asyncio.gather(
            replicas[0].approvals.approve(ANN, ids[0]),
            replicas[1].approvals.approve(BEN, ids[0]),
            return_exceptions=True,
        )
        assert any(not isinstance(vote, Exception) for vote in votes)
        signed = await asyncio.gather(*(each.sign(asked) for each in replicas * 2), return_exceptions=True)
        refused = [one for one in signed if isinstance(one, Conflict)]
        assert [one.instance_code for one in refused] == ["approval_spent"] * 3


async def test_a_window_that_asks_counts_nothing_of_what_waits(guarded: Guarded) -> None:
    await guarded.add("ask", asks(limit={"amount_raw": "10", "seconds": 60}))
    with pytest.raises(ApprovalNeeded, match="the rule 'ask' asks for 1"):
        await guarded.ask(request(amount_raw=11))
    waiting = await guarded.park(request(amount_raw=11))
    await guarded.approvals.approve(ANN, waiting)
    signed = await guarded.sign(request(amount_raw=11))
    assert (signed.approval, signed.counted) == (waiting, None)
    assert (await guarded.sign(request(amount_raw=10))).counted is not None
    with pytest.raises(ApprovalNeeded):
        await guarded.ask(request(amount_raw=1))


async def test_under_rules_that_change_all_the_time_nothing_is_parked(guarded: Guarded) -> None:
    asked = request()
    judged: list[Unapproved] = []

    def work(_connection: Connection) -> None:
        judged.append(Unapproved(asked, (), generation=-1))
        raise judged[-1]

    with pytest.raises(Unavailable) as raised:
        await guarded.parked.write(guarded.database, work)
    assert raised.value.instance_code == "rules_changed"
    assert len(judged) == ATTEMPTS
    assert await guarded.approvals.list() == []


async def test_an_approval_says_what_it_was_spent_on(guarded: Guarded, clock: ManualClock) -> None:
    await guarded.add("all", asks())
    waiting = await guarded.park(request())
    await guarded.approvals.approve(ANN, waiting)
    gate = SigningGate(guarded.guard, Audit(clock, open_trail()), guarded.parked)

    def work(connection: Connection) -> None:
        with gate.sign(connection, request(), lambda digest: digest) as granted:
            granted.payload_id = b"payload"

    await gate.write(guarded.database, work)
    assert (await guarded.approvals.show(waiting)).payload_id == b"payload"


async def test_a_vote_counts_while_another_token_or_wallet_is_frozen(guarded: Guarded) -> None:
    await guarded.add("all", asks())
    waiting = await guarded.park(request())
    await guarded.approvals.approve(ANN, waiting)
    await guarded.rules.freeze(ADMIN, FreezeScope.TOKEN, "ben", "a leak")
    await guarded.rules.freeze(ADMIN, FreezeScope.WALLET, "ann", "a wallet of this name")
    assert (await guarded.sign(request())).approval == waiting


@pytest.mark.parametrize("ending", ["refused", "expired", "spent"])
async def test_a_key_keeps_what_became_of_its_request_when_no_rule_asks_any_more(
    guarded: Guarded, clock: ManualClock, ending: str
) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request(key="k"))
    if ending == "refused":
        await guarded.approvals.refuse(BEN, waiting, "a theft")
    elif ending == "expired":
        clock.advance(LIFETIME_S)
    else:
        await guarded.approvals.approve(ANN, waiting)
        await guarded.sign(request(key="k"))
    await guarded.rules.remove(ADMIN, "one")
    another = Guarded(guarded.database, clock, seed=2)
    for each in (guarded, another):
        assert await code(each, request(key="k")) == f"approval_{ending}"
        assert (await each.sign(request(key="new"))).approval is None


async def test_a_defect_of_one_request_keeps_no_other_waiting(guarded: Guarded, clock: ManualClock) -> None:
    class Carrier:
        async def carry_out(self, asked: ApprovedRequest) -> None:
            if asked.id == broken:
                raise ValueError("a defect")
            await asyncio.sleep(0)
            await guarded.sign(request(key=asked.key, approval=asked.id))

    await guarded.add("one", asks())
    broken, *others = [await guarded.park(request(key=key)) for key in "abc"]
    for waiting in (broken, *others):
        await guarded.approvals.approve(ANN, waiting)
    carrying = CarryingOut(
        "toy",
        Carrier(),
        database=guarded.database,
        audit=Audit(clock, open_trail()),
        clock=clock,
    )
    await carrying.advance()
    assert [await state(guarded, one) for one in others] == [ApprovalState.SPENT] * 2
    found = await guarded.approvals.show(broken)
    assert (found.state, found.reason) == (ApprovalState.APPROVED, "ValueError: a defect")


async def test_what_waits_where_a_clock_is_behind_is_not_signed_twice(
    guarded: Guarded, clock: ManualClock
) -> None:
    """The rule has ended for a process that has just begun, and not yet for one whose clock is behind."""
    slow = Guarded(guarded.database, clock, delay_s=60)
    await slow.add("one", asks())
    await slow.rules.remove(ADMIN, "one")
    ahead = ManualClock()
    ahead.advance(clock.monotonic_s() - ahead.monotonic_s() + 61)
    other = Guarded(guarded.database, ahead, seed=2)
    await other.sign(request(amount_raw=1))
    waiting = await slow.park(request())
    assert (await other.sign(request())).approval == waiting
    assert await code(slow, request(approval=waiting)) == "approval_spent"
