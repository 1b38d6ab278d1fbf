"""The journal, and the ledger that comes out of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.atto.protocol import (
    BlockType,
    InvalidBlock,
    Transaction,
    decode_transaction,
    encode_transaction,
)
from strongroom_sandbox.atto import AttoSandbox, Chain, Journal, Reason, Rejected
from support.atto_account import account
from support.atto_sandbox import running
from support.clock import START_MS, ManualClock

pytestmark = pytest.mark.anyio
ALICE, BOB = account(1), account(2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "atto.jsonl"


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def read(path: Path) -> list[Transaction]:
    return [decode_transaction(line) for line in path.read_bytes().splitlines()]


async def test_next_sandbox_has_the_same_ledger(path: Path, clock: ManualClock) -> None:
    first = AttoSandbox(Chain(), clock, journal=Journal(path))
    async with running(first) as node:
        state = await node.open(ALICE)
        await node.publish(ALICE.send(state, BOB.address, 400))
    second = AttoSandbox(Chain(), clock, journal=Journal(path))
    chains = [first.chain, second.chain]
    for key in (ALICE.public_key, BOB.public_key):
        assert chains[0].account(key) == chains[1].account(key)
        assert chains[0].entries(key, 1, 9) == chains[1].entries(key, 1, 9)
        assert chains[0].transactions(key, 1, 9) == chains[1].transactions(key, 1, 9)
    assert list(chains[0].pending()) == list(chains[1].pending()) != []
    assert chains[0].richest(9) == chains[1].richest(9)
    await second.aclose()


async def test_only_what_is_confirmed_is_written(path: Path, clock: ManualClock) -> None:
    sandbox = AttoSandbox(Chain(), clock, journal=Journal(path))
    async with running(sandbox) as node:
        opening = ALICE.open(await node.fund(ALICE))
        for transaction in (opening, opening, BOB.sign(opening.block)):
            await node.publish(transaction)
    assert [transaction.block.type for transaction in read(path)] == [BlockType.SEND, BlockType.OPEN]


def test_line_that_was_not_finished_is_dropped(path: Path) -> None:
    transaction = Chain().faucet(ALICE.address, 5, START_MS).transaction
    line = encode_transaction(transaction) + b"\n"
    path.write_bytes(line + line[:50])
    journal = Journal(path)
    assert list(journal.read()) == [transaction]
    journal.append(transaction)
    journal.close()
    assert read(path) == [transaction, transaction]


async def test_journal_of_another_ledger_is_refused(path: Path, clock: ManualClock) -> None:
    transaction = Chain().faucet(ALICE.address, 5, START_MS).transaction
    write(path, encode_transaction(replace(transaction, signature=bytes(64))) + b"\n")
    with pytest.raises(Rejected) as raised:
        AttoSandbox(Chain(), clock, journal=Journal(path))
    assert raised.value.reason is Reason.INVALID_TRANSACTION


async def test_unreadable_journal_is_refused(path: Path, clock: ManualClock) -> None:
    write(path, b"{}\n")
    with pytest.raises(InvalidBlock):
        AttoSandbox(Chain(), clock, journal=Journal(path))
