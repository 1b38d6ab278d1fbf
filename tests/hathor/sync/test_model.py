"""Whatever happens to a chain, wherever a batch ends, however often an event comes: the tables are what they must be."""

import random

import msgspec
import pytest

from strongroom.core.storage.database import Database
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.events import Event, RawEvent, read_event
from strongroom.hathor.sync.batch import EventGapError, Rules
from strongroom_sandbox.hathor.generate import START_S, Generator, Plan
from support.hathor.model import Model, stored_tables
from support.hathor.streams import apply, prepare

RULES = Rules(network=MAINNET, reward_spend_min_blocks=10)


def decode(encoded: list[bytes]) -> list[Event]:
    return [read_event(msgspec.json.decode(line, type=RawEvent)) for line in encoded]


async def check(database: Database, encoded: list[bytes], now_s: int = START_S) -> None:
    expected = Model(RULES.reward_spend_min_blocks).apply(encoded).tables(now_s)
    stored = await database.read(stored_tables)
    for table, rows in expected.items():
        wrong = {k: (rows.get(k), stored[table].get(k)) for k in rows.keys() | stored[table].keys()}
        assert {k: v for k, v in wrong.items() if v[0] != v[1]} == {}, table


@pytest.mark.parametrize("seed", range(12))
async def test_tables_follow_from_the_chain_at_every_cut(database: Database, seed: int) -> None:
    await prepare(database)
    encoded = Generator(seed).run(1_500).events
    events, dice = decode(encoded), random.Random(seed)
    position = 0
    while position < len(events):
        size = dice.choice((1, 2, 7, 60, 400))
        again = max(0, position - dice.choice((0, 0, 1, 30)))  # events already applied come once more
        await apply(database, events[again : position + size], window=10_000, now_s=START_S, rules=RULES)
        position = min(position + size, len(events))
        if dice.random() < 0.2:
            await check(database, encoded[:position])
    await check(database, encoded)


async def test_a_gap_is_refused_and_changes_nothing(database: Database) -> None:
    await prepare(database)
    encoded = Generator(9).run(200).events
    events = decode(encoded)
    await apply(database, events[:100], window=50, now_s=START_S, rules=RULES)
    with pytest.raises(EventGapError):
        await apply(database, events[110:120], window=50, now_s=START_S, rules=RULES)
    with pytest.raises(EventGapError):
        await apply(database, [*events[100:105], *events[106:120]], window=50, now_s=START_S, rules=RULES)
    await check(database, encoded[:100])


async def test_locks_open_when_their_time_comes(database: Database) -> None:
    await prepare(database)
    encoded = Generator(3, Plan(weights={"pay": 30, "block": 20, "timelock": 30, "fork": 1})).run(600).events
    await apply(database, decode(encoded), window=100, now_s=START_S, rules=RULES)
    await check(database, encoded)
    later = START_S + 2_000
    await apply(database, [decode(encoded)[-1]], window=1, now_s=later, rules=RULES)
    await check(database, encoded, later)
