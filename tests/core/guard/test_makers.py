"""What holds a token back holds back those that it made or rotated, and what allows it allows none of them."""

from collections.abc import Mapping
from typing import Any

import pytest

from strongroom.core.errors import ApprovalNeeded, Conflict, Forbidden
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.guard.dry_run import DryRun, Question
from strongroom.core.guard.guard import Default
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.stored_tokens import MAX_MAKERS
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.guarding import Guarded, asks, code, request
from support.tokens import TokenHouse

pytestmark = pytest.mark.anyio
ANN = Principal(name="operator:ann", scopes=frozenset({"*"}))
BEN = Principal(name="operator:ben", scopes=frozenset({"*"}))
BOSS = ["token:boss"]


class Family(TokenHouse):
    """Tokens by their names, as requests with them are identified."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        super().__init__(database, clock, SeededEntropy(8))
        self._secrets: dict[str, str] = {}

    async def make(self, giver: str, name: str) -> None:
        principal = OPERATOR if giver == "operator" else await self.of(giver)
        self._secrets[name] = (await self.tokens.create(principal, name, ["*"])).secret

    async def rotate(self, giver: str, name: str) -> None:
        token = (await self.of(name)).token or ""
        principal = OPERATOR if giver == "operator" else await self.of(giver)
        self._secrets[name] = (await self.tokens.rotate(principal, token)).secret

    async def of(self, name: str) -> Principal:
        return await self.principal(self._secrets[name])


@pytest.fixture
async def family(database: Database, clock: ManualClock) -> Family:
    """`boss` made `shop`, `shop` made `till`; `boss` rotated `clerk`; `other` is nobody's."""
    family = Family(database, clock)
    for giver, name in (
        ("operator", "boss"),
        ("operator", "clerk"),
        ("operator", "other"),
        ("boss", "shop"),
        ("shop", "till"),
    ):
        await family.make(giver, name)
    await family.rotate("boss", "clerk")
    return family


@pytest.fixture
def guarded(database: Database, clock: ManualClock) -> Guarded:
    return Guarded(database, clock)


async def refused(guarded: Guarded, family: Family) -> Mapping[str, str]:
    """Of all tokens, those that may not sign now, with the code."""
    found = {}
    for name in ("boss", "shop", "till", "clerk", "other"):
        try:
            await guarded.sign(request(principal=await family.of(name)))
        except Forbidden as error:
            found[name] = error.instance_code
    return found


async def test_a_token_knows_its_makers(family: Family) -> None:
    assert (await family.of("boss")).makers == ()
    assert (await family.of("till")).makers == ("token:boss", "token:shop")
    assert (await family.of("clerk")).makers == ("token:boss",)
    await family.rotate("till", "till")
    await family.rotate("operator", "till")
    await family.rotate("clerk", "boss")
    assert (await family.of("till")).makers == ("token:boss", "token:shop")
    assert (await family.of("boss")).makers == ("token:clerk",)
    found = await family.tokens.find((await family.of("till")).token or "")
    assert found.makers == ("token:boss", "token:shop")


@pytest.mark.parametrize(
    "rule",
    [
        {"effect": "deny", "when": {"principals": BOSS}},
        {"effect": "deny", "when": {"principals": BOSS}, "limit": {"amount_raw": "4"}},
        {"effect": "deny", "when": {"principals": BOSS}, "limit": {"count": 0, "seconds": 60}},
        asks(1, when={"principals": BOSS}),
    ],
)
async def test_what_denies_a_token_or_asks_denies_or_asks_what_it_made(
    guarded: Guarded, family: Family, rule: dict[str, Any]
) -> None:
    await guarded.add("boss", rule)
    assert set(await refused(guarded, family)) == {"boss", "shop", "till", "clerk"}


async def test_a_freeze_holds_what_the_token_made(guarded: Guarded, family: Family) -> None:
    assert await refused(guarded, family) == {}
    await guarded.rules.freeze(ANN, FreezeScope.TOKEN, "shop", "it leaked")
    assert await refused(guarded, family) == {"shop": "frozen", "till": "frozen"}
    await guarded.rules.freeze(ANN, FreezeScope.TOKEN, "boss", "it leaked")
    assert await refused(guarded, family) == dict.fromkeys(["boss", "shop", "till", "clerk"], "frozen")
    for name, held in (("till", True), ("other", False)):
        if held:
            with pytest.raises(Forbidden, match="the token boss is frozen") as raised:
                await guarded.rules.require_unfrozen(await family.of(name))
            assert raised.value.instance_code == "frozen"
        else:
            await guarded.rules.require_unfrozen(await family.of(name))


async def test_a_rotation_counts_from_the_next_request_on(guarded: Guarded, family: Family) -> None:
    """Also for a process that remembers which rules are for whom."""
    await guarded.add("boss", {"effect": "deny", "when": {"principals": BOSS}})
    assert "other" not in await refused(guarded, family)
    await family.rotate("till", "other")
    assert (await refused(guarded, family))["other"] == "rule_denied"


async def test_what_allows_or_exempts_a_token_is_for_it_alone(
    database: Database, clock: ManualClock, family: Family
) -> None:
    strict = Guarded(database, clock, default=Default.DENY)
    await strict.add("boss", {"effect": "allow", "when": {"principals": BOSS}})
    assert set(await refused(strict, family)) == {"shop", "till", "clerk", "other"}
    await strict.add("shop", {"effect": "allow", "when": {"principals": ["token:shop"]}})
    assert set(await refused(strict, family)) == {"till", "clerk", "other"}
    await strict.add("all but boss", {"effect": "allow", "unless": {"principals": BOSS}})
    assert set(await refused(strict, family)) == {"till", "clerk"}
    await strict.add("no others", {"effect": "deny", "unless": {"principals": BOSS}})
    assert set(await refused(strict, family)) == {"shop", "till", "clerk", "other"}


async def test_a_window_for_each_caller_counts_what_its_tokens_sign_too(
    guarded: Guarded, family: Family
) -> None:
    limit = {"amount_raw": "10", "seconds": 60, "per": "principal"}
    await guarded.add("each", {"effect": "deny", "limit": limit})
    for name, amount in (("till", 4), ("shop", 3), ("clerk", 3), ("other", 10)):
        await guarded.sign(request(principal=await family.of(name), amount_raw=amount))
    for name in ("boss", "shop", "till", "clerk", "other"):
        with pytest.raises(Forbidden) as raised:
            await guarded.sign(request(principal=await family.of(name), amount_raw=1))
        assert raised.value.instance_code == "rule_limit"


async def test_tokens_that_rotate_each_other_have_one_window(guarded: Guarded, family: Family) -> None:
    limit = {"amount_raw": "10", "seconds": 60, "per": "principal"}
    await guarded.add("each", {"effect": "deny", "limit": limit})
    await family.rotate("boss", "other")
    await family.rotate("other", "boss")
    await guarded.sign(request(principal=await family.of("boss"), amount_raw=10))
    assert await code(guarded, request(principal=await family.of("other"), amount_raw=1)) == "rule_limit"


async def test_what_waits_is_held_like_its_token(guarded: Guarded, family: Family) -> None:
    await guarded.add("two eyes", asks(1))
    till = await family.of("till")
    waiting = await guarded.park(request(principal=till))
    assert (await guarded.approvals.show(waiting)).principal == till
    await guarded.approvals.approve(ANN, waiting)
    await guarded.rules.freeze(ANN, FreezeScope.TOKEN, "boss", "it leaked")
    stored = (await guarded.approvals.show(waiting)).principal
    assert await code(guarded, request(principal=stored, approval=waiting)) == "frozen"
    await guarded.rules.unfreeze(ANN, FreezeScope.TOKEN, "boss")
    await guarded.sign(request(principal=stored, approval=waiting))


async def test_a_vote_of_a_token_does_not_count_while_its_maker_is_frozen(
    guarded: Guarded, family: Family
) -> None:
    await guarded.add("one of two", asks(1, "token:till", "token:other"))
    asked = request(principal=ANN)
    waiting = await guarded.park(asked)
    await guarded.approvals.approve(await family.of("till"), waiting)
    await guarded.rules.freeze(ANN, FreezeScope.TOKEN, "boss", "it leaked")
    assert await guarded.park(asked) == waiting
    with pytest.raises(Forbidden, match="token:shop is frozen"):
        await guarded.approvals.approve(await family.of("shop"), await _park_for_shop(guarded))
    await guarded.rules.unfreeze(ANN, FreezeScope.TOKEN, "boss")
    await guarded.sign(asked)


async def _park_for_shop(guarded: Guarded) -> str:
    await guarded.add("shop", asks(1, "token:shop", when={"wallets": ["cold"]}))
    return await guarded.park(request(principal=BEN, wallet="cold"))


async def test_a_change_is_not_done_while_the_maker_of_its_token_is_frozen(
    database: Database, clock: ManualClock, family: Family
) -> None:
    guarded = Guarded(database, clock, change_approvals=1)
    await guarded.add("hold", {"effect": "deny", "when": {"wallets": ["hot"]}})
    with pytest.raises(ApprovalNeeded) as raised:
        await guarded.rules.remove(await family.of("till"), "hold")
    await guarded.rules.freeze(ANN, FreezeScope.TOKEN, "boss", "it leaked")
    done = await guarded.approvals.approve(ANN, str(raised.value.approval))
    assert (done.state, done.reason) == (ApprovalState.FAILED, "whoever asked is frozen")


async def test_a_question_knows_the_makers(guarded: Guarded, family: Family) -> None:
    await guarded.add("boss", {"effect": "deny", "when": {"principals": BOSS}})
    dry_run = DryRun(guarded.database, family.tokens, guarded.guard, guarded.rules)
    for name, is_allowed in (("till", False), ("other", True)):
        decision = await dry_run.decide(Question(kind="SEND", principal=f"token:{name}"))
        assert decision.is_allowed is is_allowed


async def test_a_token_has_no_more_makers_than_each_signature_can_look_at(
    database: Database, clock: ManualClock
) -> None:
    family = Family(database, clock)
    await family.make("operator", "0")
    for number in range(MAX_MAKERS):
        await family.make(str(number), str(number + 1))
    last = str(MAX_MAKERS)
    with pytest.raises(Conflict) as raised:
        await family.make(last, "one more")
    assert raised.value.instance_code == "too_many_makers"
    await family.make("operator", "free")
    with pytest.raises(Conflict) as raised:
        await family.rotate("free", last)
    assert raised.value.instance_code == "too_many_makers"
    for giver in ("operator", "0", last):
        await family.rotate(giver, last)
    assert len((await family.of(last)).makers) == MAX_MAKERS
