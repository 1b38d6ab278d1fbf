"""People hear of a token before it expires."""

import pytest
from structlog.testing import capture_logs

from strongroom.core.security.access import OPERATOR
from strongroom.core.security.upkeep.token_expiry import DAY_MS, TokenExpiry, find_expiring
from strongroom.core.storage.database import Database
from support.clock import START_MS, ManualClock, SeededEntropy
from support.tokens import TokenHouse

DAY_S = DAY_MS / 1000


@pytest.fixture
def house(database: Database, clock: ManualClock, entropy: SeededEntropy) -> TokenHouse:
    return TokenHouse(database, clock, entropy)


async def make(house: TokenHouse, name: str, days: float | None) -> str:
    expires_at_ms = None if days is None else START_MS + round(days * DAY_MS)
    return (await house.tokens.create(OPERATOR, name, ["*"], expires_at_ms)).id


async def test_active_tokens_that_expire_within_two_weeks_are_found(house: TokenHouse) -> None:
    for name, days in (("later", 14.001), ("never", None), ("week", 7), ("now", 0), ("over", -1), ("day", 1)):
        await make(house, name, days)
    await house.tokens.revoke(OPERATOR, await make(house, "revoked", 2))
    await make(house, "last", 14)
    found = await find_expiring(house.database, START_MS)
    assert [each.name for each in found] == ["day", "week", "last"]
    assert found[0].sentence == "day expires 2027-01-16 08:00Z"


async def test_the_log_warns_once_for_each_stage(house: TokenHouse, clock: ManualClock) -> None:
    expiry = TokenExpiry("toy", database=house.database, clock=clock)
    await make(house, "shop", 20)
    other = await make(house, "till", 10)

    async def warned() -> list[tuple[str, int]]:
        with capture_logs() as logs:
            await expiry.look()
        assert {each["event"] for each in logs} <= {"a token expires soon"}
        return [(each["token"], each["within_days"]) for each in logs]

    assert await warned() == [("till", 14)]
    assert await warned() == []
    clock.advance(6 * DAY_S)
    assert await warned() == [("till", 7), ("shop", 14)]
    await house.tokens.revoke(OPERATOR, other)
    clock.advance(7 * DAY_S)
    assert await warned() == [("shop", 7)]
    clock.advance(4 * DAY_S)
    assert await warned() == [("shop", 3)]
    clock.advance(2 * DAY_S)
    assert await warned() == [("shop", 1)]
    clock.advance(DAY_S)
    assert await warned() == []
