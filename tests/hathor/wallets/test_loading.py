"""Wallets claim addresses and see the sums of what these did, whenever they come."""

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

import msgspec
import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.coordination.loops import Loops
from strongroom.core.errors import Conflict
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Health, Metrics, Status
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import ConnectionSevered
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.events import Event, RawEvent, read_event
from strongroom.hathor.protocol.hashes import base58check_decode, base58check_encode
from strongroom.hathor.protocol.keys import wallet_id
from strongroom.hathor.sync.batch import Rules
from strongroom.hathor.wallets.loading import (
    LOOK_S,
    Progress,
    WalletLoader,
    chain_of,
    creating_wallets,
    extend,
    load_wallet,
)
from strongroom_sandbox.hathor.generate import START_S, Generator, Plan
from support.hathor.streams import apply, prepare
from support.hathor.wallets import WALLET, XPUB, check_wallet, favourites, insert_wallet, wallet_addresses
from support.hurried_clock import HurriedClock, ShiftedClock
from support.sql import execute
from support.waiting import PATIENCE_S

T = TypeVar("T")
RULES = Rules(network=MAINNET, reward_spend_min_blocks=10)


def chain_events(seed: int, count: int, indexes: range = range(70)) -> list[Event]:
    journal = Generator(seed, Plan(favourites=favourites(indexes))).run(count)
    return [read_event(msgspec.json.decode(line, type=RawEvent)) for line in journal.events]


async def sync(database: Database, events: list[Event], window: int = 50) -> None:
    await apply(database, events, window=window, now_s=START_S, rules=RULES)


async def load(database: Database) -> list[Progress]:
    reports: list[Progress] = []
    await load_wallet(database, SystemClock(), MAINNET, WALLET, reports.append)
    return reports


async def test_a_fresh_wallet_claims_its_gap(database: Database) -> None:
    await prepare(database)
    await database.write(insert_wallet)
    assert await creating_wallets(database) == [WALLET]
    assert await load(database) == [Progress(claimed=19, last_used=-1, complete=True)]
    assert await database.read(check_wallet) == 20
    assert await creating_wallets(database) == []


async def test_a_wallet_whose_gap_is_claimed_derives_nothing(database: Database) -> None:
    await prepare(database)
    await database.write(insert_wallet)
    whole = (await load(database))[-1]
    chain_of.cache_clear()
    assert await database.write(lambda c: extend(c, MAINNET, WALLET, 100)) == whole
    assert chain_of.cache_info().misses == 0


@pytest.mark.parametrize("seed", range(4))
async def test_loading_in_the_middle_of_the_stream(database: Database, seed: int) -> None:
    await prepare(database)
    events = chain_events(seed, 900)
    cut = random.Random(seed).randrange(len(events))
    await sync(database, events[:cut])
    await database.write(insert_wallet)
    await load(database)
    await database.read(check_wallet)
    await sync(database, events[cut:])
    assert await database.read(check_wallet) > 70


async def test_loading_beside_a_live_sync(database: Database) -> None:
    await prepare(database)
    events = chain_events(5, 1500, range(600))
    await sync(database, events[:700])
    await database.write(insert_wallet)
    await asyncio.gather(sync(database, events[700:], window=5), load(database))
    await database.read(check_wallet)


async def test_payments_beyond_the_gap_join_when_the_gap_reaches_them(database: Database) -> None:
    """The original stopped its whole sync at such an address."""
    await prepare(database)
    await database.write(insert_wallet)
    await load(database)
    far = chain_events(6, 300, range(25, 45))
    await sync(database, far)
    assert await database.read(check_wallet) == 20
    near = Generator(7, Plan(favourites=favourites(range(19, 20)))).run(100).events
    await sync_more(database, near, start=len(far))
    assert await database.read(check_wallet) > 45


async def sync_more(database: Database, encoded: list[bytes], start: int) -> None:
    """Goes on with another chain's transactions, renumbered."""
    raw = [msgspec.json.decode(line, type=RawEvent) for line in encoded]
    events = [read_event(msgspec.structs.replace(event, id=start + n)) for n, event in enumerate(raw)]
    await sync(database, events)


async def test_progress_is_reported_and_bounded_steps_taken(database: Database) -> None:
    await prepare(database)
    await sync(database, chain_events(8, 3000, range(600)))
    await database.write(insert_wallet)
    reports = await load(database)
    assert len(reports) >= 2
    assert [r.claimed for r in reports] == sorted({r.claimed for r in reports})
    assert reports[-1].complete
    await database.read(check_wallet)


async def test_a_load_that_died_goes_on(database: Database) -> None:
    await prepare(database)
    await sync(database, chain_events(8, 2000, range(600)))
    await database.write(insert_wallet)

    class DeathError(Exception):
        pass

    def die(_progress: Progress) -> None:
        raise DeathError

    with pytest.raises(DeathError):
        await load_wallet(database, SystemClock(), MAINNET, WALLET, die)
    sql = "SELECT status, retry_count FROM wallet"
    assert list(await database.read(lambda c: execute(c, sql))) == [("error", 1)]
    await database.write(lambda c: execute(c, "UPDATE wallet SET status = 'creating'"))
    await load(database)
    await database.read(check_wallet)


async def test_the_same_keys_under_another_xpub_are_refused(database: Database) -> None:
    await prepare(database)
    await database.write(insert_wallet)
    await load(database)
    payload = bytearray(base58check_decode(XPUB))
    payload[5:9] = b"\1\2\3\4"  # another parent's fingerprint
    twin = base58check_encode(bytes(payload))
    await database.write(lambda c: insert_wallet(c, twin))
    with pytest.raises(Conflict):
        await load_wallet(database, SystemClock(), MAINNET, wallet_id(twin))
    assert await database.read(check_wallet) == 20
    sql = "SELECT id, status FROM wallet ORDER BY status"
    assert sorted(await database.read(lambda c: execute(c, sql))) == sorted(
        [(WALLET, "ready"), (wallet_id(twin), "error")]
    )


async def test_sums_beyond_every_integer_type_are_exact(database: Database) -> None:
    """2^53 + 1 units and sums above 2^64: the original rounds the first and cannot store the second."""
    await prepare(database)
    await database.write(insert_wallet)
    await load(database)
    plan = Plan(
        weights={"pay": 5, "block": 10, "create_token": 30, "mint": 60}, favourites=favourites(range(1))
    )
    journal = Generator(11, plan).run(900)
    events = [read_event(msgspec.json.decode(line, type=RawEvent)) for line in journal.events]
    await sync(database, events)
    await database.read(check_wallet)
    sql = "SELECT unlocked_balance FROM wallet_balance WHERE wallet_id = {}"
    rows = await database.read(lambda c: execute(c, sql, WALLET))
    assert max(int(row[0]) for row in rows) >= 2**64
    assert wallet_addresses(1)


class AwayDatabase(Database):
    """Answers nothing for a while."""

    failures = 0

    async def read(self, work: Callable[[Connection], T]) -> T:
        self._count()
        return await super().read(work)

    async def write(self, work: Callable[[Connection], T], *, answer_s: float | None = None) -> T:
        self._count()
        return await super().write(work, answer_s=answer_s)

    def _count(self) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise ConnectionSevered


@pytest.mark.parametrize("failures", [1, 2, 5])
async def test_a_load_outlives_a_database_that_is_away(database_url: URL, failures: int) -> None:
    database, observer = AwayDatabase(database_url), Database(database_url)
    await prepare(database)
    await database.write(insert_wallet)
    background = Background()
    loader = WalletLoader(database, HurriedClock(ShiftedClock()), MAINNET, background)
    database.failures = failures
    health = Health()
    clock = HurriedClock(ShiftedClock())
    loops = Loops(
        health=health,
        metrics=Metrics("test"),
        clock=clock,
        entropy=SystemEntropy(),
        background=background,
    )
    loops.check("wallets", loader.check, part="loads")
    loops.start(loops.every("wallets", LOOK_S, loader.look, part="look"))
    async with asyncio.timeout(PATIENCE_S):
        while database.failures or await creating_wallets(observer):  # noqa: ASYNC110 - the loader tells nobody
            await asyncio.sleep(0.01)
    await loader.recheck()
    assert health.components()["wallets"].status is Status.UP
    assert health.components()["wallets"].last_success_ms is not None
    await background.close()
    assert await observer.read(check_wallet) == 20
    await database.close()
    await observer.close()
