"""Guesses at a secret through two real database nodes, of which one is late."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection

from strongroom.core.coordination.guesses import ALL, Guesses
from strongroom.core.errors import RateLimited
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.galera import Galera, Lag, two_databases

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@pytest.fixture
async def nodes(galera: Galera) -> AsyncIterator[tuple[Database, Database]]:
    async with two_databases(galera) as databases:
        yield databases


async def test_a_right_guess_at_a_late_node_waits_for_the_wrong_ones_at_the_other(
    nodes: tuple[Database, Database], lag: Lag, clock: ManualClock, galera: Galera
) -> None:
    """The lock tells: the transaction that looks at the secret changes its row, and so did each that guessed wrong."""
    guesses = Guesses("toy secret", clock)

    def guess(connection: Connection, subject: str, caller: str, *, is_right: bool) -> None:
        guesses.require_turn(connection, subject, caller)
        (guesses.right if is_right else guesses.wrong)(connection, subject, caller)

    async def wrong(subject: str, caller: str) -> None:
        await nodes[0].write(lambda connection: guess(connection, subject, caller, is_right=False))

    async def right(subject: str) -> None:
        await nodes[1].write(lambda connection: guess(connection, subject, "token:new", is_right=True))

    for number in range(3):
        subject = f"safe {number}"
        for guesser in range(ALL.free):
            await wrong(subject, f"token:{guesser}")
        await asyncio.to_thread(galera.catch_up)
        await lag.begin()
        await wrong(subject, "token:last")
        with pytest.raises(RateLimited):
            await right(subject)
