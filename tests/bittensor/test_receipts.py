"""A receipt of weights that the service has set: their id is not what was signed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from strongroom.core.intents.payments import PaymentFilter
from strongroom.core.transparency.checker import check_receipt
from support.bittensor.live_node import LiveNode
from support.bittensor.weighing import set_weights, weighing_service
from support.bittensor_service import BittensorService

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(node: LiveNode, tmp_path: Path) -> AsyncIterator[BittensorService]:
    async with weighing_service(node, tmp_path) as running:
        yield running


async def test_an_extrinsic_is_proven_by_its_own_hash(service: BittensorService) -> None:
    assert (await set_weights(service)).status_code == 200
    ledger = service.ledger
    (payment,) = await ledger.payments.page(PaymentFilter())
    await ledger.checkpoints.make()
    receipt = await ledger.proofs.receipt(payment.id)
    assert len(receipt) <= 1024
    found = check_receipt(receipt, ledger.checkpoints.public_key, payment.id)
    assert (found["ledger"], found["payment"]) == ("bittensor", payment.id.hex())
