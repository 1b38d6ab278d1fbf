"""Rules and freezes of the Hathor ledger: what they hold back is not broadcast, and nothing is lost."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.state import FreezeScope
from strongroom.core.http.forwarded import parse_proxies
from strongroom.core.intents.store import list_intents
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.hathor.proposals.broadcast_policy import VOCABULARY
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.scripts import Payment as Script
from strongroom.hathor.protocol.transactions import Output, TokenInfo
from support.clock import ManualClock, SeededEntropy
from support.hathor.api import WALLET_ID, Api, recorded_rows, serving_api
from support.hathor.proposals import KEYS, Client, hexed, payment
from support.hathor.scenes import address
from support.hathor.signing import sign
from support.named_requests import naming
from support.trail import open_trail

pytestmark = pytest.mark.anyio
PAYEE = address("payee").encode(MAINNET)


@pytest.fixture
def rules(client: Client) -> GuardAdministration:
    return rules_of(client.api)


def rules_of(api: Api) -> GuardAdministration:
    clock = api.clock
    return GuardAdministration(
        api.database,
        Audit(clock, open_trail()),
        clock,
        SeededEntropy(),
        vocabulary=VOCABULARY,
        loosening_delay_ms=0,
    )


async def add(rules: GuardAdministration, name: str, rule: Mapping[str, Any]) -> None:
    await rules.add(OPERATOR, name, json.dumps(rule))


async def test_a_frozen_wallet_sends_nothing_until_it_is_unfrozen(
    client: Client, rules: GuardAdministration
) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    await rules.freeze(OPERATOR, FreezeScope.WALLET, WALLET_ID, "a stolen seed")
    told = f"Nothing is signed: the wallet {WALLET_ID} is frozen (a stolen seed)"
    assert await client.send(identifier, transaction) == (
        403,
        {"success": False, "error": "frozen", "details": [{"message": told}]},
    )
    assert client.node.pushed == []
    assert await client.status(identifier) == "open"
    await rules.unfreeze(OPERATOR, FreezeScope.WALLET, WALLET_ID)
    assert (await client.send(identifier, transaction))[0] == 200
    assert client.node.pushed == [transaction.encode()]


async def test_what_goes_to_others_is_counted_and_the_same_bytes_once(
    client: Client, rules: GuardAdministration
) -> None:
    limit = {"amount_raw": "900", "seconds": 86_400, "per": "wallet"}
    await add(rules, "day", {"effect": "deny", "limit": limit})
    first, second = payment(1), payment(0)
    identifier = await client.propose(first)
    assert (await client.send(identifier, first))[0] == 200
    assert (await client.send(identifier, first))[0] == 200
    identifier = await client.propose(second)
    status, body = await client.send(identifier, second)
    assert (status, body["error"]) == (403, "rule-limit")
    assert "900 raw, of which 500 passed and this is 500" in body["details"][0]["message"]
    assert client.node.pushed == [first.encode()]


async def test_a_rule_names_whom_a_wallet_may_pay(client: Client, rules: GuardAdministration) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    other = address("other").encode(MAINNET)
    await add(rules, "other alone", {"effect": "deny", "unless": {"destinations": [other]}})
    status, body = await client.send(identifier, transaction)
    assert (status, body["error"]) == (403, "rule-denied")
    await rules.remove(OPERATOR, "other alone")
    await add(rules, "payee too", {"effect": "deny", "unless": {"destinations": [other, PAYEE]}})
    assert (await client.send(identifier, transaction))[0] == 200


async def test_what_backs_a_new_token_counts_as_paid(client: Client, rules: GuardAdministration) -> None:
    """Else a wallet could send all of its funds as a token, for another one to melt."""
    await add(rules, "small", {"effect": "deny", "limit": {"amount_raw": "900"}})
    own = Output(value=90_100, token_data=1, script=Script(address=address("payee")).encode())
    info = TokenInfo(version=1, name="Melt Me", symbol="MLT")
    made = replace(payment(1), outputs=(own,), token_info=info)
    transaction = sign(made, KEYS)
    identifier = await client.propose(transaction)
    status, body = await client.send(identifier, transaction)
    assert (status, body["error"]) == (403, "rule-limit")
    assert body["details"] == [{"message": "The rule 'small' lets 900 raw pass at once, not 901"}]
    await rules.remove(OPERATOR, "small")
    await add(rules, "payee alone", {"effect": "deny", "unless": {"destinations": [PAYEE]}})
    status, body = await client.send(identifier, transaction)
    assert (status, body["error"]) == (403, "rule-denied")
    await rules.remove(OPERATOR, "payee alone")
    assert (await client.send(identifier, transaction))[0] == 200


async def test_a_broadcast_is_in_the_audit_trail(client: Client) -> None:
    transaction = payment(1)
    await client.send(await client.propose(transaction), transaction)
    rows = await client.api.database.fetch_all(select(tables.audit))
    (row,) = [row for row in rows if row.action == "admit"]
    assert (row.principal, row.subject) == (f"wallet:{WALLET_ID}", WALLET_ID)
    assert json.loads(row.details) == {
        "kind": "TRANSFER",
        "hash": transaction.id.upper(),
        "amountRaw": "500",
        "destination": PAYEE,
    }


async def test_a_broadcast_is_followed_by_its_request_or_its_proposal(
    client: Client, rules: GuardAdministration
) -> None:
    await add(rules, "small", {"effect": "allow"})
    transaction = payment(1)
    identifier = await client.propose(transaction)
    api = client.api
    async with naming(api.application, api.client) as named:
        answer = await named.put(
            f"/tx/proposal/{identifier}",
            json=hexed(transaction),
            headers=api.full() | {"X-Request-Id": "order-4711"},
        )
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (200, "order-4711")
    assert answer.headers["Access-Control-Expose-Headers"] == "X-Request-Id"
    (intent,) = await api.database.read(lambda connection: list_intents(connection, request_id="order-4711"))
    assert (intent.id.hex(), intent.client_key, intent.rule) == (transaction.id, identifier, "small")
    assert intent.first_offered_at_ms is not None
    rows = await api.database.fetch_all(select(tables.audit).where(tables.audit.c.action == "admit"))
    assert json.loads(rows[0].details)["requestId"] == "order-4711"


async def test_a_rule_for_networks_knows_where_each_request_came_from(
    database: Database, clock: ManualClock
) -> None:
    """On both APIs, behind a proxy; what it refuses may be sent from elsewhere later."""
    async with serving_api(database, clock, rows=recorded_rows(), proxies=parse_proxies("127.0.0.1")) as api:
        client = Client(api)
        await client.announce()
        rules = rules_of(api)
        await add(rules, "own", {"effect": "deny", "unless": {"networks": ["192.0.2.0/24"]}})
        transaction = payment(1)
        identifier = await client.propose(transaction)

        async def current(source: str) -> tuple[int, str | None]:
            answer = await api.client.put(
                f"/tx/proposal/{identifier}",
                json=hexed(transaction),
                headers=api.full() | {"X-Forwarded-For": source},
            )
            return answer.status_code, answer.json().get("error")

        assert await current("198.51.100.7") == (403, "rule-denied")
        assert await current("192.0.2.8, 198.51.100.7") == (403, "rule-denied")
        assert client.node.pushed == []
        assert await current("192.0.2.8") == (200, None)
        assert client.node.pushed == [transaction.encode()]
