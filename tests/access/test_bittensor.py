"""Every route of the Bittensor API, read from its table of routes, on a chain that makes a block of every extrinsic."""

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from access.conftest import Guarded, as_nobody, documentation, with_the_scope, without_the_scope
from access.random_requests import AMOUNTS, Asked, Caller, assert_nothing_signed, callers_that_may_not
from strongroom.bittensor.authorization.limits import SCOPES, TokenLimits, encode_limits
from strongroom.bittensor.definition import REVISIONS
from strongroom.bittensor.keystore.names import coldkey, hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.clock import SystemClock
from strongroom.core.security.access import OPERATOR
from strongroom.core.storage.database import sqlite_url
from support.bittensor.live_node import NETUID, LiveNode, live_node, new_node
from support.bittensor_service import (
    HOT,
    HOTKEY,
    WALLET,
    BittensorService,
    database_variables,
    running_bittensor,
)
from support.schema import Schemas

pytestmark = pytest.mark.anyio

PUBLIC = documentation("/docs", "/openapi.json") | {"GET /", "GET /health", "GET /api/v1/identities"}
"""The version, whether it is alive, and what Pylon's client asks before it presents its token."""
RICH = Keypair.from_uri("//Bob")
SIGNER = {"wallet_name": WALLET, "hotkey_name": HOTKEY}
AXON = {"netuid": NETUID, "ip": "1.2.3.4", "port": 8091}
SPARSE = {"netuid": NETUID, "uids": [0], "weights": [1.0]}
DATA: dict[str, dict[str, Any]] = {
    "set_weights": SPARSE,
    "commit_weights": {"netuid": NETUID, "commit_hash": "00" * 32},
    "reveal_weights": {"netuid": NETUID, "uids": [0], "values": [1], "salt": [1], "version_key": 0},
    "serve_axon": AXON,
    "serve_prometheus": AXON,
    "burned_register": {"netuid": NETUID},
    "add_stake": {"netuid": NETUID, "amount_rao": 1},
    "remove_stake": {"netuid": NETUID, "amount_alpha": 1},
    "transfer": {"destination": HOT.address, "amount_rao": 1},
    "set_children": {"netuid": NETUID, "children": []},
}
BODIES: dict[str, Any] = {
    "POST /wallet/sign": {**SIGNER, "message": "1763729464123"},
    "POST /wallet/export": SIGNER,
    "POST /wallet/verify": {**SIGNER, "message": "1763729464123", "signature": "00" * 64},
    "PUT /api/v1/identity/{identity}/subnet/{netuid}/weights": {"weights": {HOT.address: 1.0}},
    "POST /wallet/extrinsics/sign": {**SIGNER, "call": "0000", "era": "00", "nonce": 0},
    **{f"POST /wallet/{name}": {**SIGNER, "transaction_data": data} for name, data in DATA.items()},
}
REFUSED_FOR_OTHER_REASONS = {
    "GET /wallet/jobs/{job}": 404,
    "GET /api/v1/identity/{identity}/subnet/{netuid}/weights/{job}": 404,
    "POST /wallet/export": 403,
    "POST /wallet/add_stake": 400,
    "POST /wallet/remove_stake": 400,
    "POST /wallet/burned_register": 400,
    "POST /wallet/transfer": 400,
    "POST /wallet/extrinsics/sign": 400,
}
"""There is no such job, no such era, too small an amount for the chain, and an export waits for approval: what a caller with the
scope is told."""
CALLS = (
    "weights",
    "SubtensorModule.serve_axon",
    "SubtensorModule.serve_prometheus",
    "SubtensorModule.burned_register",
    "SubtensorModule.add_stake",
    "SubtensorModule.remove_stake",
    "Balances.transfer_keep_alive",
    "SubtensorModule.set_children",
    "System.remark",
)


def fastapi(response: httpx2.Response, status: int) -> bool:
    """{error} of a token, {detail} of what it may not do."""
    document = response.json()
    kind, codes = {401: ("error", {"unauthenticated", "token_missing"}), 403: ("detail", {"forbidden"})}[
        status
    ]
    return document.keys() == {kind, "code"} and document["code"] in codes


@pytest.fixture
async def node() -> AsyncIterator[LiveNode]:
    async with live_node(new_node(424, [HOT.public_key], interval_ms=0)) as live:
        yield live


@pytest.fixture
async def service(node: LiveNode, schemas: Schemas, tmp_path: Path) -> AsyncIterator[BittensorService]:
    url = schemas.fill(sqlite_url(str(tmp_path / "bittensor.sqlite3")), [REVISIONS])
    variables = database_variables(url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables) as service:
        keys = [
            NewKey(key=coldkey(WALLET), public_key=RICH.public_key, keypair=RICH),
            NewKey(key=hotkey(WALLET, HOTKEY), public_key=HOT.public_key, keypair=HOT),
        ]
        await service.ledger.wallets.import_(OPERATOR, keys)
        yield service


@pytest.fixture
async def surface(service: BittensorService) -> Guarded:
    return Guarded(
        application=service.application,
        client=service.client,
        tokens=service.ledger.tokens,
        database=service.ledger.database,
        scopes=frozenset(SCOPES),
        words=fastapi,
        now_ms=SystemClock().now_ms(),
        values={"identity": WALLET, "netuid": str(NETUID), "job": "none"},
        bodies=BODIES,
        queries={key: {"wallet_name": WALLET} for key in ("GET /wallet/info", "GET /wallet/wallet_info")},
        limits=encode_limits(TokenLimits(calls=CALLS, coldkey=True, any_text=True)),
    )


async def test_who_may_not_is_refused_on_every_route(surface: Guarded) -> None:
    assert await without_the_scope(surface) == []


async def test_the_scope_of_a_route_opens_it(surface: Guarded) -> None:
    found = await with_the_scope(surface)
    assert {name: status for name, status in found.items() if status != 200} == REFUSED_FOR_OTHER_REASONS


async def test_what_is_open_to_everybody(surface: Guarded) -> None:
    assert await as_nobody(surface) == dict.fromkeys(PUBLIC, 200)


async def test_every_other_route_names_a_scope(surface: Guarded) -> None:
    assert {one.name for one in surface.guarded if one.scope not in SCOPES} == set()


@AMOUNTS
async def test_random_requests_of_those_who_may_not_sign_nothing(
    surface: Guarded, service: BittensorService, node: LiveNode, amount: int
) -> None:
    cold = Keypair.from_uri("//Strongroom//frozen")
    keys = [
        NewKey(key=coldkey("frozen"), public_key=cold.public_key, keypair=cold),
        NewKey(key=hotkey("frozen", HOTKEY), public_key=cold.public_key, keypair=cold),
    ]
    await service.ledger.wallets.import_(OPERATOR, keys)
    signing = frozenset({"bittensor:sign", "bittensor:submit"})
    callers = await callers_that_may_not(surface, service.ledger.rules, signing, "frozen")
    signs = [one for one in surface.guarded if one.scope in signing]

    def generate(randomness: random.Random, caller: Caller) -> Asked:
        operation = randomness.choice(signs)
        wallet = (
            "frozen" if caller.frozen_wallet_alone else randomness.choice([WALLET, WALLET, "frozen", "x"])
        )
        body = dict(BODIES[operation.name])
        if "wallet_name" in body:
            body["wallet_name"] = wallet
        if "message" in body:
            body["message_type"] = randomness.choice(["general", "coldkey"])
            body["message"] = str(randomness.randrange(10**13))
        if "transaction_data" in body:
            body["transaction_data"] = _varied(randomness, body["transaction_data"])
        headers = {"Idempotency-Key": str(randomness.randrange(10**9))} if randomness.random() < 0.3 else {}
        values = surface.values | {"identity": wallet}
        return Asked(method=operation.method, path=operation.path_with(values), body=body, headers=headers)

    async def submitted() -> object:
        return [text for text in node.requests if "author_submit" in text]

    await assert_nothing_signed(surface, callers, generate, amount, submitted)
    assert await submitted() == []
    assert (await service.sign("1763729464123")).status_code == 200
    token = {"Authorization": f"Bearer {await surface.token('*')}"}
    answer = await service.client.post(
        "/wallet/serve_axon", json=BODIES["POST /wallet/serve_axon"], headers=token
    )
    assert answer.status_code == 200, answer.text
    assert await submitted() != []


def _varied(randomness: random.Random, data: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Callable[[], Any]] = {
        "netuid": lambda: randomness.choice([NETUID, NETUID, 0, 9]),
        "amount_rao": lambda: randomness.randrange(10**12),
        "amount_alpha": lambda: randomness.randrange(10**12),
        "port": lambda: randomness.randrange(1, 65_536),
        "weights": lambda: [randomness.random()],
    }
    return {name: changes[name]() if name in changes else value for name, value in data.items()}
