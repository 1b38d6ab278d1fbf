"""The calls beside those that set weights: off at first, built here, signed by the right key, paid once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from async_substrate_interface import SubstrateInterface
from sqlalchemy.engine import URL

from strongroom.bittensor.client import ServiceSettings, WalletService
from strongroom.bittensor.gateway.runtime import MetadataRuntime
from strongroom.bittensor.keystore.names import coldkey, hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.security.access import OPERATOR
from support.bittensor.live_node import NETUID, LiveNode, live_node, new_node
from support.bittensor_service import HOT, BittensorService, database_variables, running_bittensor
from support.trail import verify
from support.waiting import eventually

PAYER = Keypair.from_uri("//Bob")
PAID = Keypair.from_uri("//Strongroom//paid")
TAO = 10**9
TRANSFER = "Balances.transfer_keep_alive"
ADD_STAKE = "SubtensorModule.add_stake"
SERVE_AXON = "SubtensorModule.serve_axon"
AXON = {"netuid": NETUID, "ip": "1.2.3.4", "port": 8091}
BODIES: dict[str, dict[str, Any]] = {
    "serve_axon": AXON,
    "serve_prometheus": AXON,
    "burned_register": {"netuid": NETUID},
    "add_stake": {"netuid": NETUID, "amount_rao": TAO},
    "remove_stake": {"netuid": NETUID, "amount_alpha": TAO},
    "transfer": {"destination": PAID.address, "amount_rao": TAO},
    "set_children": {"netuid": NETUID, "children": [{"hotkey": PAID.address, "proportion": 0.5}]},
}


EVERYWHERE = (
    pytest.mark.parametrize("node", [293, 424], indirect=True),
    pytest.mark.parametrize("database_url", ["sqlite", "mariadb"], indirect=True),
)


def everywhere(test: Any) -> Any:
    """On both runtimes and both databases; the other tests take the newer runtime and SQLite."""
    for mark in EVERYWHERE:
        test = mark(test)
    return test


@pytest.fixture
def database_url(request: pytest.FixtureRequest, new_database: Callable[[str], URL]) -> URL:
    return new_database(getattr(request, "param", "sqlite"))


@pytest.fixture
async def node(request: pytest.FixtureRequest) -> AsyncIterator[LiveNode]:
    async with live_node(new_node(getattr(request, "param", 424), [HOT.public_key])) as live:
        yield live


@pytest.fixture
async def service(node: LiveNode, database_url: URL, tmp_path: Path) -> AsyncIterator[BittensorService]:
    """With the wallet `payer`: a rich coldkey, and the hotkey `default`, which is in the subnet."""
    variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables) as running:
        keys = [
            NewKey(key=coldkey("payer"), public_key=PAYER.public_key, keypair=PAYER),
            NewKey(key=hotkey("payer", "default"), public_key=HOT.public_key, keypair=HOT),
        ]
        await running.ledger.wallets.import_(OPERATOR, keys)
        yield running


async def ask(
    service: BittensorService,
    route: str,
    headers: dict[str, str] | None = None,
    key: str | None = "key-1",
    **more: Any,
) -> httpx2.Response:
    document = {"wallet_name": "payer", "transaction_data": BODIES[route] | more}
    keyed = {"Idempotency-Key": key} if key else {}
    return await service.client.post(f"/wallet/{route}", json=document, headers=(headers or {}) | keyed)


async def paying(service: BittensorService, *calls: str, **limits: Any) -> dict[str, str]:
    return await service.token(calls=calls, coldkey=True, **limits)


def balance(node: LiveNode, key: Keypair) -> int:
    account = node.node.chain.storage.get("System", "Account", key.public_key)
    free: int = account["data"]["free"]
    return free


async def included(node: LiveNode, asked: asyncio.Task[httpx2.Response]) -> dict[str, Any]:
    """The answer to a request that waits for its block."""
    await eventually(lambda: len(node.node.pool.waiting) == 1 or asked.done())
    node.produce()
    answer = await asked
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize("route", BODIES)
async def test_every_other_call_is_off_at_first(service: BittensorService, route: str) -> None:
    rows = await verify(service.ledger.database, service.ledger.trail_key)
    refused = await ask(service, route)
    code = "call_not_allowed" if route.startswith("serve") else "coldkey_not_allowed"
    assert (refused.status_code, refused.json()["code"]) == (403, code)
    assert (await ask(service, route, await service.token(coldkey=True))).json()["code"] == "call_not_allowed"
    assert await verify(service.ledger.database, service.ledger.trail_key) == rows + 1  # the token


@everywhere
async def test_a_transfer_is_paid_once_however_often_it_is_asked_for(
    node: LiveNode, service: BittensorService
) -> None:
    headers = await paying(service, TRANSFER)
    asked = [
        asyncio.create_task(ask(service, "transfer", headers, wait_for_finalization=True)) for _ in range(3)
    ]
    first = await included(node, asked[0])
    assert (first["success"], first["error"]) == (True, None)
    assert [(await one).json() for one in asked[1:]] == [first, first]
    assert (await ask(service, "transfer", headers, wait_for_finalization=True)).json() == first
    assert balance(node, PAID) == TAO
    other = await ask(service, "transfer", headers, amount_rao=2 * TAO)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    node.produce()
    assert balance(node, PAID) == TAO


async def test_a_payment_is_no_job_of_a_subnet(node: LiveNode, service: BittensorService) -> None:
    headers = await paying(service, TRANSFER)
    paid = await included(node, asyncio.create_task(ask(service, "transfer", headers)))
    job = await service.client.get(f"/wallet/jobs/{paid['job_id']}", headers=headers)
    assert job.json()["status"] in {"pooled", "in_block", "final"}
    path = f"/api/v1/identity/payer/subnet/{NETUID}/weights/{paid['job_id']}"
    weights = await service.client.get(path, headers=headers)
    assert (weights.status_code, weights.json()["code"]) == (404, "job_not_found")


async def test_a_token_sees_no_job_of_another(service: BittensorService) -> None:
    mine = await service.token(calls=(SERVE_AXON,), wallets=("payer",))
    assert (await ask(service, "serve_axon", mine)).status_code == 200
    assert (await service.client.get("/wallet/jobs/key-1", headers=mine)).status_code == 200
    other = await service.token(calls=(SERVE_AXON,), wallets=("payer",))
    refused = await service.client.get("/wallet/jobs/key-1", headers=other)
    assert (refused.status_code, refused.json()["code"]) == (404, "job_not_found")


async def test_a_call_that_pays_needs_a_key(service: BittensorService) -> None:
    headers = await paying(service, TRANSFER, ADD_STAKE)
    for route in ("transfer", "add_stake"):
        refused = await ask(service, route, headers, key=None)
        assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_required")


async def test_amounts_may_be_digits(node: LiveNode, service: BittensorService) -> None:
    headers = await paying(service, TRANSFER)
    await ask(service, "transfer", headers, amount_rao="1500000000")
    node.produce()
    assert balance(node, PAID) == 1_500_000_000


async def test_a_token_s_amounts_and_destinations_are_limits(
    node: LiveNode, service: BittensorService
) -> None:
    headers = await paying(
        service,
        TRANSFER,
        "SubtensorModule.burned_register",
        most_rao=TAO,
        destinations=(PAID.address,),
    )
    for route, more, code in (
        ("transfer", {"amount_rao": TAO + 1}, "amount_not_allowed"),
        ("transfer", {"destination": HOT.address}, "destination_not_allowed"),
        ("burned_register", {}, "amount_not_allowed"),
    ):
        refused = await ask(service, route, headers, **more)
        assert (refused.status_code, refused.json()["code"]) == (403, code)
    assert (await ask(service, "transfer", headers)).status_code == 200
    node.produce()
    assert balance(node, PAID) == TAO


@everywhere
async def test_the_hotkey_announces_its_axon(node: LiveNode, service: BittensorService) -> None:
    headers = await service.token(calls=(SERVE_AXON,))
    asked = asyncio.create_task(ask(service, "serve_axon", headers, key=None, wait_for_inclusion=True))
    answer = await included(node, asked)
    assert answer["success"] is True
    axon = node.node.chain.storage.get("SubtensorModule", "Axons", NETUID, HOT.public_key)
    assert (axon["ip"], axon["port"], axon["ip_type"]) == (0x01020304, 8091, 4)


@everywhere
async def test_what_the_chain_refuses_is_an_answer(node: LiveNode, service: BittensorService) -> None:
    headers = await paying(service, ADD_STAKE)
    asked = asyncio.create_task(ask(service, "add_stake", headers, netuid=77, wait_for_inclusion=True))
    answer = await included(node, asked)  # by the pool of one runtime, in the block of the other
    assert answer["success"] is False
    assert answer["error"]["type"] in {"Pool", "Module"}
    assert node.node.pool.waiting == {}


@pytest.mark.parametrize(
    ("route", "more", "status", "code"),
    [
        ("transfer", {"destination": "5Bob"}, 400, "invalid_call"),
        ("transfer", {"amount_rao": 0}, 400, "invalid_call"),
        ("transfer", {"amount_rao": 1.5}, 422, "invalid_request"),
        ("transfer", {"amount_rao": "1e9"}, 422, "invalid_request"),
        ("serve_axon", {"ip": "node.example"}, 400, "invalid_call"),
        ("serve_axon", {"port": 70_000}, 422, "invalid_request"),
        ("serve_axon", {"netuid": -1}, 422, "invalid_request"),
        ("set_children", {"children": [{"hotkey": HOT.address, "proportion": 0.5}]}, 400, "invalid_call"),
    ],
)
async def test_wrong_values_sign_nothing(
    service: BittensorService, route: str, more: dict[str, Any], status: int, code: str
) -> None:
    headers = await paying(service, TRANSFER, SERVE_AXON, "SubtensorModule.set_children")
    refused = await ask(service, route, headers, **more)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


class TestLentSignatures:
    """Extrinsics that the SDK's own chain client puts together and submits."""

    @pytest.fixture
    async def wanted(self, service: BittensorService) -> Callable[..., Any]:
        """The body of a request for a signature over a call."""
        runtime = await service.ledger.chain_work.chain.runtime()
        assert isinstance(runtime, MetadataRuntime)
        heads = await service.ledger.chain_work.chain.heads()

        def body(call: Call, **more: Any) -> dict[str, Any]:
            era = Era.starting(heads.final.number, 16)
            return {
                "wallet_name": "payer",
                "hotkey_name": "default",
                "call": f"0x{runtime.encode(call).hex()}",
                "era": f"0x{era.encode().hex()}",
                "nonce": 0,
            } | more

        return body

    @staticmethod
    def axon(**more: int) -> Call:
        served = {"version": 1, "ip": 0x01020304, "port": 1, "ip_type": 4, "protocol": 4}
        arguments = {"netuid": NETUID} | served | {"placeholder1": 0, "placeholder2": 0} | more
        return Call(pallet="SubtensorModule", function="serve_axon", arguments=arguments)

    async def sign(
        self, service: BittensorService, body: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, str | None]:
        answer = await service.client.post("/wallet/extrinsics/sign", json=body, headers=headers)
        return answer.status_code, answer.json().get("code")

    @everywhere
    @pytest.mark.filterwarnings("ignore:connect:DeprecationWarning")  # the library's use of websockets
    async def test_the_sdk_s_chain_client_needs_no_key(
        self, node: LiveNode, service: BittensorService, tmp_path: Path
    ) -> None:
        headers = await service.token(calls=(SERVE_AXON,))
        url = str(service.client.base_url)
        settings = ServiceSettings(
            url=url, token=headers["Authorization"].split()[1], state=tmp_path / "state"
        )

        def announce() -> Any:
            wallet = WalletService(settings).wallet("payer", "default")
            with SubstrateInterface(node.url) as chain:
                call = chain.compose_call("SubtensorModule", "serve_axon", self.axon().arguments)
                extrinsic = chain.create_signed_extrinsic(
                    call=call, keypair=wallet.hotkey, era={"period": 128}
                )
                return chain.submit_extrinsic(extrinsic)

        receipt = await asyncio.to_thread(announce)
        node.produce()
        axon = node.node.chain.storage.get("SubtensorModule", "Axons", NETUID, HOT.public_key)
        assert (axon["ip"], axon["port"]) == (0x01020304, 1)
        lent = await service.ledger.database.read(
            lambda connection: connection.exec_driver_sql(
                "SELECT COUNT(*) FROM strongroom_intent WHERE attempts = 0"
            ).scalar()
        )
        assert (lent, receipt.extrinsic_hash[:2]) == (1, "0x")

    async def test_a_call_is_read_before_it_is_signed(
        self, service: BittensorService, wanted: Callable[..., Any]
    ) -> None:
        inner = {"call_module": "System", "call_function": "remark", "call_args": {"remark": "0x00"}}
        batch = Call(pallet="Utility", function="batch", arguments={"calls": [inner]})
        transfer = Call(
            pallet="Balances",
            function="transfer_keep_alive",
            arguments={"dest": PAID.public_key, "value": TAO + 1},
        )
        free = await service.token(
            calls=(SERVE_AXON, TRANSFER), coldkey=True, netuids=(NETUID,), most_rao=TAO
        )
        assert await self.sign(service, wanted(batch), free) == (403, "call_not_allowed")
        deep = {"call": "0x" + "0b0004" * 6000}
        assert await self.sign(service, wanted(self.axon()) | deep, free) == (403, "call_not_allowed")
        for body, expected in (
            (wanted(self.axon(netuid=3)), (403, "netuid_not_allowed")),
            (wanted(transfer, signer="coldkey"), (403, "amount_not_allowed")),
            (wanted(self.axon(), nonce=7), (409, "nonce_taken")),
            (wanted(self.axon(), tip=1), (400, "tip_refused")),
            (wanted(self.axon(), era="0x00"), (400, "invalid_call")),
            (wanted(self.axon(), era=Era.starting(1, 256).encode().hex()), (400, "era_too_long")),
            (wanted(self.axon()) | {"call": "0x07"}, (400, "invalid_call")),
            (wanted(self.axon()) | {"call": "zz"}, (422, "invalid_request")),
        ):
            assert await self.sign(service, body, free) == expected, body
        plain = await service.token()
        assert await self.sign(service, wanted(self.axon()), plain) == (403, "call_not_allowed")
        assert await self.sign(service, wanted(self.axon(), signer="coldkey"), plain) == (
            403,
            "coldkey_not_allowed",
        )

    async def test_weights_under_way_keep_their_place(
        self, service: BittensorService, wanted: Callable[..., Any]
    ) -> None:
        weights = {"netuid": NETUID, "dests": [0], "weights": [65535], "version_key": 0}
        call = Call(pallet="SubtensorModule", function="set_weights", arguments=weights)
        headers = await service.token()
        assert await self.sign(service, wanted(call), headers) == (200, None)
        document = {
            "wallet_name": "payer",
            "transaction_data": {"netuid": NETUID, "uids": [0], "weights": [1]},
        }
        refused = await service.client.post("/wallet/set_weights", json=document, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (409, "weights_in_flight")

    async def test_a_batch_keeps_its_place_as_well(
        self, service: BittensorService, wanted: Callable[..., Any]
    ) -> None:
        """Else other weights could be signed for the hotkey while some are under way."""

        def batch(*netuids: int) -> dict[str, Any]:
            each = len(netuids)
            arguments = {"netuids": netuids, "weights": [[(0, 7)]] * each, "version_keys": [0] * each}
            body: dict[str, Any] = wanted(
                Call(pallet="SubtensorModule", function="batch_set_weights", arguments=arguments)
            )
            return body

        headers = await service.token()
        document = {
            "wallet_name": "payer",
            "transaction_data": {"netuid": NETUID, "uids": [0], "weights": [1]},
        }
        assert (await service.client.post("/wallet/set_weights", json=document)).json()["success"] is True
        assert await self.sign(service, batch(NETUID) | {"nonce": 1}, headers) == (409, "weights_in_flight")
        assert await self.sign(service, batch(NETUID, 3) | {"nonce": 1}, headers) == (400, "invalid_call")

    async def test_a_token_of_a_hotkey_has_the_coldkey_sign_for_no_other(
        self, service: BittensorService, wanted: Callable[..., Any]
    ) -> None:
        def stake(key: Keypair) -> dict[str, Any]:
            arguments = {"hotkey": key.public_key, "netuid": NETUID, "amount_staked": TAO}
            body: dict[str, Any] = wanted(
                Call(pallet="SubtensorModule", function="add_stake", arguments=arguments), signer="coldkey"
            )
            return body

        narrow = await paying(service, ADD_STAKE, hotkeys=("default",))
        assert await self.sign(service, stake(PAID), narrow) == (403, "hotkey_not_allowed")
        assert await self.sign(service, stake(HOT), narrow) == (200, None)

    async def test_one_at_a_time(
        self, service: BittensorService, wanted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two payloads for one nonce are never signed."""
        monkeypatch.setattr("strongroom.bittensor.calls.remote_signing.BUSY_S", 0.0)
        headers = await service.token(calls=(SERVE_AXON,))
        assert await self.sign(service, wanted(self.axon()), headers) == (200, None)
        assert await self.sign(service, wanted(self.axon(port=2)), headers) == (503, "account_busy")
