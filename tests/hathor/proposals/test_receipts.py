"""A receipt of a transaction that the service has broadcast."""

import pytest

from strongroom.core.transparency.checker import check_receipt
from strongroom.core.transparency.making import Checkpoints
from strongroom.core.transparency.proving import Proofs
from support.hathor.proposals import Client, payment
from support.trail import open_trail

pytestmark = pytest.mark.anyio


async def test_a_broadcast_transaction_is_proven_by_its_hash(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    assert (await client.send(identifier, transaction))[0] == 200
    database = client.api.database
    checkpoints = Checkpoints("hathor", database, open_trail(), client.api.clock)
    await checkpoints.make()
    receipt = await Proofs("hathor", database).receipt(transaction.hash)
    assert len(receipt) <= 1024
    found = check_receipt(receipt, checkpoints.public_key, transaction.hash)
    assert (found["ledger"], found["payment"]) == ("hathor", transaction.id)
