"""Tokens and their rates over two real database nodes, of which one is late."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.coordination.rate_store import DatabaseRates
from strongroom.core.coordination.rates import parse_rate
from strongroom.core.errors import StrongroomError, Unauthenticated
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SigningGate
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.galera import Galera, Lag, running_galera, two_databases
from support.guarding import request
from support.running import running
from support.tokens import TokenHouse
from support.trail import open_trail, verify
from support.waiting import PATIENCE_S, until_true

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

Nodes = tuple[Database, Database]


@pytest.fixture(scope="module")
def galera() -> Iterator[Galera]:
    with running_galera() as cluster:
        yield cluster


@pytest.fixture
async def nodes(galera: Galera) -> AsyncIterator[Nodes]:
    async with two_databases(galera) as databases:
        yield databases


@pytest.fixture
async def lag(galera: Galera) -> AsyncIterator[Lag]:
    lag = Lag(galera)
    yield lag
    await lag.close()


async def is_refused(house: TokenHouse, presented: str, source: str = "") -> bool:
    try:
        await house.principal(presented, source)
    except StrongroomError:
        return True
    return False


async def test_nothing_is_signed_at_one_node_for_a_token_that_was_revoked_at_the_other(
    nodes: Nodes, lag: Lag, clock: ManualClock, entropy: SeededEntropy, galera: Galera
) -> None:
    """The head of its lane tells: the transaction that signs changes it, and the one that revoked has changed all heads."""
    first, second = TokenHouse(nodes[0], clock, entropy), TokenHouse(nodes[1], clock, entropy)
    gate = SigningGate(Guard(clock, Default.ALLOW, key=open_trail()), Audit(clock, open_trail()))
    for number in range(5):
        new = await first.tokens.create(OPERATOR, f"ci-{number}", ["*"])
        await asyncio.to_thread(galera.catch_up)
        asked = replace(request(), principal=await second.principal(new.secret))

        def sign(connection: Connection, asked: object = asked) -> None:
            with gate.sign(connection, asked, lambda message: message):  # type: ignore[arg-type]
                pass

        await nodes[1].write(sign)
        await lag.begin()
        await first.tokens.revoke(OPERATOR, new.id)
        with pytest.raises(Unauthenticated, match="The API token was revoked"):
            await nodes[1].write(sign)
        assert await is_refused(second, new.secret), "the node has caught up for the signature"
    assert await verify(nodes[1]) == 15


async def test_every_change_of_a_token_arrives_at_the_other_node(
    nodes: Nodes, clock: ManualClock, entropy: SeededEntropy, galera: Galera
) -> None:
    first, second = TokenHouse(nodes[0], clock, entropy), TokenHouse(nodes[1], clock, entropy)
    old = await first.tokens.create(OPERATOR, "ci", ["*"])
    await asyncio.to_thread(galera.catch_up)
    assert not await is_refused(second, old.secret)
    new = await first.tokens.rotate(OPERATOR, old.id)
    await until_true(lambda: is_refused(second, old.secret))
    assert not await is_refused(second, new.secret)
    await first.tokens.revoke(OPERATOR, old.id)
    await until_true(lambda: is_refused(second, new.secret))


async def test_both_nodes_note_uses_of_one_token(
    nodes: Nodes, clock: ManualClock, entropy: SeededEntropy, galera: Galera
) -> None:
    houses = [TokenHouse(each, clock, entropy) for each in nodes]
    new = await houses[0].tokens.create(OPERATOR, "ci", ["*"])
    await asyncio.to_thread(galera.catch_up)
    for number in range(10):
        for house in houses:
            await house.principal(new.secret, f"192.0.2.{number}")
        await asyncio.gather(*(house.uses.write() for house in houses))
        clock.advance(60)
    await asyncio.to_thread(galera.catch_up)
    for house in houses:
        assert (await house.tokens.find(new.id)).used_from == "192.0.2.9"


async def test_two_nodes_count_a_rate_together_though_one_is_late(
    nodes: Nodes, lag: Lag, clock: ManualClock
) -> None:
    limiters = [RateLimiter(clock, DatabaseRates(each, clock), answer_s=PATIENCE_S) for each in nodes]
    rate = parse_rate("100/min")

    async def passed(limiter: RateLimiter, times: int) -> int:
        return [await limiter.take("token:ci", rate) for _ in range(times)].count(0.0)

    async with running(lag.keep_up()):
        assert sum(await asyncio.gather(*(passed(each, 150) for each in limiters))) == 100
        for _ in range(5):
            clock.advance(60)
            assert sum(await asyncio.gather(*(passed(each, 150) for each in limiters))) <= 110
