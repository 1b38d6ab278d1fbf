"""A wallet goes, the chain's record stays, and what is claimed again is complete."""

import asyncio
import random

import msgspec
import pytest
from sqlalchemy import Connection, select

from strongroom.core.clock import SystemClock
from strongroom.core.storage import tables as core_tables
from strongroom.core.storage.database import Database
from strongroom.hathor import tables
from strongroom.hathor.maintenance.deletion import delete_wallet
from strongroom.hathor.maintenance.verifier import Verifier
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.events import Event, RawEvent, read_event
from strongroom.hathor.protocol.hashes import base58check_decode
from strongroom.hathor.protocol.messages import authentication_message, deletion_message, sign_message
from strongroom.hathor.sync.batch import Rules
from strongroom.hathor.wallets.loading import load_wallet
from strongroom_sandbox.hathor.generate import START_S, Generator, Plan
from support.clock import ManualClock
from support.hathor.api import SIGNED, WALLET_ID, Api, recorded_rows, serving_api
from support.hathor.streams import apply, prepare
from support.hathor.wallets import WALLET, check_wallet, favourites, insert_wallet, wallet_addresses
from support.sql import execute

pytestmark = pytest.mark.anyio

ADDRESS: str = SIGNED["signed_messages"]["sig_auth_mainnet"]["address"]
KEY = base58check_decode(SIGNED["wallet"]["auth_xpriv"])[-32:]
RULES = Rules(network=MAINNET, reward_spend_min_blocks=10)
OWNED = ("wallet", "wallet_balance", "wallet_tx_history", "push_devices")


async def _delete(
    api: Api, message: str, timestamp_s: int, headers: dict[str, str]
) -> tuple[int, str | None]:
    body = {"timestamp": timestamp_s, "signature": sign_message(message, KEY)}
    answer = await api.client.request("DELETE", "/wallet", json=body, headers=headers)
    return answer.status_code, answer.json().get("error")


def _count_rows(connection: Connection) -> dict[str, int]:
    return {name: execute(connection, f"SELECT COUNT(*) FROM {name}")[0][0] for name in OWNED}  # noqa: S608


async def test_only_the_key_of_the_moment_deletes(database: Database, clock: ManualClock) -> None:
    now_s = clock.now_ms() // 1000
    right = deletion_message(now_s, WALLET_ID, ADDRESS)
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        before = await database.read(_count_rows)
        login = authentication_message(now_s, WALLET_ID, ADDRESS)
        assert await _delete(api, login, now_s, api.full()) == (400, "invalid-auth-signature")
        late = deletion_message(now_s - 30, WALLET_ID, ADDRESS)
        assert await _delete(api, late, now_s - 30, api.full()) == (400, "invalid-auth-signature")
        assert (await _delete(api, right, now_s, api.read_only()))[0] == 403
        assert (await _delete(api, right, now_s, {}))[0] == 401
        assert await database.read(_count_rows) == before
        assert await _delete(api, right, now_s, api.full()) == (200, None)
        assert set((await database.read(_count_rows)).values()) == {0}
        assert await _delete(api, right, now_s, api.full()) == (404, "wallet-not-found")
        sql = "SELECT address, wallet_id, `index`, transactions FROM address WHERE transactions > 0"
        record = await database.read(lambda connection: execute(connection, sql))
        assert record
        assert {row[1:3] for row in record} == {(None, None)}


def _messages(connection: Connection) -> int:
    rows = connection.execute(core_tables.outbox.select()).all()
    return len([row for row in rows if row.stream == WALLET])


async def test_messages_end_and_a_wallet_that_comes_back_is_complete(database: Database) -> None:
    await prepare(database)
    journal = Generator(5, Plan(favourites=favourites(range(40)))).run(900)
    events = [read_event(msgspec.json.decode(line, type=RawEvent)) for line in journal.events]
    first, second, third = _thirds(events)

    async def sync(part: list[Event]) -> None:
        await apply(database, part, window=50, now_s=START_S, rules=RULES)

    await database.write(insert_wallet)
    await load_wallet(database, SystemClock(), MAINNET, WALLET)
    await sync(first)
    assert await database.read(_messages) > 0
    assert await database.read(_never_seen) > 0
    await database.write(lambda connection: delete_wallet(connection, WALLET))
    verifier = Verifier(database=database, clock=ManualClock(START_S * 1000), rules=RULES)
    assert (await verifier.run()).differences == []
    assert await database.read(_never_seen) == 0
    assert await database.read(_messages) == 0
    await sync(second)
    assert await database.read(_messages) == 0
    await load_wallet(database, SystemClock(), MAINNET, WALLET)  # one that was under way
    assert await database.read(_count_rows) == dict.fromkeys(OWNED, 0)
    await database.write(insert_wallet)
    await load_wallet(database, SystemClock(), MAINNET, WALLET)
    await sync(third)
    assert await database.read(check_wallet) > 40


async def test_deletions_beside_a_sync_leave_nothing_behind(database: Database) -> None:
    await prepare(database)
    journal = Generator(7, Plan(favourites=favourites(range(40)))).run(500)
    events = [read_event(msgspec.json.decode(line, type=RawEvent)) for line in journal.events]
    clock = SystemClock()
    syncing = asyncio.ensure_future(apply(database, events, window=5, now_s=START_S, rules=RULES))
    while not syncing.done():
        await database.write(insert_wallet)
        await load_wallet(database, clock, MAINNET, WALLET)
        await database.write(lambda connection: delete_wallet(connection, WALLET))
    await syncing
    assert await database.read(_count_rows) == dict.fromkeys(OWNED, 0)
    verifier = Verifier(database=database, clock=ManualClock(START_S * 1000), rules=RULES)
    assert (await verifier.run()).differences == []


def _never_seen(connection: Connection) -> int:
    """Addresses of the wallet that the chain does not know."""
    address = tables.address.c.address
    on_chain = (select(tables.tx_output.c.address), select(tables.caller.c.address))
    found = select(address).where(
        address.in_(wallet_addresses(200)), *(address.not_in(seen) for seen in on_chain)
    )
    return len(connection.execute(found).all())


def _thirds(events: list[Event]) -> tuple[list[Event], list[Event], list[Event]]:
    one, two = sorted(random.Random(1).sample(range(100, len(events) - 100), 2))
    return events[:one], events[one:two], events[two:]
