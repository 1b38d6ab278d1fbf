"""Proposals beside the sync: what a voided spender frees, and what a contract's caller counts."""

from functools import partial

import pytest
from sqlalchemy import Connection

from strongroom.core.storage.database import Database
from strongroom.hathor.proposals.store import begin_broadcast, cancel, finish_broadcast, propose, refuse
from strongroom.hathor.proposals.utxo_locks import ProposalRefused
from strongroom.hathor.protocol.hashes import base58check_decode, sha256d
from strongroom.hathor.protocol.headers import NanoHeader
from strongroom.hathor.protocol.transactions import Transaction
from support.hathor.proposals import admit_any
from support.hathor.scenes import NOW_S, Scene, pay, text_address
from support.hathor.signing import draft
from support.hathor.streams import prepare
from support.sql import execute

OURS = "a"


@pytest.fixture
async def scene(database: Database) -> Scene:
    await prepare(database)
    made = Scene(database)
    for _ in range(4):
        made.block()
    return made


def own(connection: Connection) -> None:
    sql = "UPDATE address SET wallet_id = 'wallet', `index` = 0, bip32_account = 0, seqnum = 5 WHERE address = {}"
    execute(connection, sql, text_address(OURS))


def marks(connection: Connection) -> tuple[int, int]:
    """Marked outputs, and held ones."""
    marked = execute(connection, "SELECT COUNT(*) FROM tx_output WHERE tx_proposal IS NOT NULL")[0][0]
    return marked, execute(connection, "SELECT COUNT(*) FROM strongroom_hathor_held_output")[0][0]


async def announce(database: Database, name: str, transaction: Transaction) -> None:
    raw = transaction.encode()
    await database.write(lambda c: propose(c, name, "wallet", transaction, raw, NOW_S))


async def test_the_void_of_a_sent_transaction_frees_its_outputs(database: Database, scene: Scene) -> None:
    kept = scene.send([scene.genesis], [pay(OURS, 1_000)])
    await scene.sync()
    await database.write(own)
    transaction = draft([(kept.hash, 0)], [], timestamp_s=NOW_S)
    await announce(database, "first", transaction)
    intent = await database.write(
        partial(
            begin_broadcast,
            proposal_id="first",
            wallet_id=None,
            raw=b"raw",
            tx_id="1d" * 32,
            now_ms=0,
            admit=admit_any,
        )
    )
    assert intent is not None
    await database.write(partial(finish_broadcast, intent=intent, is_sent=True, now_s=NOW_S))
    spender = scene.send([(kept.hash, 0)], [pay("b", 1_000)])
    await scene.sync()
    assert await database.read(marks) == (1, 1)
    scene.chain.void(spender)
    await scene.sync()
    assert await database.read(marks) == (0, 0)
    await announce(database, "second", transaction)
    assert await database.read(marks) == (1, 1)


async def test_the_void_of_another_s_transaction_frees_nothing_that_is_held(
    database: Database, scene: Scene
) -> None:
    kept = scene.send([scene.genesis], [pay(OURS, 1_000)])
    await scene.sync()
    await database.write(own)
    transaction = draft([(kept.hash, 0)], [], timestamp_s=NOW_S)
    await announce(database, "ours", transaction)
    rival = scene.send([(kept.hash, 0)], [pay("b", 1_000)])
    await scene.sync()
    scene.chain.void(rival)
    await scene.sync()
    assert await database.read(marks) == (1, 1)
    with pytest.raises(ProposalRefused, match="inputs-already-used"):
        await announce(database, "late", transaction)
    assert await database.read(marks) == (1, 1)


async def test_nor_what_is_held_to_be_sent_again(database: Database, scene: Scene) -> None:
    kept = scene.send([scene.genesis], [pay(OURS, 1_000)])
    await scene.sync()
    await database.write(own)
    transaction = draft([(kept.hash, 0)], [], timestamp_s=NOW_S)
    await announce(database, "ours", transaction)
    await database.write(partial(refuse, proposal_id="ours", wallet_id="wallet", now_s=NOW_S))
    assert await database.read(marks) == (0, 0)
    await database.write(
        partial(
            begin_broadcast,
            proposal_id="ours",
            wallet_id=None,
            raw=b"raw",
            tx_id="1d" * 32,
            now_ms=0,
            admit=admit_any,
        )
    )
    rival = scene.send([(kept.hash, 0)], [pay("b", 1_000)])
    await scene.sync()
    scene.chain.void(rival)
    await scene.sync()
    assert await database.read(marks) == (1, 1)


async def test_a_call_of_a_contract_takes_its_sequence_number_and_gives_it_back(
    database: Database, scene: Scene
) -> None:
    scene.send([scene.genesis], [pay(OURS, 1_000)])
    await scene.sync()
    await database.write(own)
    assert await seqnum_after(database, "jump", call(16)) == 5  # the node would not take it
    assert await seqnum_after(database, "good", call(6)) == 6
    assert await seqnum_after(database, "next", call(7)) == 7
    for name, expected in (("good", 7), ("next", 6)):  # only the last one can go back
        await database.write(partial(cancel, proposal_id=name, wallet_id="wallet", now_s=NOW_S))
        assert await database.read(seqnum) == expected
    foreign = call(7, "stranger")
    assert await seqnum_after(database, "foreign", foreign) == 6


async def test_a_failed_call_that_is_sent_again_takes_its_number_again(
    database: Database, scene: Scene
) -> None:
    scene.send([scene.genesis], [pay(OURS, 1_000)])
    await scene.sync()
    await database.write(own)
    assert await seqnum_after(database, "failed", call(6)) == 6
    await database.write(partial(refuse, proposal_id="failed", wallet_id="wallet", now_s=NOW_S))
    assert await seqnum_after(database, "between", call(6)) == 6
    await database.write(partial(cancel, proposal_id="between", wallet_id="wallet", now_s=NOW_S))
    assert await database.read(seqnum) == 5
    await database.write(
        partial(
            begin_broadcast,
            proposal_id="failed",
            wallet_id=None,
            raw=b"raw",
            tx_id="1d" * 32,
            now_ms=0,
            admit=admit_any,
        )
    )
    assert await database.read(seqnum) == 6


async def test_a_sequence_number_is_given_back_once(database: Database, scene: Scene) -> None:
    """The call after a failed one has the same number; that the failed one expires later changes nothing."""
    scene.send([scene.genesis], [pay(OURS, 1_000)])
    await scene.sync()
    await database.write(own)
    assert await seqnum_after(database, "failed", call(6)) == 6
    await database.write(partial(refuse, proposal_id="failed", wallet_id="wallet", now_s=NOW_S))
    assert await seqnum_after(database, "next", call(6)) == 6
    await database.write(partial(cancel, proposal_id="failed", wallet_id="wallet", now_s=NOW_S))
    assert await database.read(seqnum) == 6


async def test_a_sequence_number_that_the_chain_has_seen_is_not_given_back(
    database: Database, scene: Scene
) -> None:
    """Another client of the same wallet had the same number, and was first."""
    scene.send([scene.genesis], [pay(OURS, 1_000)])
    await scene.sync()
    await database.write(own)
    assert await seqnum_after(database, "slow", call(6)) == 6
    sql = "INSERT INTO strongroom_hathor_caller (tx_id, address, seqnum) VALUES ({}, {}, 6)"
    await database.write(lambda c: execute(c, sql, "ab" * 32, text_address(OURS)))
    await database.write(partial(cancel, proposal_id="slow", wallet_id="wallet", now_s=NOW_S))
    assert await database.read(seqnum) == 6


def call(number: int, name: str = OURS) -> Transaction:
    payload = base58check_decode(text_address(name))
    header = NanoHeader(
        contract_id=bytes(32),
        seqnum=number,
        method="work",
        arguments=b"",
        actions=(),
        address=_with_checksum(payload),
        script=b"",
    )
    return Transaction(headers=(header,), timestamp_s=NOW_S)


async def seqnum_after(database: Database, name: str, transaction: Transaction) -> int:
    await announce(database, name, transaction)
    return await database.read(seqnum)


def seqnum(connection: Connection) -> int:
    sql = "SELECT seqnum FROM address WHERE address = {}"
    number: int = execute(connection, sql, text_address(OURS))[0][0]
    return number


def _with_checksum(payload: bytes) -> bytes:
    return payload + sha256d(payload)[:4]
