"""The nonce that an account signs with next, by what is stored about its open extrinsics."""

from dataclasses import replace
from functools import partial

import pytest

from strongroom.bittensor.extrinsics.extrinsic import State
from strongroom.bittensor.extrinsics.nonces import AwaitingOutcome, AwaitingPool, free_nonce, slot_of
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.intents.intent import Intent, Rejected
from strongroom.core.intents.signing import encode_notes
from strongroom.core.intents.store import adopt, record_rejected
from strongroom.core.storage.database import Database

KEY = Keypair.from_uri("//Alice")
LAST_BLOCK = 40


def extrinsic(nonce: int, state: State = State.POOLED) -> Intent:
    notes = {"job": "0", "nonce": nonce, "specVersion": 1, "firstBlock": 9, "lastBlock": LAST_BLOCK}
    return Intent(
        id=bytes([nonce]) * 32,
        account=KEY.address,
        slot=slot_of(KEY.public_key, nonce),
        kind="Balances.transfer",
        payload=b"signed",
        principal="shop",
        request=encode_notes(notes),
        stage=state,
        created_at_ms=nonce,
    )


async def store(database: Database, *intents: Intent) -> None:
    for intent in intents:
        await database.write(partial(adopt, intent=intent))


async def free(database: Database, chain_says: int, final_number: int) -> int:
    return await database.write(
        lambda connection: free_nonce(connection, KEY.public_key, chain_says, final_number)
    )


async def test_it_is_behind_the_open_ones_of_an_era_that_goes_on(database: Database) -> None:
    await store(database, extrinsic(3), extrinsic(4))
    assert await free(database, chain_says=3, final_number=LAST_BLOCK - 1) == 5


async def test_none_is_free_until_the_end_of_one_is_stored_whose_era_is_over(database: Database) -> None:
    dead = extrinsic(3)
    await store(database, dead)
    with pytest.raises(AwaitingOutcome) as found:
        await free(database, chain_says=3, final_number=LAST_BLOCK)
    assert found.value.intent == dead
    verdict = Rejected(reason="No block took it", stage=State.EXPIRED)
    assert await database.write(lambda connection: record_rejected(connection, dead, verdict, 9))
    assert await free(database, chain_says=3, final_number=LAST_BLOCK) == 3


async def test_one_that_the_chain_has_counted_is_in_the_way_of_none(database: Database) -> None:
    """A block has it. An account does not stand still where that block's events cannot be read."""
    await store(database, extrinsic(3, State.IN_BLOCK))
    assert await free(database, chain_says=4, final_number=LAST_BLOCK) == 4


async def test_none_is_free_before_a_pool_has_answered(database: Database) -> None:
    lent = replace(extrinsic(3, State.SIGNED), attempts=0)
    await store(database, lent)
    for final_number in (LAST_BLOCK - 1, LAST_BLOCK):
        with pytest.raises(AwaitingPool) as found:
            await free(database, chain_says=3, final_number=final_number)
        assert found.value.intent == lent
