"""What people approved is carried out by the ledger itself: which requests, in which order, and what becomes of the others."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from strongroom.core.errors import (
    Conflict,
    IdempotencyMismatch,
    IdempotencyRunning,
    InvalidInput,
    NotFound,
    StrongroomError,
    Unauthenticated,
    Unavailable,
)
from strongroom.core.guard.approvals import carrying_out
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.guard.approvals.carrying_out import AT_ONCE, ApprovedRequest, CarryingOut
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import Deferral
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.guarding import ANN, LIFETIME_S, TRADER, Guarded, request
from support.trail import open_trail, verify

pytestmark = pytest.mark.anyio


class Ledger:
    """Signs what it is given to carry out, as a ledger does, or does what `instead` says."""

    def __init__(self, database: Database, clock: ManualClock, *, carries: bool = True) -> None:
        self.guarded = Guarded(database, clock)
        self.given: list[ApprovedRequest] = []
        self.instead: Callable[[ApprovedRequest], Any] | None = None
        self.carrying = CarryingOut(
            "toy",
            self if carries else None,
            database=database,
            audit=Audit(clock, open_trail()),
            clock=clock,
        )

    async def carry_out(self, asked: ApprovedRequest) -> None:
        self.given.append(asked)
        if self.instead is not None:
            await self.instead(asked)
            return
        deferral = Deferral(key=asked.key, document=asked.document, approval=asked.id)
        whole = request(principal=asked.principal, amount_raw=asked.document["amount"])
        await self.guarded.sign(replace(whole, deferral=deferral))

    async def park(self, amount_raw: int = 5, **parts: Any) -> str:
        return await self.guarded.park(request(amount_raw=amount_raw, **parts))

    async def approved(self, amount_raw: int = 5, **parts: Any) -> str:
        waiting = await self.park(amount_raw, **parts)
        await self.guarded.approvals.approve(ANN, waiting)
        return waiting

    async def found(self, approval: str) -> tuple[ApprovalState, str | None]:
        """As it is stored."""
        (one,) = [each for each in await self.stored() if each[0] == approval]
        return one[1], one[2]

    async def stored(self) -> list[tuple[str, ApprovalState, str | None]]:
        rows = await self.guarded.approvals.list(list(ApprovalState))
        return [(each.id, each.state, each.reason) for each in rows]

    async def audited(self, action: str) -> list[tuple[str, str, Any]]:
        query = select(tables.audit).where(tables.audit.c.action == action)
        rows = await self.guarded.database.fetch_all(query.order_by(tables.audit.c.sequence))
        return [(row.principal, row.subject, json.loads(row.details)["reason"]) for row in rows]

    def fail_with(self, error: StrongroomError) -> None:
        async def fail(_asked: ApprovedRequest) -> None:
            raise error

        self.instead = fail


@pytest.fixture
async def ledger(database: Database, clock: ManualClock) -> Ledger:
    ledger = Ledger(database, clock)
    await ledger.guarded.add("one", {"effect": "approve", "approvals": {"needed": 1}})
    return ledger


async def test_what_is_approved_is_signed_the_oldest_first_and_what_waits_is_not(
    ledger: Ledger, clock: ManualClock
) -> None:
    approved = []
    for amount in (5, 6, 7):
        approved.append(await ledger.approved(amount, key=f"k{amount}"))
        clock.advance(1)
    waiting = await ledger.park(8), await ledger.park(9)
    await ledger.carrying.advance()
    assert [(each.id, each.key, each.document, each.principal) for each in ledger.given] == [
        (approval, f"k{amount}", {"amount": amount}, TRADER)
        for approval, amount in zip(approved, (5, 6, 7), strict=True)
    ]
    assert [await ledger.found(each) for each in approved] == [(ApprovalState.SPENT, None)] * 3
    assert [await ledger.found(each) for each in waiting] == [(ApprovalState.PARKED, None)] * 2
    await ledger.carrying.advance()
    assert len(ledger.given) == 3


async def test_what_is_over_ends_with_its_row_and_is_not_signed(ledger: Ledger, clock: ManualClock) -> None:
    over = await ledger.park(5), await ledger.approved(6)
    clock.advance(1)
    waiting = await ledger.park(7)
    clock.advance(LIFETIME_S - 1)
    await ledger.carrying.advance()
    assert ledger.given == []
    assert sorted(await ledger.audited("approval.expired")) == sorted(
        ("system:toy-approvals", each, None) for each in over
    )
    assert await ledger.found(waiting) == (ApprovalState.PARKED, None)
    await ledger.carrying.advance()
    assert len(await ledger.audited("approval.expired")) == 2
    await verify(ledger.guarded.database)


async def test_the_oldest_come_first_where_more_are_due_than_are_looked_at(
    ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits, and what only its client can have signed, takes nobody's place."""
    monkeypatch.setattr(carrying_out, "MAX_DUE", 2)
    over = await ledger.park(5)
    bare = replace(request(), deferral=Deferral(key="bare", document=None, approval=None))
    clock.advance(LIFETIME_S - 1)
    await ledger.guarded.approvals.approve(ANN, await ledger.guarded.park(bare))
    for number in range(3):
        await ledger.park(6, key=f"waits {number}")
    clock.advance(1)
    approved = []
    for number in range(2):
        approved.append(await ledger.approved(7, key=f"approved {number}"))
        clock.advance(1)
    await ledger.carrying.advance()
    assert [subject for _, subject, _ in await ledger.audited("approval.expired")] == [over]
    assert [each.id for each in ledger.given] == approved[:1]
    await ledger.carrying.advance()
    assert [each.id for each in ledger.given] == approved


async def test_without_one_who_signs_only_the_time_is_looked_after(
    database: Database, clock: ManualClock
) -> None:
    ledger = Ledger(database, clock, carries=False)
    await ledger.guarded.add("one", {"effect": "approve", "approvals": {"needed": 1}})
    approved = await ledger.approved()
    await ledger.carrying.advance()
    assert await ledger.found(approved) == (ApprovalState.APPROVED, None)
    clock.advance(LIFETIME_S)
    await ledger.carrying.advance()
    assert len(await ledger.audited("approval.expired")) == 1


async def test_what_has_no_document_waits_for_its_client(ledger: Ledger) -> None:
    bare = replace(request(), deferral=Deferral(key="k", document=None, approval=None))
    waiting = await ledger.guarded.park(bare)
    await ledger.guarded.approvals.approve(ANN, waiting)
    await ledger.carrying.advance()
    assert ledger.given == []
    assert await ledger.found(waiting) == (ApprovalState.APPROVED, None)


@pytest.mark.parametrize("error", [InvalidInput, NotFound, Conflict, IdempotencyMismatch, Unauthenticated])
async def test_what_can_never_be_signed_fails_and_says_why(
    ledger: Ledger, error: type[StrongroomError]
) -> None:
    approved = await ledger.approved()
    ledger.fail_with(error("never"))
    await ledger.carrying.advance()
    assert await ledger.found(approved) == (ApprovalState.FAILED, "never")
    assert await ledger.audited("approval.failed") == [("system:toy-approvals", approved, "never")]
    await ledger.carrying.advance()
    assert len(ledger.given) == 1


async def test_what_was_refused_meanwhile_does_not_fail(ledger: Ledger) -> None:
    approved = await ledger.approved()

    async def refuse(_asked: ApprovedRequest) -> None:
        await ledger.guarded.approvals.refuse(ANN, approved, "no")
        raise Conflict("refused")

    ledger.instead = refuse
    await ledger.carrying.advance()
    assert await ledger.found(approved) == (ApprovalState.REFUSED, "no (token:ann)")
    assert await ledger.audited("approval.failed") == []


async def test_what_cannot_be_signed_now_says_why_once_and_is_tried_again(ledger: Ledger) -> None:
    approved = await ledger.approved()
    ledger.fail_with(Unavailable("the node is away"))
    with capture_logs() as logs:
        for _ in range(2):
            await ledger.carrying.advance()
            state, reason = await ledger.found(approved)
            assert state is ApprovalState.APPROVED
            assert "the node is away" in (reason or "")
    assert [each["approval"] for each in logs] == [approved]
    ledger.instead = None
    await ledger.carrying.advance()
    assert await ledger.found(approved) == (ApprovalState.SPENT, None)


async def test_why_one_is_not_signed_now_is_noted_of_no_other(ledger: Ledger) -> None:
    held, other, refused = [await ledger.approved(key=key) for key in ("a", "b", "c")]

    async def fail(asked: ApprovedRequest) -> None:
        if asked.id == other:
            raise IdempotencyRunning("it runs")
        if asked.id == refused:
            await ledger.guarded.approvals.refuse(ANN, refused, "no")
        raise Unavailable("the node is away")

    ledger.instead = fail
    await ledger.carrying.advance()
    found = {approval: (state, reason) for approval, state, reason in await ledger.stored()}
    assert found.pop(held)[0] is ApprovalState.APPROVED
    assert found == {
        other: (ApprovalState.APPROVED, None),
        refused: (ApprovalState.REFUSED, "no (token:ann)"),
    }


async def test_what_its_client_is_asking_for_is_left_to_it(ledger: Ledger) -> None:
    approved = await ledger.approved()
    ledger.fail_with(IdempotencyRunning("it runs"))
    await ledger.carrying.advance()
    assert await ledger.found(approved) == (ApprovalState.APPROVED, None)


async def test_so_many_are_carried_out_at_once(ledger: Ledger) -> None:
    for amount in range(AT_ONCE + 2):
        await ledger.approved(amount)
    inside, most, full = 0, 0, asyncio.Event()

    async def hold(_asked: ApprovedRequest) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == AT_ONCE:
            full.set()
        await full.wait()
        inside -= 1

    ledger.instead = hold
    await ledger.carrying.advance()
    assert (len(ledger.given), most) == (AT_ONCE + 2, AT_ONCE)
