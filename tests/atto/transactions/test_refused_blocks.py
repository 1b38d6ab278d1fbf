"""After the node refused a block for good, its account continues, also if the next block is the same."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from strongroom.atto.protocol import AccountState, Address, send_block
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.tables import intent as intent_table
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, assert_refused, entry
from support.meddling_node import meddle

pytestmark = pytest.mark.anyio


@pytest.fixture
async def address(service: AttoService, network: AttoNetwork) -> str:
    """An account of 99 raw whose last block is of the near future: the next one always has the timestamp after it."""
    wallet = await service.create_wallet()
    address = await service.open_account(network, 100, wallet)
    account, state = wallet.account(), network.state(address)
    assert state is not None
    ahead_ms = network.clock.now_ms() + 40_000
    await network.publish(account.sign(send_block(state, Address.parse(NOBODY).public_key, 1, ahead_ms)))
    await service.until_balance(address, 99)
    return address


async def test_same_send_may_be_tried_again(service: AttoService, network: AttoNetwork, address: str) -> None:
    before = network.state(address)
    assert before is not None
    meddle(service).refuse_next("INVALID_BALANCE")
    refused = await service.send(address, NOBODY, 10)
    assert (refused.status_code, refused.json()["code"]) == (422, "node_rejected")
    sent = entry(await service.send(address, NOBODY, 10))
    assert (sent["height"], sent["balance"], sent["timestamp"]) == (3, 89, before.timestamp_ms + 1)
    found = await service.get(f"/wallets/accounts/transactions/{sent['hash']}")
    assert (found["state"], found["reason"], found["entry"]) == ("CONFIRMED", None, sent)


async def test_same_receive_is_tried_again(
    service: AttoService, network: AttoNetwork, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.atto.receiving.receiver.POLL_S", 0.1)
    meddle(service).refuse_next("INVALID_BALANCE")
    await network.fund(address, 7)
    assert (await service.until_balance(address, 106))["height"] == 3


async def test_transaction_that_was_refused_tells_why(service: AttoService, address: str) -> None:
    meddle(service).refuse_next("INVALID_AMOUNT")
    refused = await service.send(address, NOBODY, 10, key="a")
    words = "The node rejected the transaction: INVALID_AMOUNT"
    assert_refused(refused, 422, words, "node_rejected")
    assert (await service.send(address, NOBODY, 10, key="a")).content == refused.content
    (row,) = await service.ledger.database.fetch_all(
        select(intent_table.c.id).where(intent_table.c.outcome == Outcome.REJECTED)
    )
    shown = row.id.hex().upper()
    assert await service.get(f"/wallets/accounts/transactions/{shown}") == {
        "hash": shown,
        "state": "REJECTED",
        "reason": words,
        "entry": None,
    }
    assert entry(await service.send(address, NOBODY, 11))["height"] == 3


@pytest.mark.parametrize("where", ["behind", "elsewhere", "nowhere"])
async def test_a_refusal_by_a_node_at_another_height_does_not_count(
    service: AttoService, network: AttoNetwork, address: str, where: str
) -> None:
    """Its words would be final of a node that knows the block's predecessor."""
    node, state = meddle(service), network.state(address)
    assert state is not None
    told = {
        "behind": replace(state, height=state.height - 1, frontier=bytes(32)),
        "elsewhere": replace(state, frontier=bytes(32)),
        "nowhere": None,
    }[where]

    async def account(_address: Address) -> AccountState | None:
        return told

    node.refuse_next("INVALID_AMOUNT")
    node.instead["account"] = [account]
    assert entry(await service.send(address, NOBODY, 10))["height"] == 3
    assert node.calls.count("publish") == 2
