"""Every route of Hathor's surfaces, read from the table of routes: the wallets' own API, the first API, and the WebSocket."""

import base64
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL

from access.conftest import MALFORMED, Guarded, documentation, without_the_scope
from access.random_requests import AMOUNTS, Asked, Caller, assert_nothing_signed, callers_that_may_not
from strongroom.core.clock import SystemClock
from strongroom.core.environment import Secret
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.hathor.api.terms import Access, Terms, terms_of
from strongroom.hathor.definition import REVISIONS
from strongroom.hathor.proposals.broadcast_policy import VOCABULARY
from strongroom.hathor.protocol.transactions import Transaction
from strongroom.hathor.scopes import SCOPES
from strongroom.hathor.wallets.jwt import LIFETIME_S, Tokens
from support.all_rows import all_rows
from support.clock import ManualClock, SeededEntropy
from support.hathor.api import HEALTH_KEY, SIGNED, WALLET_ID, Api, recorded_rows, serving_api
from support.hathor.proposals import NOW_S, Client, hexed, payment
from support.hathor.signing import completed
from support.hathor.sockets import RULES, TOKENS, ask, house
from support.hathor.wallets import WALLET
from support.route_table import Operation
from support.schema import Schemas
from support.trail import open_trail

pytestmark = pytest.mark.anyio

PUBLIC = documentation("/", "/api-docs") | {
    "POST /wallet/init",
    "PUT /wallet/auth",
    "POST /auth/token",
    "POST /auth/token/readonly",
    "GET /metrics",
    "GET /version",
}
"""What a wallet's owner signs instead of presenting a token; the best block's height; the node's version."""
OF_THE_CHAIN = ("/miners", "/blocks/", "/tokens/", "/wallet/tokens/", "/wallet/proxy/")
"""They tell what the chain tells everybody, for a token of any wallet, also of one that is not loaded."""
TX_ID = "0" * 64
PROPOSAL = "00000000-0000-4000-8000-000000000000"
INIT: dict[str, Any] = SIGNED["auth_init_body_mainnet"]
BODIES: dict[str, Any] = {
    "POST /wallet/addresses/check_mine": {"addresses": ["H" * 34]},
    "POST /wallet/push/register": {
        "pushProvider": "android",
        "deviceId": "d",
        "enablePush": True,
    },
    "PUT /wallet/push/update": {"deviceId": "d", "enablePush": True},
    "DELETE /wallet": {"walletId": WALLET_ID},
    "POST /wallets/": {"xpubkey": INIT["xpubkey"]},
    "POST /txproposals/": {
        "id": WALLET_ID,
        "outputs": [{"address": INIT["firstAddress"], "value": 1, "token": "00"}],
    },
}


def gateway(response: httpx2.Response, status: int) -> bool:
    """In the words of the original's gateway."""
    return bool(
        response.json()
        == {
            401: {"message": "Unauthorized"},
            403: {"Message": "User is not authorized to access this resource"},
        }[status]
    )


def terms(operation: Operation) -> Terms:
    return terms_of(operation.handler)


def those(operations: list[Operation], *kinds: Access) -> list[Operation]:
    return [one for one in operations if terms(one).access in kinds]


@pytest.fixture
def database_url(tmp_path: Path, schemas: Schemas) -> URL:
    return schemas.fill(sqlite_url(str(tmp_path / "hathor.sqlite3")), [REVISIONS])


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def api(database: Database, clock: ManualClock) -> AsyncIterator[Api]:
    """The recorded wallet, and a first API that wants tokens."""
    async with serving_api(database, clock, rows=recorded_rows(), legacy_needs_token=True) as api:
        await Client(api).announce()
        yield api


@pytest.fixture
def surface(api: Api) -> Guarded:
    payload = hexed(payment(0))
    proposals = {
        f"{method} /tx/proposal{end}": payload for method, end in (("POST", ""), ("PUT", "/{txProposalId}"))
    }
    return Guarded(
        application=api.application,
        client=api.client,
        tokens=api.api_tokens,
        database=api.database,
        scopes=frozenset(SCOPES),
        words=gateway,
        now_ms=api.clock.now_ms(),
        values={
            "txId": TX_ID,
            "txProposalId": PROPOSAL,
            "token_id": "00",
            "deviceId": "d",
        },
        bodies=BODIES | proposals,
    )


async def test_every_route_says_who_may_call_it(surface: Guarded) -> None:
    assert {one.name for one in those(surface.operations, Access.NOBODY)} == set()
    assert {one.name for one in those(surface.operations, Access.PUBLIC)} == PUBLIC
    assert {one.name for one in those(surface.operations, Access.KEY)} == {"GET /health"}
    assert {terms(one).scope for one in those(surface.operations, Access.LEGACY)} == set(SCOPES)


async def test_a_wallet_s_routes_want_a_token_of_that_wallet(surface: Guarded, api: Api) -> None:
    """Expired, of another secret, of an authentication key that the wallet has no more, of the service's other API."""
    elsewhere = Tokens([Secret("another")], api.clock, SeededEntropy())
    old = Tokens([Secret("foobar")], ManualClock(api.clock.now_ms() - LIFETIME_S * 1000), SeededEntropy())
    named = {"wallet_id": WALLET_ID, "auth_address": SIGNED["signed_messages"]["sig_auth_mainnet"]["address"]}
    strangers = {
        "nobody": None,
        "another secret": elsewhere.issue_read_only(**named),
        "expired": old.issue_read_only(**named),
        "an API token": await surface.token("*"),
        **{f"malformed {number}": text for number, text in enumerate(MALFORMED)},
    }
    outdated = api.tokens.issue_read_only(wallet_id=WALLET_ID, auth_address="another key")
    before = await all_rows(api.database)
    wrong = []
    for operation in those(surface.operations, Access.TOKEN, Access.FULL):
        asked = dict(strangers)
        if terms(operation).access is Access.TOKEN and not operation.path.startswith(OF_THE_CHAIN):
            asked["outdated"] = outdated
        for who, token in asked.items():
            response = await surface.ask(operation, None if token is None else f"Bearer {token}")
            if response.status_code != 401 or not gateway(response, 401):
                wrong.append(f"{operation.name}: {who}: {response.status_code} {response.text}")
    assert wrong == []
    assert await all_rows(api.database) == before


async def test_a_read_only_token_changes_nothing(surface: Guarded, api: Api) -> None:
    before = await all_rows(api.database)
    changing = those(surface.operations, Access.FULL)
    assert {one.method for one in changing} == {"POST", "PUT", "DELETE"}
    for operation in changing:
        response = await surface.ask(operation, api.read_only()["Authorization"])
        assert (response.status_code, gateway(response, 403)) == (403, True), operation.name
    assert await all_rows(api.database) == before


async def test_the_wallet_s_own_token_opens_its_routes(surface: Guarded, api: Api) -> None:
    for operation in those(surface.operations, Access.TOKEN):
        response = await surface.ask(operation, api.read_only()["Authorization"])
        assert response.status_code not in {401, 403}, operation.name
    for operation in those(surface.operations, Access.FULL):
        response = await surface.ask(operation, api.full()["Authorization"])
        assert response.status_code not in {401, 403}, operation.name


async def test_the_first_api_wants_its_scope(surface: Guarded) -> None:
    first_api = those(surface.operations, Access.LEGACY)
    surface.guarded = first_api
    assert await without_the_scope(surface, {one.name: terms(one).scope for one in first_api}) == []
    for operation in first_api:
        token = await surface.token(terms(operation).scope)
        response = await surface.ask(operation, f"Bearer {token}")
        assert response.status_code not in {401, 403}, operation.name


async def test_the_health_route_wants_its_key(surface: Guarded, api: Api) -> None:
    (operation,) = those(surface.operations, Access.KEY)
    wrong: list[dict[str, str]] = [{}, {"x-api-key": "x"}, {"Authorization": f"Bearer {HEALTH_KEY}"}]
    for headers in wrong:
        assert (await api.client.get(operation.path, headers=headers)).status_code == 403
    answer = await api.client.get(operation.path, headers={"x-api-key": HEALTH_KEY})
    assert answer.status_code not in {401, 403}


async def test_what_is_open_to_everybody(surface: Guarded) -> None:
    for operation in those(surface.operations, Access.PUBLIC):
        response = await surface.ask(operation, None)
        assert response.status_code not in {401, 403}, operation.name


def signature_body(transaction: Transaction) -> dict[str, Any]:
    return {
        "timestamp": transaction.timestamp_s,
        "parents": [parent.hex() for parent in transaction.parents],
        "weight": transaction.weight,
        "nonce": transaction.nonce,
        "inputsSignatures": [base64.b64encode(spent.data).decode() for spent in transaction.inputs],
    }


async def test_a_wallet_s_messages_are_for_holders_of_its_token(database: Database) -> None:
    """The WebSocket has two actions: `ping` for everybody, `join` with a token where the settings want one."""
    clock = SystemClock()
    old = Tokens([Secret("foobar")], ManualClock(clock.now_ms() - LIFETIME_S * 1000), SeededEntropy())
    elsewhere = Tokens([Secret("another")], clock, SeededEntropy())
    strangers = [
        *MALFORMED,
        old.issue_read_only(wallet_id=WALLET, auth_address="x"),
        elsewhere.issue_read_only(wallet_id=WALLET, auth_address="x"),
        TOKENS.issue_read_only(wallet_id="0" * 64, auth_address="x"),
        TOKENS.issue_read_only(wallet_id=WALLET, auth_address="another key"),
    ]
    unauthorized = {"type": "error", "message": "Unauthorized"}
    rules = RULES.__class__(require_token=True, max_connections=100, max_subscriptions=3)
    async with house(database, rules=rules) as sockets, sockets.client() as client:
        for token in strangers:
            message = json.dumps({"action": "join", "id": WALLET, "token": token})
            assert await ask(client, message) == unauthorized, token
        assert await ask(client, {"action": "join", "id": WALLET}) == unauthorized
        assert sockets.value("strongroom_hathor_ws_subscriptions") == 0
        assert (await ask(client, {"action": "ping"}))["type"] == "pong"


@AMOUNTS
async def test_random_requests_of_those_who_may_not_sign_nothing(
    surface: Guarded, api: Api, clock: ManualClock, amount: int
) -> None:
    """Nothing of a wallet is admitted and sent, however it was signed by its owner."""
    maker = {"Authorization": f"Bearer {await surface.token('hathor:send')}"}
    wish = {"address": INIT["firstAddress"], "value": 5, "token": "00"}
    drafted = await api.client.post("/txproposals/", json={"id": WALLET_ID, "outputs": [wish]}, headers=maker)
    document = drafted.json()
    body = signature_body(completed(document, timestamp_s=NOW_S))
    identifier = document["txProposalId"]
    client = Client(api)
    own = payment(1)
    proposed = await client.propose(own)
    rules = GuardAdministration(
        api.database,
        Audit(clock, open_trail()),
        clock,
        SeededEntropy(),
        vocabulary=VOCABULARY,
        loosening_delay_ms=0,
    )
    callers = await callers_that_may_not(surface, rules, frozenset({"hathor:send"}), WALLET_ID)
    holders = [
        Caller(why="read only", authorization=api.read_only()["Authorization"]),
        Caller(why="of another wallet", authorization=api.stranger()["Authorization"]),
        Caller(why="frozen owner", authorization=api.full()["Authorization"]),
    ]

    def generate(randomness: random.Random, caller: Caller) -> Asked:
        wrong = dict(body) | {"nonce": randomness.randrange(2**31)}
        if caller in holders or randomness.random() < 0.3:
            path = f"/tx/proposal/{randomness.choice([proposed, proposed, PROPOSAL])}"
            return Asked(method="PUT", path=path, body=hexed(own))
        known = randomness.choice([identifier, identifier, PROPOSAL])
        sent = body if randomness.random() < 0.8 else wrong
        return Asked(method="PUT", path=f"/txproposals/{known}/", body=sent)

    async def submitted() -> object:
        return list(api.push_node.pushed)

    await assert_nothing_signed(surface, [*callers, *holders], generate, amount, submitted)
    assert await submitted() == []
    await rules.unfreeze(OPERATOR, FreezeScope.WALLET, WALLET_ID)
    assert (await api.client.put(f"/txproposals/{identifier}/", json=body, headers=maker)).status_code == 200
    assert (await client.send(proposed, own))[0] == 200
    assert len(api.push_node.pushed) == 2
