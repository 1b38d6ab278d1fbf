"""Two processes choose nonces of one account, each at a node of a cluster, of which the second one is late."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from sqlalchemy import Connection

from bittensor.extrinsics.test_nonces import KEY, LAST_BLOCK, extrinsic
from strongroom.bittensor.definition import REVISIONS
from strongroom.bittensor.extrinsics.extrinsic import State
from strongroom.bittensor.extrinsics.nonces import (
    AwaitingPool,
    ChainBehind,
    free_nonce,
    lock_account,
    note_final,
)
from strongroom.bittensor.gateway import Head
from strongroom.core.intents.intent import Intent, Rejected
from strongroom.core.intents.store import adopt, record_rejected
from strongroom.core.storage.database import Database
from support.galera import LONG, Galera, Lag, two_databases

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

Nodes = tuple[Database, Database]


@pytest.fixture
async def nodes(galera: Galera) -> AsyncIterator[Nodes]:
    """The account is known: the first row of an account is written by each process, and so holds one of them up anyway."""
    async with two_databases(galera, [REVISIONS]) as databases:
        for database in databases:
            await database.write(partial(lock_account, public_key=KEY.public_key))
        await asyncio.to_thread(galera.catch_up)
        yield databases


def sign(connection: Connection, chain_says: int) -> Intent:
    """What counts of a signature here: the nonce, and the intent that takes it."""
    nonce = free_nonce(connection, KEY.public_key, chain_says, LAST_BLOCK - 1)
    return adopt(connection, extrinsic(nonce, State.SIGNED))


def end(connection: Connection, intent: Intent) -> None:
    """What counts of an outcome: the account is locked, and the slot becomes free."""
    lock_account(connection, KEY.public_key)
    assert record_rejected(connection, intent, Rejected(reason="No block took it", stage=State.EXPIRED), 9)


async def test_none_is_signed_behind_one_that_has_ended_at_the_other_node(
    galera: Galera, nodes: Nodes, lag: Lag
) -> None:
    """The chain would wait for the nonce that became free, and so never take the one behind it."""
    pooled = await nodes[0].write(partial(adopt, intent=extrinsic(3)))
    await asyncio.to_thread(galera.catch_up)
    await lag.begin(LONG)
    await nodes[0].write(partial(end, intent=pooled))
    assert (await nodes[1].write(partial(sign, chain_says=3))).slot == pooled.slot


async def test_one_at_a_time_waits_for_a_pool_whichever_node_it_was_signed_at(nodes: Nodes, lag: Lag) -> None:
    await lag.begin(LONG)
    await nodes[0].write(partial(sign, chain_says=3))
    with pytest.raises(AwaitingPool):
        await nodes[1].write(partial(sign, chain_says=4))  # its node counts what waits in the pool


async def test_none_is_signed_with_a_nonce_that_the_other_node_saw_in_a_final_block(
    nodes: Nodes, lag: Lag
) -> None:
    block = Head(LAST_BLOCK, bytes(32))
    await lag.begin(LONG)
    await nodes[0].write(partial(note_final, public_key=KEY.public_key, nonce=3, block=block))
    with pytest.raises(ChainBehind):
        await nodes[1].write(partial(sign, chain_says=3))
