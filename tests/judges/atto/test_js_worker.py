"""The official worker and ours ask the same work server for the same, and believe the same of its answers."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from judges.atto.conftest import StartJsWallet
from strongroom.atto.gateway import WorkUnavailable
from strongroom.atto.gateway.remote_worker import RemoteWorker
from strongroom.atto.protocol import Block, Network, Transaction, verify_work
from strongroom_sandbox.atto.faults.faults import Lie
from support.atto_account import one_of_each
from support.atto_network import AttoNetwork
from support.js import JsError
from support.js_atto import JsAtto, valid

pytestmark = pytest.mark.anyio
NO_WORK = bytes(8)


@pytest.fixture
async def worker(network: AttoNetwork) -> AsyncIterator[RemoteWorker]:
    worker = RemoteWorker(network.work_url, 10)
    yield worker
    await worker.close()


def unworked() -> list[Transaction]:
    """One of each kind, still without work."""
    return [replace(transaction, work=NO_WORK) for transaction in one_of_each(Network.LOCAL, 1)]


async def find(worker: RemoteWorker, block: Block) -> bytes:
    return await worker.work(block.network, block.timestamp, block.work_target)


async def test_work_of_either_is_valid_for_the_other(
    network: AttoNetwork, worker: RemoteWorker, js_atto: JsAtto, js_wallet: StartJsWallet
) -> None:
    transactions = unworked()
    async with js_wallet() as js:
        for transaction in transactions:
            block = transaction.block
            network.worker.targets.clear()
            work = await js.work(transaction)
            assert block.work_target in network.worker.targets
            verify_work(block.network, block.timestamp, block.work_target, work)
    ours = [replace(one, work=await find(worker, one.block)) for one in transactions]
    assert await js_atto.validate(ours) == [valid(transaction) for transaction in ours]


async def test_neither_believes_a_work_server_that_lies(
    network: AttoNetwork, worker: RemoteWorker, js_wallet: StartJsWallet
) -> None:
    transaction = unworked()[0]
    network.work_faults.lie = Lie.WORK
    with pytest.raises(WorkUnavailable):
        await find(worker, transaction.block)
    async with js_wallet() as js:
        with pytest.raises(JsError, match="Remote worker returned invalid work"):
            await js.work(transaction)
