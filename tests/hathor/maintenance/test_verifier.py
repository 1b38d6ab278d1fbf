"""Verify finds nothing in a sound ledger, finds each damage, and repairs it."""

import random

import msgspec
import pytest

from strongroom.core.clock import SystemClock
from strongroom.core.storage.database import Database
from strongroom.hathor.maintenance.verifier import Report, Verifier
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.events import RawEvent, read_event
from strongroom.hathor.sync.batch import Rules
from strongroom.hathor.wallets.loading import load_wallet
from strongroom_sandbox.hathor.generate import START_S, Generator, Plan
from support.clock import ManualClock
from support.hathor.model import stored_tables
from support.hathor.streams import apply, prepare
from support.hathor.wallets import WALLET, check_wallet, favourites, insert_wallet
from support.sql import execute

RULES = Rules(network=MAINNET, reward_spend_min_blocks=10)

DAMAGE = {
    "unlocked": "UPDATE address_balance SET unlocked_balance = '7' WHERE transactions > 1",
    "authorities": "UPDATE address_balance SET unlocked_authorities = 3",
    "no balances": "DELETE FROM address_balance",
    "lost history": "DELETE FROM address_tx_history WHERE token_id = '00'",
    "history": "UPDATE address_tx_history SET balance = '9'",
    "counter": "UPDATE address SET transactions = 77",
    "locks": "UPDATE tx_output SET locked = 1 WHERE spent_by IS NULL",
    "wallet": "UPDATE wallet_balance SET locked_balance = '5', transactions = 2",
    "wallet history": "DELETE FROM wallet_tx_history WHERE token_id = '00'",
    "token": "UPDATE token SET transactions = 1000",
    "miners": "DELETE FROM miner",
    "ghost": "INSERT INTO address_balance (address, token_id, transactions) VALUES ('HGhost', '00', 1)",
}


async def ledger(database: Database, seed: int) -> None:
    await prepare(database)
    journal = Generator(seed, Plan(favourites=favourites(range(40)))).run(900)
    events = [read_event(msgspec.json.decode(line, type=RawEvent)) for line in journal.events]
    await apply(database, events[:500], window=200, now_s=START_S, rules=RULES)
    await database.write(insert_wallet)
    await load_wallet(database, SystemClock(), MAINNET, WALLET)
    await apply(database, events[500:], window=50, now_s=START_S, rules=RULES)


async def verify(database: Database, *, repair: bool = False) -> Report:
    clock = ManualClock(START_S * 1000)
    reports: list[int] = []
    verifier = Verifier(database=database, clock=clock, rules=RULES, repair=repair)
    report = await verifier.run(lambda report: reports.append(report.addresses))
    assert reports == sorted(reports)
    return report


@pytest.mark.parametrize("seed", range(3))
async def test_a_sound_ledger_has_no_difference(database: Database, seed: int) -> None:
    await ledger(database, seed)
    report = await verify(database)
    assert (report.count, report.wallets) == (0, 1)
    assert report.addresses > 100


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_found_and_repaired(database: Database, damage: str) -> None:
    await ledger(database, random.Random(damage).randrange(100))
    sound = await database.read(stored_tables)
    await database.write(lambda c: execute(c, DAMAGE[damage]))
    report = await verify(database)
    assert report.count > 0
    assert {d.table for d in report.differences}
    again = await verify(database)
    assert again.count == report.count  # looking changes nothing
    await verify(database, repair=True)
    assert (await verify(database)).count == 0
    assert await database.read(stored_tables) == sound
    await database.read(check_wallet)
