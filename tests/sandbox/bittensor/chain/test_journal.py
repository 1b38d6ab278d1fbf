"""The chain goes on where it was, whenever its process ended."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from strongroom.core.errors import Unavailable
from strongroom_sandbox.bittensor import changes
from strongroom_sandbox.bittensor.chain import chain as chains
from strongroom_sandbox.bittensor.chain.genesis import GENESIS_HASH, Genesis
from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.chain.resume import open_chain
from strongroom_sandbox.bittensor.codec.runtime import Call, shipped_runtime
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.node.node import Node, Production
from strongroom_sandbox.bittensor.sandbox import furnish
from support.bittensor.signing import signed
from support.clock import ManualClock

BOB = development_pair("//Bob")[0]
Opened = Callable[[], Node]
PAYMENT = Call("Balances", "transfer_keep_alive", {"dest": ("Id", BOB), "value": 7})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chain.journal"


@pytest.fixture
def opened(path: Path) -> Iterator[Opened]:
    """Opens the chain as a process does that starts."""
    with ExitStack() as journals:

        def start() -> Node:
            chain, journal = open_chain(path, Genesis(spec_version=293))
            journals.callback(journal.close)
            node = Node(chain, ManualClock(), Production(finality_lag=3))
            if not chain.head.number:
                furnish(node)
            return node

        yield start


def assert_same(again: Node, before: Node) -> None:
    assert again.chain.head.hash == before.chain.head.hash
    assert again.chain.head.header == before.chain.head.header
    assert again.chain.state.snapshot() == before.chain.state.snapshot()
    assert again.chain.runtime.version == before.chain.runtime.version


def test_a_chain_goes_on_with_its_state_its_blocks_and_its_nonces(opened: Opened) -> None:
    before = opened()
    raw = signed(before, "//Alice", PAYMENT)
    before.submit(raw)
    included = before.chain.head
    again = opened()
    assert_same(again, before)
    assert again.chain.finalized >= before.chain.finalized - 1
    known = again.chain.block(included.hash)
    assert known is not None
    assert known.extrinsics == included.extrinsics
    storage = again.chain.storage_at(again.chain.best.known(2))
    assert storage is not None
    assert storage.block_number == 2
    assert again.chain.best.known(0).hash == GENESIS_HASH
    again.submit(signed(again, "//Alice", PAYMENT))
    assert accounts.nonce(again.chain.storage, development_pair("//Alice")[0]) == 2
    assert again.chain.head.number == included.number + 1


def test_forks_and_upgrades_are_kept(opened: Opened) -> None:
    before = opened()
    before.submit(signed(before, "//Alice", PAYMENT))
    before.fork(2, 1)
    before.produce(upgrade=shipped_runtime(424).with_spec_version(430))
    again = opened()
    assert_same(again, before)
    assert again.chain.runtime.spec_version == 430
    hashes = {again.produce().hash, before.produce().hash}
    assert not hashes & set(before.chain.blocks) - {before.chain.head.hash}


def test_a_block_cut_off_by_a_crash_is_left_out(path: Path, opened: Opened) -> None:
    before = opened()
    parent = before.chain.head
    before.produce(changes.fund(BOB, 5))
    path.write_bytes(path.read_bytes()[:-3])
    assert opened().chain.head.hash == parent.hash


def test_only_the_last_blocks_are_kept(path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom_sandbox.bittensor.chain.resume.KEPT_STATES", 4)
    before = opened()
    for _ in range(20):
        before.produce()
    again = opened()
    size = path.stat().st_size
    assert_same(again, before)
    assert again.chain.best.at(before.chain.head.number - 4) is None
    assert again.chain.best.known(0).hash == GENESIS_HASH
    again.produce()
    assert_same(opened(), again)
    assert path.stat().st_size < 2 * size


def test_a_branch_forgets_old_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom_sandbox.bittensor.chain.branch.KEPT_BLOCKS", 5)
    monkeypatch.setattr(chains, "KEPT_STATES", 3)
    node = Node(Genesis(spec_version=293).chain(), ManualClock())
    made = [node.produce() for _ in range(9)]
    kept = [block for block in made if node.chain.block(block.hash)]
    assert kept == made[-5:]
    assert [block.number for block in kept if block.values is not None] == [7, 8, 9]
    assert node.chain.best.at(4) is None
    assert node.chain.best.known(9) is node.chain.head


def test_a_file_that_is_no_journal(path: Path, opened: Opened) -> None:
    path.write_bytes(b"\x00\x00\x00\x04text and more of it")
    with pytest.raises(Unavailable, match="no journal of this version"):
        opened()
