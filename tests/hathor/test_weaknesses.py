"""What went wrong in the original, and must be impossible here. The numbers are those of the known weaknesses.

0 (amounts above 2^53) and 7 (a derived address that is on chain already) are in `test_wallets`; of 11, the retry
counter and events out of order are in `test_daemon`.
"""

from typing import Any

import pytest

from strongroom.core.storage.database import Database
from strongroom.hathor.protocol.transactions import HATHOR_TOKEN
from strongroom.hathor.sync.batch import apply_batch
from strongroom_sandbox.hathor.vertices import Nano
from support.hathor.scenes import NOW_S, RULES, Scene, pay, text_address
from support.hathor.streams import OUTBOX, prepare
from support.sql import execute

BALANCE = (
    "SELECT unlocked_balance, locked_balance, timelock_expires, transactions, unlocked_authorities"
    " FROM address_balance WHERE address = {} AND token_id = {}"
)


async def balance(database: Database, name: str, token: str = HATHOR_TOKEN) -> tuple[Any, ...] | None:
    rows = await database.read(lambda c: execute(c, BALANCE, text_address(name), token))
    return (int(rows[0][0]), int(rows[0][1]), *rows[0][2:]) if rows else None


async def idle(database: Database, now_s: int) -> None:
    await database.write(lambda c: apply_batch(c, [], RULES, OUTBOX, now_s))


@pytest.fixture
async def scene(database: Database) -> Scene:
    await prepare(database)
    made = Scene(database)
    for _ in range(4):
        made.block()
    return made


async def test_8_a_voided_timelocked_output_unlocks_nothing(database: Database, scene: Scene) -> None:
    later = NOW_S + 100
    kept = scene.send([scene.genesis], [pay("a", 600), pay("a", 50, timelock_s=later)])
    lost = scene.send([(kept.hash, 0)], [pay("a", 600, timelock_s=later)])
    await scene.sync()
    assert await balance(database, "a") == (0, 650, later, 2, 0)
    scene.chain.void(lost)
    await scene.sync()
    assert await balance(database, "a") == (600, 50, later, 1, 0)
    await idle(database, later)
    assert await balance(database, "a") == (600, 50, later, 1, 0)
    await idle(database, later + 1)
    assert await balance(database, "a") == (650, 0, None, 1, 0)


async def test_9_rewards_lock_again_when_a_reorganisation_lowers_the_height(
    database: Database, scene: Scene
) -> None:
    early = scene.block("early")
    for _ in range(3):
        scene.block()
    await scene.sync()
    assert await balance(database, "early") == (64, 0, None, 1, 0)
    for vertex in list(scene.chain.vertices.values()):  # the node lost its best blocks
        if vertex.height > early.height + 1:
            vertex.voided_by = {vertex.hash}
            scene.chain._changed(vertex)
    await scene.sync()
    assert await balance(database, "early") == (0, 64, None, 1, 0)


async def test_9_a_height_that_was_skipped_unlocks_all_the_same(database: Database, scene: Scene) -> None:
    early = scene.block("early")
    blocks = [scene.block() for _ in range(4)]
    skipped = {scene.chain.vertices[block.hash].height for block in blocks[:-1]}
    events = [
        event
        for event in scene.events()
        if getattr(event.data, "hash", "") not in {block.hash for block in blocks[:-1]}
    ]
    assert early.height + 3 in skipped
    for number, event in enumerate(events):
        renumbered = type(event)(id=number, type=event.type, data=event.data)
        await database.write(lambda c, e=renumbered: apply_batch(c, [e], RULES, OUTBOX, NOW_S))  # type: ignore[misc] # bound at once
    assert await balance(database, "early") == (64, 0, None, 1, 0)


async def test_10_counters_authorities_and_timelocks_follow_a_void(database: Database, scene: Scene) -> None:
    later = NOW_S + 100
    made = scene.create_token(
        [scene.genesis],
        [pay("a", 500, token_data=1), pay("a", 1, token_data=0x81), pay("b", 900)],
    )
    token = made.hash
    moved = scene.send(
        [(token, 0), (token, 1)],
        [pay("a", 400, token_data=1, timelock_s=later), pay("a", 100, token_data=1)],
        [token],
    )
    await scene.sync()
    assert await balance(database, "a", token) == (100, 400, later, 2, 0)
    assert await count(database, token) == 1
    scene.chain.void(moved)
    await scene.sync()
    assert await balance(database, "a", token) == (500, 0, None, 1, 1)
    assert await count(database, token) == 0
    scene.chain.revive(moved)
    await scene.sync()
    assert await balance(database, "a", token) == (100, 400, later, 2, 0)
    assert await count(database, token) == 1


async def count(database: Database, token: str) -> int:
    rows = await database.read(lambda c: execute(c, "SELECT transactions FROM token WHERE id = {}", token))
    return int(rows[0][0])


async def test_10_the_native_tokens_counter_follows_a_void(database: Database, scene: Scene) -> None:
    await scene.sync()
    before = await count(database, "00")
    paid = scene.send([scene.genesis], [pay("a", 1_000)])
    await scene.sync()
    assert await count(database, "00") == before + 1
    scene.chain.void(paid)
    await scene.sync()
    assert await count(database, "00") == before


async def test_11_only_the_end_of_an_execution_changes(database: Database, scene: Scene) -> None:
    """The first block and the height stay, the contract's execution is undone: its tokens go."""
    nano = Nano(contract_id="11" * 32, seqnum=0, method="mint", address=text_address("caller"))
    nano.creates_token = "ab" * 32
    call = scene._vertex(1, [pay("a", 1_000)], [scene.genesis])
    call.nano = nano
    scene.chain.add_transaction(call)
    scene.block()
    await scene.sync()
    tokens = "SELECT id FROM token WHERE id <> '00'"
    assert list(await database.read(lambda c: execute(c, tokens))) == [("ab" * 32,)]
    call.nc_execution = "pending"
    scene.chain._changed(call)
    await scene.sync()
    assert list(await database.read(lambda c: execute(c, tokens))) == []


async def test_11_a_fresh_database_without_any_event_is_no_error(database: Database) -> None:
    await prepare(database)
    await idle(database, NOW_S)
    rows = await database.read(lambda c: execute(c, "SELECT last_event_id FROM sync_metadata"))
    assert list(rows) == [(-1,)]
