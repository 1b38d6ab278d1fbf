"""Rules and freezes of the Atto ledger, as a caller of the API meets them."""

import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from strongroom.atto.protocol import Address
from strongroom.core.guard.state import FreezeScope
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR, Principal
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, AttoService, assert_refused, until
from support.bittensor_service import bearer

pytestmark = pytest.mark.anyio
SHOP = Address(public_key=bytes(31) + b"\1")
THIEF = Address(public_key=bytes(31) + b"\2")
ANN = Principal(name="operator:ann", scopes=frozenset({"atto:approve"}))


async def add(service: AttoService, name: str, rule: Mapping[str, Any]) -> None:
    await service.ledger.rules.add(OPERATOR, name, json.dumps(rule))


async def test_only_allowed_destinations_are_paid_and_only_so_much(
    service: AttoService, network: AttoNetwork
) -> None:
    address = await service.open_account(network)
    await add(
        service,
        "shop alone",
        {"effect": "deny", "when": {"kinds": ["SEND"]}, "unless": {"destinations": [SHOP.uri]}},
    )
    await add(
        service,
        "day",
        {
            "effect": "deny",
            "when": {"kinds": ["SEND"]},
            "limit": {"amount_raw": str(3 * ATTO), "seconds": 86_400},
        },
    )
    refused = await service.send(address, THIEF.path, ATTO, key="thief")
    assert_refused(refused, 403, "The rule 'shop alone' denies it", "rule_denied")
    for _ in range(3):
        assert (await service.send(address, SHOP.path, ATTO)).status_code == 200
    over = await service.send(address, SHOP.path, 1)
    assert (over.status_code, over.json()["code"]) == (403, "rule_limit")
    assert (await service.details(address) or {})["balance"] == 47 * ATTO


async def test_a_frozen_ledger_reads_and_signs_nothing_until_it_is_unfrozen(
    service: AttoService, network: AttoNetwork
) -> None:
    address = await service.open_account(network)
    await service.ledger.rules.freeze(OPERATOR, FreezeScope.LEDGER, "", "a theft")
    refused = await service.send(address, SHOP.path, ATTO, key="once")
    assert_refused(refused, 403, "Nothing is signed: the ledger is frozen (a theft)", "frozen")
    refused = await service.change(address, SHOP.path)
    assert (refused.status_code, refused.json()["code"]) == (403, "frozen")
    assert (await service.details(address) or {})["balance"] == 50 * ATTO

    await network.fund(address, 7 * ATTO)
    health = await until(deposits_of(service), lambda found: found[0] is Status.DEGRADED)
    assert "frozen (a theft)" in health[1]

    await service.ledger.rules.unfreeze(OPERATOR, FreezeScope.LEDGER, "")
    await service.until_balance(address, 57 * ATTO)
    paid = await service.send(address, SHOP.path, ATTO, key="once")
    assert paid.status_code == 200


async def test_a_frozen_wallet_leaves_the_others_free(service: AttoService, network: AttoNetwork) -> None:
    hot, cold = await service.create_wallet(), await service.create_wallet()
    first = await service.open_account(network, wallet=hot)
    second = await service.open_account(network, wallet=cold)
    await service.ledger.rules.freeze(OPERATOR, FreezeScope.WALLET, hot.name, "a lost laptop")
    refused = await service.send(first, SHOP.path, ATTO)
    assert_refused(
        refused, 403, f"Nothing is signed: the wallet {hot.name} is frozen (a lost laptop)", "frozen"
    )
    assert (await service.send(second, SHOP.path, ATTO)).status_code == 200


async def test_a_rule_may_ask_where_a_request_comes_from(service: AttoService, network: AttoNetwork) -> None:
    address = await service.open_account(network)
    when = {"kinds": ["SEND"], "principals": ["anonymous"]}
    await add(service, "here", {"effect": "deny", "when": when, "unless": {"networks": ["127.0.0.0/8"]}})
    assert (await service.send(address, SHOP.path, ATTO)).status_code == 200
    await add(service, "not here", {"effect": "deny", "when": {**when, "networks": ["127.0.0.1"]}})
    refused = await service.send(address, SHOP.path, ATTO)
    assert_refused(refused, 403, "The rule 'not here' denies it", "rule_denied")


def deposits_of(service: AttoService) -> Any:
    async def probe() -> tuple[Status, str]:
        found = service.health.components()["attoReceiver"]
        return found.status, found.detail or ""

    return probe


async def test_what_a_token_made_goes_no_further_than_it(service: AttoService, network: AttoNetwork) -> None:
    """Neither at once, nor later in the background."""
    address = await service.open_account(network)
    tokens, rules = service.ledger.tokens, service.ledger.rules
    boss = await tokens.create(OPERATOR, "boss", ["atto:send"])
    giver = Principal(name="token:boss", scopes=frozenset(), token=boss.id)
    shop = bearer((await tokens.create(giver, "shop", ["atto:send"])).secret)
    other = bearer((await tokens.create(OPERATOR, "other", ["atto:send"])).secret)

    async def pay(headers: dict[str, str]) -> httpx2.Response:
        path = f"/wallets/accounts/{address}/transactions/SEND"
        body = {"receiverAddress": SHOP.path, "amount": ATTO}
        return await service.client.post(path, json=body, headers=headers)

    await add(service, "boss", {"effect": "deny", "when": {"principals": ["token:boss"]}})
    assert_refused(await pay(shop), 403, "The rule 'boss' denies it", "rule_denied")
    assert (await pay(other)).status_code == 200
    await rules.remove(OPERATOR, "boss")
    await add(service, "two eyes", {"effect": "approve", "approvals": {"needed": 1}})
    waiting = (await pay(shop)).json()["approvalId"]
    await rules.freeze(OPERATOR, FreezeScope.TOKEN, "boss", "it leaked")
    await service.ledger.approvals.approve(ANN, waiting)

    async def reason() -> str | None:
        return (await service.ledger.approvals.show(waiting)).reason

    assert "the token boss is frozen (it leaked)" in str(await until(reason, bool))
    assert (await service.details(address) or {})["balance"] == 49 * ATTO
    await rules.unfreeze(OPERATOR, FreezeScope.TOKEN, "boss")
    await service.until_balance(address, 48 * ATTO)
