"""Whether a token comes from somebody who administers tokens."""

from functools import partial

import pytest

from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.tokens import Tokens
from strongroom.core.security.upkeep.descent import comes_from
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.trail import open_trail


class House:
    """Tokens that make and rotate each other. A name is a token's."""

    def __init__(self, database: Database, clock: ManualClock, entropy: SeededEntropy) -> None:
        self._database = database
        self._tokens = Tokens(database, Audit(clock, open_trail()), clock, entropy, scopes=("toy:read",))
        self._ids: dict[str, str] = {}

    def _principal(self, name: str) -> Principal:
        if name == OPERATOR.name:
            return OPERATOR
        return Principal(name=f"token:{name}", scopes=frozenset(), token=self._ids[name])

    async def make(self, giver: str, name: str) -> None:
        made = await self._tokens.create(self._principal(giver), name, ["toy:read"])
        self._ids[name] = made.id

    async def rotate(self, giver: str, name: str) -> None:
        await self._tokens.rotate(self._principal(giver), self._ids[name])

    async def revoke(self, giver: str, name: str) -> None:
        await self._tokens.revoke(self._principal(giver), self._ids[name])

    async def answers_for(self, name: str) -> set[str]:
        """Who of all may not decide what this token asks for."""
        everybody = [OPERATOR.name, *(f"token:{each}" for each in self._ids)]
        return {
            each
            for each in everybody
            if await self._database.read(partial(comes_from, token_id=self._ids[name], principal=each))
        }


@pytest.fixture
def house(database: Database, clock: ManualClock, entropy: SeededEntropy) -> House:
    return House(database, clock, entropy)


async def test_who_made_or_rotated_it_answers_for_it_and_who_made_those(house: House) -> None:
    for giver, name in (("operator", "boss"), ("operator", "keeper"), ("boss", "maker"), ("maker", "shop")):
        await house.make(giver, name)
    assert await house.answers_for("shop") == {"operator", "token:boss", "token:maker"}
    assert await house.answers_for("maker") == {"operator", "token:boss"}
    assert await house.answers_for("keeper") == {"operator"}
    await house.rotate("keeper", "shop")
    assert await house.answers_for("shop") == {"operator", "token:boss", "token:maker", "token:keeper"}
    await house.make("operator", "watch")
    await house.revoke("watch", "shop")
    assert "token:watch" not in await house.answers_for("shop")
    await house.revoke("operator", "maker")
    assert "token:maker" in await house.answers_for("shop")


async def test_tokens_that_rotate_each_other_come_from_each_other(house: House) -> None:
    await house.make("operator", "left")
    await house.make("operator", "right")
    await house.rotate("left", "right")
    await house.rotate("right", "left")
    await house.rotate("left", "left")
    for name in ("left", "right"):
        assert await house.answers_for(name) == {"operator", "token:left", "token:right"}


async def test_a_token_outside_of_a_circle_does_not_come_from_it(house: House) -> None:
    for name in ("left", "right", "watch"):
        await house.make("operator", name)
    await house.rotate("left", "right")
    await house.rotate("right", "left")
    assert await house.answers_for("left") == {"operator", "token:left", "token:right"}
    assert await house.answers_for("watch") == {"operator"}
    await house.make("left", "shop")
    assert await house.answers_for("shop") == {"operator", "token:left", "token:right"}
