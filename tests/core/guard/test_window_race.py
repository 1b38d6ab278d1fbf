"""Two processes at two nodes of a real cluster race at the limit of a window, and never pass it together."""

import asyncio
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from strongroom.core.guard.guard import Default
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import list_intents
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.galera import Galera, GaleraNode, two_databases
from support.guarding import Guarded
from support.processes import Process
from support.trail import verify
from support.window_racer import AMOUNT, LIMIT, RULE

pytestmark = pytest.mark.anyio
ROUNDS_A_SECOND = 5
"""Of the slowest machine."""


def start(name: str, socket: Path, node: GaleraNode, database: str, rounds: int) -> Process:
    url = node.url(database).render_as_string(hide_password=False)
    return Process([sys.executable, "-m", "support.window_racer", name, str(socket), url, str(rounds)])


def wait_both(first: Process, second: Process, rounds: int) -> int:
    """How many payments both signed."""
    for process in (first, second):
        assert process.wait_end(60 + rounds / ROUNDS_A_SECOND) == 0, process.logs()
    return sum(int(process.stdout[-1].removeprefix("signed ")) for process in (first, second))


def destination(intent: Intent) -> str:
    noted: str = msgspec.json.decode(intent.request)["destination"]
    return noted


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(300, marks=pytest.mark.timeout(240)),
        pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(3_000)]),
    ],
)
async def test_two_nodes_never_pass_a_limit_together(
    galera: Galera, clock: ManualClock, tmp_path: Path, rounds: int
) -> None:
    async with two_databases(galera) as (database, _):
        guarded = Guarded(database, clock, default=Default.ALLOW)
        await guarded.add("a shop's day", RULE)
        await asyncio.to_thread(galera.catch_up)
        name, socket = str(database.url.database), tmp_path / "race"
        with start("first", socket, galera.first, name, rounds) as first:
            first.wait_for("listens")
            with start("second", socket, galera.second, name, rounds) as second:
                signed = await asyncio.to_thread(wait_both, first, second, rounds)
        await asyncio.to_thread(galera.catch_up)
        await assert_within_the_limit(database, rounds)
        assert signed == rounds
        assert await verify(database) == rounds + 2  # and those of the rule and of the rules with it


async def assert_within_the_limit(database: Database, rounds: int) -> None:
    intents = await database.read(lambda connection: list_intents(connection, limit=2 * rounds))
    passed = Counter[str]()
    for intent in intents:
        passed[destination(intent)] += AMOUNT
    over = {shop: amount - LIMIT for shop, amount in passed.items() if amount > LIMIT}
    assert over == {}
    assert len(passed) == rounds
