"""Webhooks of a running service: payments and entries, in the order of each account, signed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from atto.conftest import Start
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, entry
from support.waiting import eventually
from support.webhooks.house import BOSS, WebhookReceiver, judge, receiving
from support.webhooks.page import assert_as_documented

pytestmark = pytest.mark.anyio
LOCAL = {"STRONGROOM_WEBHOOK_NETWORKS": "127.0.0.1/32", "STRONGROOM_WEBHOOK_HTTP": "true"}


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with receiving() as receiver:
        yield receiver


def told(receiver: WebhookReceiver, account: str) -> list[tuple[str, Any]]:
    """Kind and what the account did, as it was told."""
    found = []
    for one in receiver.taken:
        data = one.document["data"]
        if account in {data.get("account"), data.get("address")}:
            found.append((one.document["type"], data.get("blockType") or data.get("kind")))
    return found


async def test_payments_and_entries_are_told_in_the_order_of_the_account(
    start: Start, network: AttoNetwork, receiver: WebhookReceiver
) -> None:
    async with start(**LOCAL) as service:
        created = await service.ledger.webhooks.add(BOSS, "shop", receiver.url)
        wallet = await service.create_wallet("hot")
        address = await service.open_account(network, 100, wallet)
        sent = entry(await service.send(address, NOBODY, 10))
        await eventually(lambda: len(told(receiver, address)) == 6)
    assert told(receiver, address) == [
        ("payment.signed", "OPEN"),
        ("account.entry", "OPEN"),
        ("payment.confirmed", "OPEN"),
        ("payment.signed", "SEND"),
        ("account.entry", "SEND"),
        ("payment.confirmed", "SEND"),
    ]
    for one in receiver.taken:
        judge(created.secret, one)
        assert_as_documented(one.document)
    by_kind = {one.document["type"]: one.document["data"] for one in receiver.taken}
    confirmed, line = by_kind["payment.confirmed"], by_kind["account.entry"]
    assert confirmed["id"] == line["hash"] == sent["hash"]
    assert confirmed["wallet"] == line["wallet"] == "hot"
    assert (confirmed["state"], confirmed["amountRaw"]) == ("ACCEPTED", "10")
    assert confirmed["payments"] == [{"destination": NOBODY, "amountRaw": "10", "asset": ""}]
    assert (line["previousBalance"], line["balance"], line["height"]) == ("100", "90", 2)
    assert by_kind["wallet.changed"]["action"] in {"wallet.create", "wallet.unlock"}


async def test_an_endpoint_of_one_wallet_hears_of_no_other(
    start: Start, network: AttoNetwork, receiver: WebhookReceiver
) -> None:
    async with start(**LOCAL) as service:
        await service.ledger.webhooks.add(BOSS, "shop", receiver.url, kinds=["account.*"], wallets=["hot"])
        cold = await service.open_account(network, 100, await service.create_wallet("cold"))
        hot = await service.open_account(network, 100, await service.create_wallet("hot"))
        await eventually(lambda: len(told(receiver, hot)) == 1)
    assert told(receiver, cold) == []


async def test_without_an_endpoint_no_event_is_written(start: Start, network: AttoNetwork) -> None:
    async with start(**LOCAL) as service:
        address = await service.open_account(network, 100)
        await service.send(address, NOBODY, 10)
        await service.ledger.webhooks.add(BOSS, "shop", "http://127.0.0.1:1025/")
        assert await service.ledger.webhooks.events("shop") == []
