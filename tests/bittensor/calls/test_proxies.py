"""A wallet whose coldkey is elsewhere: its proxy calls in the coldkey's place, and signs nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update
from sqlalchemy.engine import URL

from strongroom.bittensor.authorization.limits import is_wrapper
from strongroom.bittensor.gateway.runtime import MetadataRuntime
from strongroom.bittensor.keystore.names import coldkey, hotkey, proxy
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.account_calls import add_stake
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.proxies import ALLOWED, Delegation, ProxyType
from strongroom.bittensor.tables import key as key_table
from strongroom.core.clock import SystemClock
from strongroom.core.errors import Conflict
from strongroom.core.intents.store import list_intents
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR
from strongroom_sandbox.bittensor.chain.genesis import Genesis
from strongroom_sandbox.bittensor.changes import create_subnet
from strongroom_sandbox.bittensor.codec.runtime import Runtime, shipped_runtime
from strongroom_sandbox.bittensor.codec.scale import Reader, ScaleError
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import Context
from strongroom_sandbox.bittensor.node.node import Node, Production
from support.bittensor.live_node import NETUID, LiveNode, live_node
from support.bittensor_service import HOT, BittensorService, database_variables, running_bittensor
from support.trail import verify
from support.waiting import eventually

REAL = Keypair.from_uri("//Bob")
"""The coldkey, which the service does not have."""
DELEGATE = Keypair.from_uri("//Charlie")
TAO = 10**9
ADD_STAKE = "SubtensorModule.add_stake"
REGISTER = "SubtensorModule.burned_register"
TRANSFER = "Balances.transfer_keep_alive"
CALLS = (ADD_STAKE, REGISTER, TRANSFER)
STAKE: dict[str, Any] = {"netuid": NETUID, "amount_rao": TAO}
STAKING = Delegation(real=REAL.public_key, proxy_type=ProxyType.STAKING)


@pytest.fixture
def database_url(new_database: Callable[[str], URL]) -> URL:
    return new_database("sqlite")


@pytest.fixture(params=[293, 424])
async def node(request: pytest.FixtureRequest) -> AsyncIterator[LiveNode]:
    chain = Node(Genesis(spec_version=request.param).chain(), SystemClock(), Production(interval_ms=None))
    chain.produce(create_subnet(REAL.public_key, HOT.public_key, {}), empty=True)
    async with live_node(chain) as live:
        relate(live, "Staking")
        yield live


def relate(node: LiveNode, *types: str, delay: int = 0) -> None:
    """Makes the chain know these types of proxy, and no others."""
    entries = [{"delegate": DELEGATE.public_key, "proxy_type": kind, "delay": delay} for kind in types]

    def write(ctx: Context) -> None:
        ctx.put("Proxy", "Proxies", REAL.public_key, value=(entries, 0))

    node.node.produce(write, empty=True)


@pytest.fixture
async def service(node: LiveNode, database_url: URL, tmp_path: Path) -> AsyncIterator[BittensorService]:
    """With the wallet `payer`: a hotkey, and the proxy of its coldkey."""
    variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables) as running:
        hot = NewKey(key=hotkey("payer", "default"), public_key=HOT.public_key, keypair=HOT)
        await running.ledger.wallets.import_(OPERATOR, [hot, of_proxy(STAKING)])
        yield running


def of_proxy(delegation: Delegation) -> NewKey:
    return NewKey(key=proxy("payer"), public_key=DELEGATE.public_key, keypair=DELEGATE, delegation=delegation)


async def ask(
    service: BittensorService, route: str, headers: dict[str, str], key: str = "key-1", **data: Any
) -> httpx2.Response:
    document = {"wallet_name": "payer", "transaction_data": data}
    return await service.client.post(
        f"/wallet/{route}", json=document, headers=headers | {"Idempotency-Key": key}
    )


async def answered(node: LiveNode, asked: asyncio.Task[httpx2.Response]) -> dict[str, Any]:
    """The answer to a request that waits for its block."""
    await eventually(lambda: len(node.node.pool.waiting) == 1 or asked.done())
    node.produce()
    answer = await asked
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def staked(node: LiveNode, service: BittensorService, headers: dict[str, str], key: str) -> Any:
    asked = ask(service, "add_stake", headers, key, **STAKE, wait_for_inclusion=True)
    return await answered(node, asyncio.create_task(asked))


def free(node: LiveNode, key: Keypair) -> int:
    found: int = node.node.chain.storage.get("System", "Account", key.public_key)["data"]["free"]
    return found


async def test_it_stakes_for_the_coldkey(node: LiveNode, service: BittensorService) -> None:
    headers = await service.token(calls=CALLS, coldkey=True)
    delegate_had, real_had = free(node, DELEGATE), free(node, REAL)
    answer = await staked(node, service, headers, "one")
    assert (answer["success"], answer["error"]) == (True, None)
    assert free(node, REAL) == real_had - TAO
    assert free(node, DELEGATE) == delegate_had - answer["fee"]

    (intent,) = await service.ledger.database.read(list_intents)
    assert (intent.account, intent.notes["delegate"]) == (REAL.address, DELEGATE.address)
    info = await service.client.get("/wallet/info", params={"wallet_name": "payer"}, headers=headers)
    assert info.json()["coldkey_address"] == REAL.address
    await verify(service.ledger.database, service.ledger.trail_key)


async def test_an_inner_call_that_fails_is_a_failure(node: LiveNode, service: BittensorService) -> None:
    """The extrinsic itself succeeds. Nor does a relation that the chain does not have go through."""
    headers = await service.token(calls=CALLS, coldkey=True)
    asked = ask(service, "add_stake", headers, **STAKE | {"netuid": 77}, wait_for_inclusion=True)
    answer = await answered(node, asyncio.create_task(asked))
    assert (answer["success"], answer["error"]["type"]) == (False, "Module")
    assert answer["error"]["name"] in {"SubnetNotExists", "SubtokenDisabled"}
    assert answer["block_number"] is not None
    for types, delay, name in ((("NonTransfer",), 0, "NotProxy"), (("Staking",), 9, "Unannounced")):
        relate(node, *types, delay=delay)
        answer = await staked(node, service, headers, name)
        assert (answer["success"], answer["error"]["name"]) == (False, name)


async def test_what_its_type_forbids_is_not_signed(node: LiveNode, service: BittensorService) -> None:
    headers = await service.token(calls=CALLS, coldkey=True)
    signed = await verify(service.ledger.database, service.ledger.trail_key)
    for route, data in (
        ("transfer", {"destination": DELEGATE.address, "amount_rao": TAO}),
        ("burned_register", {"netuid": NETUID}),
    ):
        refused = await ask(service, route, headers, **data)
        assert (refused.status_code, refused.json()["code"]) == (403, "proxy_type_forbids")
    message = {"wallet_name": "payer", "message": "1" * 12, "message_type": "coldkey"}
    refused = await service.client.post("/wallet/sign", json=message, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (404, "coldkey_not_found")
    assert await verify(service.ledger.database, service.ledger.trail_key) == signed
    assert node.node.pool.waiting == {}


async def test_no_rule_is_passed_by_wrapping(service: BittensorService) -> None:
    """Limits and rules see the inner call, its amount, and the account that pays."""
    small = await service.token(calls=CALLS, coldkey=True, most_rao=TAO - 1)
    no_coldkey = await service.token(calls=CALLS)
    for headers, code in ((small, "amount_not_allowed"), (no_coldkey, "coldkey_not_allowed")):
        assert (await ask(service, "add_stake", headers, **STAKE)).json()["code"] == code
    rule = {"effect": "deny", "when": {"accounts": [REAL.address], "kinds": [ADD_STAKE]}}
    await service.ledger.rules.add(OPERATOR, "not from there", json.dumps(rule))
    headers = await service.token(calls=CALLS, coldkey=True)
    assert (await ask(service, "add_stake", headers, **STAKE)).json()["code"] == "rule_denied"


async def test_the_wallet_s_coldkey_is_the_proxy_s(service: BittensorService) -> None:
    other = NewKey(key=coldkey("payer"), public_key=HOT.public_key, keypair=HOT)
    with pytest.raises(Conflict, match="its proxy is one of"):
        await service.ledger.wallets.import_(OPERATOR, [other])
    with pytest.raises(Conflict, match="another key in the vault"):
        await service.ledger.wallets.import_(
            OPERATOR,
            [of_proxy(Delegation(real=REAL.public_key, proxy_type=ProxyType.NON_TRANSFER))],
        )


@pytest.mark.parametrize("node", [424], indirect=True)
async def test_its_key_is_no_other_key(service: BittensorService) -> None:
    """As a hotkey or another wallet's coldkey it would sign messages, and pay what it has."""
    wallets, before = service.ledger.wallets, await service.ledger.wallets.list()
    for name in (hotkey("payer", "other"), hotkey("other", "default"), coldkey("other")):
        twin = NewKey(key=name, public_key=DELEGATE.public_key, keypair=DELEGATE)
        with pytest.raises(Conflict, match="a proxy's key signs nothing else"):
            await wallets.import_(OPERATOR, [twin])
    own = NewKey(key=proxy("other"), public_key=HOT.public_key, keypair=HOT, delegation=STAKING)
    with pytest.raises(Conflict, match="a proxy's key signs nothing else"):
        await wallets.import_(OPERATOR, [own])
    assert await wallets.list() == before


async def test_for_whom_it_calls_is_bound_to_its_row(service: BittensorService) -> None:
    """Whoever can write the database cannot turn the key to another account or type."""
    headers = await service.token(calls=CALLS, coldkey=True)
    database, row = service.ledger.database, key_table.c.kind == "proxy"
    before = await database.fetch_one(select(key_table).where(row))
    assert before is not None

    async def write(change: dict[str, Any]) -> None:
        await database.write(
            lambda connection: connection.execute(update(key_table).where(row).values(change))
        )

    for change in ({"proxy_for": HOT.public_key}, {"proxy_type": "NonTransfer"}, {"proxy_for": None}):
        await write(change)
        refused = await ask(service, "add_stake", headers, **STAKE)
        assert (refused.status_code, refused.json()["code"]) == (503, "sealed_row_altered")
        await write({name: before._mapping[name] for name in change})
    assert (await ask(service, "add_stake", headers, **STAKE)).status_code == 200


def samples_of(runtime: Runtime) -> dict[str, bytes]:
    """Each call of the runtime by its name, with zeros and empty lists, or as zeros that are no such call."""
    codec, zeros, found = runtime.types.codec(runtime.metadata.call_type), bytes(400), {}
    for pallet in runtime.pallets.values():
        for variant in () if pallet.calls is None else runtime.types.variants(pallet.calls):
            data = bytes([pallet.index, variant.index]) + zeros
            with suppress(ScaleError):
                data = runtime.encode_call(runtime.call_of(codec.decode(Reader(data))))
            found[f"{pallet.name}.{variant.name}"] = data
    return found


class TestLentSignatures:
    """Extrinsics that the SDK puts together: the proxy's call around one that it may make, byte for byte."""

    @pytest.fixture
    async def wanted(self, service: BittensorService) -> Callable[..., Any]:
        runtime = await service.ledger.chain_work.chain.runtime()
        assert isinstance(runtime, MetadataRuntime)
        heads = await service.ledger.chain_work.chain.heads()

        def body(call: Call, delegation: Delegation | None = STAKING, **more: Any) -> dict[str, Any]:
            data = runtime.encode(call)
            if delegation is not None:
                data = runtime.proxied(delegation, data)
            return {
                "wallet_name": "payer",
                "signer": "coldkey",
                "call": data.hex(),
                "era": Era.starting(heads.final.number, 16).encode().hex(),
                "nonce": 0,
            } | more

        return body

    async def test_only_its_own_call_is_signed(
        self, service: BittensorService, wanted: Callable[..., Any]
    ) -> None:
        headers = await service.token(calls=CALLS, coldkey=True)
        stake = add_stake(NETUID, HOT.public_key, TAO)
        pay = Call(
            pallet="Balances",
            function="transfer_keep_alive",
            arguments={"dest": HOT.public_key, "value": TAO},
        )
        real, kind = REAL.public_key, ProxyType.NON_TRANSFER
        nested = wanted(stake)["call"]
        prefix = wanted(stake)["call"][: -len(wanted(stake, None)["call"])]
        for body, expected in (
            (wanted(stake, None), (403, "proxy_type_forbids")),
            (wanted(pay, None), (403, "proxy_type_forbids")),
            (wanted(pay), (403, "proxy_type_forbids")),
            (wanted(stake, Delegation(real=real, proxy_type=kind)), (403, "proxy_type_forbids")),
            (
                wanted(stake, Delegation(real=bytes(32), proxy_type=STAKING.proxy_type)),
                (403, "proxy_type_forbids"),
            ),
            (wanted(stake) | {"call": prefix + nested}, (403, "call_not_allowed")),
            (
                wanted(stake) | {"call": prefix + "0b0004" + wanted(stake, None)["call"]},
                (403, "call_not_allowed"),
            ),
            (wanted(stake) | {"call": nested + "00"}, (400, "invalid_call")),
            (wanted(stake), (200, None)),
        ):
            answer = await service.client.post("/wallet/extrinsics/sign", json=body, headers=headers)
            assert (answer.status_code, answer.json().get("code")) == expected, body

    @pytest.mark.parametrize("node", [293], indirect=True)
    async def test_of_every_call_of_the_runtime_one_is_wrapped_or_refused(
        self, service: BittensorService, wanted: Callable[..., Any]
    ) -> None:
        """With a token that may make them all. A wrong nonce says that the call itself would be signed."""
        samples = samples_of(shipped_runtime(293))
        headers = await service.token(calls=[name for name in samples if not is_wrapper(name)], coldkey=True)
        body = wanted(add_stake(NETUID, HOT.public_key, TAO), nonce=7)
        prefix = body["call"][: -len(wanted(add_stake(NETUID, HOT.public_key, TAO), None)["call"])]
        signed = []
        for name, sample in samples.items():
            for call in (sample.hex(), prefix + sample.hex()):
                answer = await service.client.post(
                    "/wallet/extrinsics/sign", json=body | {"call": call}, headers=headers
                )
                if answer.json()["code"] == "nonce_taken":
                    signed.append((name, call.startswith(prefix)))
                else:
                    assert answer.status_code in {400, 403}, (name, answer.text)
        there = {f"SubtensorModule.{function}" for function in ALLOWED[ProxyType.STAKING]} & set(samples)
        assert sorted(signed) == [(name, True) for name in sorted(there)]
        assert len(there) == 10


async def test_health_says_what_the_chain_has_against_it(node: LiveNode, service: BittensorService) -> None:
    watch = service.ledger.chain_work._proxies

    async def told() -> tuple[Status, str | None]:
        await watch.look()
        found = service.health.components()["bittensorProxies"]
        return found.status, found.detail

    assert (await told())[0] is Status.UP
    named = f"{DELEGATE.address} is"
    for types, delay, problem in (
        ((), 0, f"{named} no {STAKING} on the chain: the coldkey has to add it"),
        (("NonTransfer",), 0, f"{named} no {STAKING} on the chain, but of the type NonTransfer"),
        (
            ("Staking",),
            9,
            f"{named} a {STAKING} with a delay of 9 blocks, and so cannot call: it needs one without",
        ),
    ):
        relate(node, *types, delay=delay)
        assert await told() == (Status.DEGRADED, f"payer: {problem}")
    relate(node, "Staking")
    node.node.produce(lambda ctx: accounts.set_free(ctx, DELEGATE.public_key, 9_999_999), empty=True)
    poor = f"payer: {DELEGATE.address} has 9999999 rao to pay fees with, and should have 10000000"
    assert await told() == (Status.DEGRADED, poor)
    await node.close()
    assert await told() == (Status.DEGRADED, poor)
