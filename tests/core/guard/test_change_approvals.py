"""Changes of rules and freezes that others must approve."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select

from strongroom.core.errors import ApprovalNeeded, Conflict, Forbidden
from strongroom.core.guard.approvals import asking, changes, store
from strongroom.core.guard.approvals.approval import ApprovalState, Purpose
from strongroom.core.guard.state import FreezeScope, GuardReader
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.guarding import ADMIN, BEN, LIFETIME_S, Guarded, request
from support.trail import open_trail, verify

pytestmark = pytest.mark.anyio
ANN = Principal(name="operator:ann", scopes=frozenset({"*"}))
DENY: dict[str, Any] = {"effect": "deny"}
ALLOW: dict[str, Any] = {"effect": "allow"}
ASK: dict[str, Any] = {"effect": "approve", "approvals": {"needed": 1}}


@pytest.fixture
async def guarded(database: Database, clock: ManualClock) -> Guarded:
    return Guarded(database, clock, change_approvals=2, delay_s=3600)


async def names(guarded: Guarded) -> list[str]:
    return [one.name for one in await guarded.rules.rules()]


async def audited(guarded: Guarded, subject: str) -> list[tuple[str, str]]:
    """Who did what to a request."""
    columns = tables.audit.c
    query = select(columns.principal, columns.action).where(columns.subject == subject)
    rows = await guarded.database.fetch_all(query.order_by(columns.sequence))
    return [(row.principal, row.action) for row in rows]


async def removal(guarded: Guarded, name: str) -> str:
    """The id under which a removal waits."""
    with pytest.raises(ApprovalNeeded, match="STRONGROOM_POLICY_APPROVALS asks for 2") as raised:
        await guarded.rules.remove(ADMIN, name)
    assert raised.value.approval is not None
    return raised.value.approval


@pytest.mark.parametrize("rule", [DENY, ASK])
async def test_a_rule_ends_when_two_others_approve_it_without_the_delay(
    guarded: Guarded, rule: dict[str, Any]
) -> None:
    await guarded.add("hold", rule)  # what tightens counts at once
    waiting = await removal(guarded, "hold")
    assert await removal(guarded, "hold") == waiting
    with pytest.raises(Forbidden, match="Nobody approves a request of their own"):
        await guarded.approvals.approve(ADMIN, waiting)
    await guarded.approvals.approve(ANN, waiting)
    assert await names(guarded) == ["hold"]
    done = await guarded.approvals.approve(BEN, waiting)
    assert done.state is ApprovalState.SPENT
    assert await names(guarded) == []
    await guarded.sign(request())
    is_step = tables.audit.c.action != "policy.state"
    rows = await guarded.database.fetch_all(
        select(tables.audit).where(is_step).order_by(tables.audit.c.sequence)
    )
    assert [(row.principal, row.action) for row in rows] == [
        (ADMIN.name, "policy.add"),
        (ADMIN.name, "approval.ask"),
        (ANN.name, "approval.approve"),
        (ADMIN.name, "policy.remove"),
        (BEN.name, "approval.approve"),
    ]
    assert json.loads(rows[3].details)["approval"] == waiting
    await verify(guarded.database)


async def test_a_rule_that_allows_begins_when_it_is_approved_and_ends_at_once(guarded: Guarded) -> None:
    with pytest.raises(ApprovalNeeded) as raised:
        await guarded.add("all", ALLOW)
    waiting = str(raised.value.approval)
    assert await names(guarded) == []
    for person in (ANN, BEN):
        await guarded.approvals.approve(person, waiting)
    assert (await guarded.sign(request())).rule == "all"
    await guarded.rules.remove(ADMIN, "all")
    assert await names(guarded) == []


async def test_a_freeze_is_at_once_and_its_end_waits(guarded: Guarded) -> None:
    await guarded.rules.freeze(ADMIN, FreezeScope.LEDGER, "", "a theft")
    with pytest.raises(ApprovalNeeded) as raised:
        await guarded.rules.unfreeze(ADMIN, FreezeScope.LEDGER, "")
    waiting = str(raised.value.approval)
    await guarded.approvals.approve(ANN, waiting)
    with pytest.raises(Forbidden, match="frozen"):
        await guarded.sign(request())
    await guarded.approvals.approve(BEN, waiting)
    await guarded.sign(request())


async def test_an_approved_change_is_not_done_to_another_rule_of_that_name(
    guarded: Guarded, clock: ManualClock
) -> None:
    free = Guarded(guarded.database, clock, seed=7)  # another process, without the setting
    await guarded.add("hold", DENY)
    waiting = await removal(guarded, "hold")
    await free.rules.remove(ADMIN, "hold")
    await guarded.add("hold", {"effect": "deny", "when": {"wallets": ["hot"]}})
    await guarded.approvals.approve(ANN, waiting)
    done = await guarded.approvals.approve(BEN, waiting)
    assert (done.state, done.reason) == (ApprovalState.FAILED, "The rule 'hold' is another one now")
    assert await names(guarded) == ["hold"]
    told = [(BEN.name, "approval.approve"), ("system:toy-approvals", "approval.failed")]
    assert (await audited(guarded, waiting))[-2:] == told


async def test_a_refused_change_is_not_done(guarded: Guarded) -> None:
    await guarded.add("hold", DENY)
    waiting = await removal(guarded, "hold")
    await guarded.approvals.approve(ANN, waiting)
    await guarded.approvals.refuse(BEN, waiting, "a theft")
    with pytest.raises(Conflict, match="refused already"):
        await guarded.approvals.approve(Principal(name="operator:cleo", scopes=frozenset({"*"})), waiting)
    assert await names(guarded) == ["hold"]
    assert await removal(guarded, "hold") != waiting


async def test_nothing_is_changed_for_somebody_who_is_frozen_since(guarded: Guarded) -> None:
    await guarded.add("hold", DENY)
    waiting = await removal(guarded, "hold")
    await guarded.rules.freeze(ANN, FreezeScope.TOKEN, "admin", "it leaked")
    await guarded.approvals.approve(ANN, waiting)
    done = await guarded.approvals.approve(BEN, waiting)
    assert (done.state, done.reason) == (ApprovalState.FAILED, "whoever asked is frozen")
    assert await names(guarded) == ["hold"]


async def test_nothing_is_changed_for_a_token_that_is_revoked_since(
    guarded: Guarded, clock: ManualClock
) -> None:
    tokens = Tokens(guarded.database, Audit(clock, open_trail()), clock, SeededEntropy(), scopes=("*",))
    made = await tokens.create(ANN, "admin", ["*"])
    await guarded.add("hold", DENY)
    asking = Principal(name=ADMIN.name, scopes=ADMIN.scopes, token=made.id)
    with pytest.raises(ApprovalNeeded) as raised:
        await guarded.rules.remove(asking, "hold")
    waiting = str(raised.value.approval)
    await tokens.revoke(ANN, made.id)
    await guarded.approvals.approve(Principal(name="token:cleo", scopes=ANN.scopes), waiting)
    done = await guarded.approvals.approve(BEN, waiting)
    assert (done.state, done.reason) == (ApprovalState.FAILED, "The API token was revoked")
    assert await names(guarded) == ["hold"]


async def test_a_change_that_waited_too_long_is_asked_for_anew(guarded: Guarded, clock: ManualClock) -> None:
    await guarded.add("hold", DENY)
    over = await removal(guarded, "hold")
    await guarded.approvals.approve(ANN, over)
    clock.advance(LIFETIME_S)
    with pytest.raises(Conflict, match="expired already"):
        await guarded.approvals.approve(BEN, over)
    waiting = await removal(guarded, "hold")
    assert waiting != over
    await guarded.approvals.approve(BEN, waiting)
    assert await names(guarded) == ["hold"], "what was said to the first does not count"
    assert (await guarded.approvals.show(over)).ended_at_ms == clock.now_ms()
    assert (await audited(guarded, over))[-1] == (ADMIN.name, "approval.expired")
    await verify(guarded.database)


async def test_changes_and_signatures_wait_apart(guarded: Guarded, clock: ManualClock) -> None:
    await guarded.add("ask", ASK)
    change, signature = await removal(guarded, "ask"), await guarded.park(request())
    for purpose, waiting in ((Purpose.CHANGE, change), (Purpose.SIGNATURE, signature)):
        found = await guarded.database.read(
            partial(store.select_open, purpose=purpose, now_ms=clock.now_ms())
        )
        assert [(each.id, each.purpose) for each in found] == [(waiting, purpose)]


async def test_two_last_votes_at_once_do_a_change_once(
    database: Database, replica: Database, clock: ManualClock
) -> None:
    first = Guarded(database, clock, change_approvals=1)
    second = Guarded(replica, clock, change_approvals=1, seed=2)
    for number in range(10):
        await first.add(f"hold {number}", DENY)
        waiting = await removal_of_one(first, f"hold {number}")
        votes = await asyncio.gather(
            first.approvals.approve(ANN, waiting),
            second.approvals.approve(BEN, waiting),
            return_exceptions=True,
        )
        assert sorted(type(one).__name__ for one in votes) == ["Approval", "Conflict"]
    assert await names(first) == []
    rows = await database.fetch_all(select(tables.audit).where(tables.audit.c.action == "policy.remove"))
    assert len(rows) == 10


async def removal_of_one(guarded: Guarded, name: str) -> str:
    with pytest.raises(ApprovalNeeded) as raised:
        await guarded.rules.remove(ADMIN, name)
    return str(raised.value.approval)


async def test_so_many_changes_of_one_principal_wait_and_no_more(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MAX_WAITING", 2)
    for name in ("a", "b"):
        with pytest.raises(ApprovalNeeded):
            await guarded.add(name, ALLOW)
    with pytest.raises(Conflict) as raised:
        await guarded.add("c", ALLOW)
    assert raised.value.instance_code == "too_many_approvals"
    with pytest.raises(ApprovalNeeded):
        await guarded.add("b", ALLOW)


async def test_a_change_whose_request_has_ended_is_a_defect_and_is_undone(guarded: Guarded) -> None:
    await guarded.add("hold", DENY)
    waiting = await removal(guarded, "hold")
    ended = await guarded.approvals.refuse(ANN, waiting, "no")

    def change(connection: Connection) -> None:
        held = GuardReader(open_trail()).held(connection, 0)
        changes.do_change(connection, TokenRows(open_trail()), held, ended, guarded.rules.apply, 0)

    with pytest.raises(AssertionError, match="has ended"):
        await guarded.database.write(change)
    assert await names(guarded) == ["hold"]
    assert (await guarded.rules.rules())[0].ends_at_ms is None
