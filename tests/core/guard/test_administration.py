"""What people do with rules and freezes: when it counts, and that the audit trail tells."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from strongroom.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from strongroom.core.guard import administration
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.guard import Default
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.audit import Audit
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import START_MS, ManualClock, SeededEntropy
from support.guarding import ADMIN, VOCABULARY, Guarded, request
from support.trail import open_trail, verify

pytestmark = pytest.mark.anyio
DENY: dict[str, Any] = {"effect": "deny"}
ALLOW: dict[str, Any] = {"effect": "allow"}
STATE = ("token:admin", "policy.state", "strongroom_guard")


async def states(guarded: Guarded, clock: ManualClock, *, ended: bool = False) -> dict[str, str]:
    return {each.name: each.state(clock.now_ms()) for each in await guarded.rules.rules(ended=ended)}


async def test_every_change_is_in_the_audit_trail(database: Database, guarded: Guarded) -> None:
    await guarded.add("no", DENY)
    await guarded.rules.remove(ADMIN, "no")
    await guarded.rules.freeze(ADMIN, FreezeScope.WALLET, "hot", "a theft")
    await guarded.rules.unfreeze(ADMIN, FreezeScope.WALLET, "hot")
    rows = await database.fetch_all(select(tables.audit).order_by(tables.audit.c.sequence))
    assert [(row.principal, row.action, row.subject) for row in rows] == [
        ("token:admin", "policy.add", "no"),
        STATE,
        ("token:admin", "policy.remove", "no"),
        STATE,
        ("token:admin", "freeze", "hot"),
        STATE,
        ("token:admin", "unfreeze", "hot"),
        STATE,
    ]
    assert json.loads(rows[0].details)["rule"] == {"effect": "deny"}
    assert json.loads(rows[4].details) == {"scope": "wallet", "reason": "a theft"}
    assert await verify(database) == 8


async def test_what_tightens_counts_at_once_and_what_loosens_after_the_delay(
    database: Database, clock: ManualClock
) -> None:
    guarded = Guarded(database, clock, default=Default.DENY, delay_s=3_600)
    await guarded.add("all", ALLOW)
    assert await states(guarded, clock) == {"all": "starts later"}
    with pytest.raises(Forbidden):
        await guarded.authorize(request())
    clock.advance(3_600)
    assert await guarded.authorize(request()) == "all"

    await guarded.add("no", DENY)
    with pytest.raises(Forbidden):
        await guarded.authorize(request())
    removed = await guarded.rules.remove(ADMIN, "no")
    assert (removed.ends_at_ms, removed.removed_by) == (clock.now_ms() + 3_600_000, "token:admin")
    assert (await states(guarded, clock))["no"] == "ends later"
    with pytest.raises(Forbidden):
        await guarded.authorize(request())
    clock.advance(3_600)
    assert await guarded.authorize(request()) == "all"

    await guarded.rules.remove(ADMIN, "all")
    with pytest.raises(Forbidden):
        await guarded.authorize(request())
    assert await states(guarded, clock) == {}
    assert await states(guarded, clock, ended=True) == {"all": "ended", "no": "ended"}


async def test_a_rule_that_never_began_can_be_removed(database: Database, clock: ManualClock) -> None:
    guarded = Guarded(database, clock, default=Default.DENY, delay_s=3_600)
    await guarded.add("all", ALLOW)
    await guarded.rules.remove(ADMIN, "all")
    assert await states(guarded, clock) == {}
    clock.advance(4_000)
    with pytest.raises(Forbidden):
        await guarded.authorize(request())


async def test_a_name_is_one_rule_until_that_has_ended(guarded: Guarded, clock: ManualClock) -> None:
    await guarded.add("no", DENY)
    with pytest.raises(Conflict, match="A rule is called 'no'"):
        await guarded.add("no", ALLOW)
    await guarded.rules.remove(ADMIN, "no")
    with pytest.raises(NotFound):
        await guarded.rules.remove(ADMIN, "no")
    clock.advance(1)
    await guarded.add("no", ALLOW)
    assert [each.rule.effect for each in await guarded.rules.rules(ended=True)] == ["deny", "allow"]
    first = (await guarded.rules.rules(ended=True))[0]
    assert (first.added_by, first.added_at_ms) == ("token:admin", START_MS)
    assert await states(guarded, clock) == {"no": "active"}


async def test_a_rule_that_is_none_changes_nothing(guarded: Guarded, database: Database) -> None:
    for name, rule in (("", DENY), ("x" * 101, DENY), (" x", DENY), ("x\n", DENY), ("ok", {"effect": "no"})):
        with pytest.raises(InvalidInput):
            await guarded.add(name, rule)
    assert await guarded.rules.rules(ended=True) == []
    assert await verify(database) == 0


async def test_there_are_so_many_rules_and_no_more(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(administration, "MAX_RULES", 2)
    await guarded.add("one", ALLOW)
    await guarded.add("two", ALLOW)
    with pytest.raises(Conflict, match="There are 2 rules"):
        await guarded.add("three", ALLOW)
    await guarded.rules.remove(ADMIN, "one")
    await guarded.add("three", ALLOW)


async def test_a_space_at_the_end_makes_another_name(guarded: Guarded) -> None:
    rules = guarded.rules
    await rules.freeze(ADMIN, FreezeScope.WALLET, "hot ", "a slip")
    await rules.freeze(ADMIN, FreezeScope.WALLET, "hot", "a theft")
    await rules.unfreeze(ADMIN, FreezeScope.WALLET, "hot ")
    assert [one.subject for one in await rules.freezes()] == ["hot"]
    with pytest.raises(NotFound):
        await rules.unfreeze(ADMIN, FreezeScope.WALLET, "hot ")


async def test_freezes_are_listed_and_end_once(guarded: Guarded) -> None:
    await guarded.rules.freeze(ADMIN, FreezeScope.TOKEN, "trader", "a stolen laptop")
    with pytest.raises(Conflict):
        await guarded.rules.freeze(ADMIN, FreezeScope.TOKEN, "trader", "again")
    (listed,) = await guarded.rules.freezes()
    assert (listed.title, listed.reason, listed.frozen_by) == (
        "the token trader",
        "a stolen laptop",
        "token:admin",
    )
    await guarded.rules.unfreeze(ADMIN, FreezeScope.TOKEN, "trader")
    with pytest.raises(NotFound):
        await guarded.rules.unfreeze(ADMIN, FreezeScope.TOKEN, "trader")
    assert await guarded.rules.freezes() == []


@pytest.mark.parametrize(
    ("scope", "subject", "reason"),
    [
        (FreezeScope.LEDGER, "hot", "why"),
        (FreezeScope.WALLET, "", "why"),
        (FreezeScope.WALLET, "x" * 256, "why"),
        (FreezeScope.WALLET, "hot", ""),
        (FreezeScope.WALLET, "hot", " "),
        (FreezeScope.WALLET, "hot", "x" * 501),
        (FreezeScope.WALLET, "hot", "a\nline"),
    ],
)
async def test_a_freeze_that_says_too_little_is_refused(
    guarded: Guarded, scope: FreezeScope, subject: str, reason: str
) -> None:
    with pytest.raises(InvalidInput):
        await guarded.rules.freeze(ADMIN, scope, subject, reason)


async def test_a_question_is_put_in_the_words_of_signatures(guarded: Guarded, clock: ManualClock) -> None:
    words = replace(
        VOCABULARY,
        normalized_destination=str.lower,
        normalized_account=str.upper,
        as_request=lambda asked: replace(asked, scope="as made"),
    )
    rules = GuardAdministration(
        guarded.database,
        Audit(clock, open_trail()),
        clock,
        SeededEntropy(),
        vocabulary=words,
        loosening_delay_ms=0,
    )
    put = rules.normalized(request(destination="SHOP", account="hot/0"))
    assert (put.destination, put.account, put.scope) == ("shop", "HOT/0", "as made")
    assert guarded.rules.normalized(request()) == request()
    for asked in (request(kind="SNED"), request(facts={"netuids": 1})):
        with pytest.raises(InvalidInput):
            guarded.rules.normalized(asked)


async def test_who_means_one_rule_or_freeze_does_not_end_the_next_of_its_name(guarded: Guarded) -> None:
    """Between the look at it and its end, others may have ended it and begun another."""
    await guarded.add("no", DENY)
    (rule,) = await guarded.rules.rules()
    await guarded.rules.remove(ADMIN, "no", rule.id)
    await guarded.add("no", DENY)
    with pytest.raises(NotFound, match="another one now"):
        await guarded.rules.remove(ADMIN, "no", rule.id)
    freeze = await guarded.rules.freeze(ADMIN, FreezeScope.WALLET, "hot", "a lost laptop")
    await guarded.rules.unfreeze(ADMIN, FreezeScope.WALLET, "hot", freeze.id)
    theft = await guarded.rules.freeze(ADMIN, FreezeScope.WALLET, "hot", "a theft")
    with pytest.raises(NotFound, match="not frozen"):
        await guarded.rules.unfreeze(ADMIN, FreezeScope.WALLET, "hot", freeze.id)
    assert [one.id for one in await guarded.rules.freezes()] == [theft.id]
    assert [one.name for one in await guarded.rules.rules()] == ["no"]
