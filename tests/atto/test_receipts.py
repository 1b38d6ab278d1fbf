"""Receipts of blocks that the service has signed, sent and received."""

import pytest

from strongroom.core.intents.payments import PaymentFilter
from strongroom.core.transparency.checker import check_receipt
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService

pytestmark = pytest.mark.anyio


async def test_every_block_is_proven_by_its_hash(service: AttoService, network: AttoNetwork) -> None:
    address = await service.open_account(network, 100)
    await service.send(address, NOBODY, 10)
    await service.change(address, NOBODY)
    ledger = service.ledger
    await ledger.checkpoints.make()
    payments = await ledger.payments.page(PaymentFilter())
    assert {one.kind for one in payments} == {"OPEN", "SEND", "CHANGE"}
    for payment in payments:
        receipt = await ledger.proofs.receipt(payment.id)
        assert len(receipt) <= 1024
        found = check_receipt(receipt, ledger.checkpoints.public_key, payment.id)
        assert found["payment"] == payment.id.hex()
