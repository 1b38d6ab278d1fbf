"""The service beside a chain that it did not bring: the sandbox as a process, or the real runtime.

    STRONGROOM_TEST_CHAIN=ws://127.0.0.1:9944 .venv/bin/python -m pytest tests/judges/bittensor/test_any_chain.py

It takes a local chain on which //Alice has money and is root. A subnet of its own is registered on it.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from strongroom.bittensor.authorization.limits import WEIGHTS
from strongroom.bittensor.keystore.names import coldkey, hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.calls import SUBTENSOR, Call
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.clock import SystemEntropy
from strongroom.core.security.access import OPERATOR
from support.bittensor.outside_chain import ALICE, OutsideChain, chain_url, outside_chain
from support.bittensor_service import BittensorService, running_bittensor

pytestmark = pytest.mark.timeout(900)

CALLS = (WEIGHTS, "Balances.transfer_keep_alive", "SubtensorModule.serve_axon")
SEED_BYTES = 32
TAO = 10**9


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chain_url(tmp_path_factory.mktemp("chain")) as found:
        yield found


@pytest.fixture(scope="module")
async def chain(url: str) -> AsyncIterator[OutsideChain]:
    async with outside_chain(url) as found:
        yield found


@pytest.fixture(scope="module")
def own_hotkey() -> Keypair:
    return Keypair.from_seed(SystemEntropy().token(SEED_BYTES))


@pytest.fixture(scope="module")
async def netuid(chain: OutsideChain, own_hotkey: Keypair) -> int:
    """A new subnet of //Alice with the hotkey as its uid 0, without a limit between weights."""
    await chain.as_root("sudo_set_network_rate_limit", rate_limit=0)
    events = await chain.carry_out(
        Call(pallet=SUBTENSOR, function="register_network", arguments={"hotkey": own_hotkey.public_key})
    )
    (added,) = [event.content for event in events if event.name == "NetworkAdded"]
    number = int(added[0])
    await chain.as_root("sudo_set_weights_set_rate_limit", netuid=number, weights_set_rate_limit=0)
    return number


@pytest.fixture(scope="module")
async def service(
    url: str, own_hotkey: Keypair, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BittensorService]:
    variables = {"STRONGROOM_DATA": str(tmp_path_factory.mktemp("service")), "chain_endpoint": url}
    async with running_bittensor(variables) as running:
        keys = {coldkey("alice"): ALICE, hotkey("alice", "default"): own_hotkey}
        await running.ledger.wallets.import_(
            OPERATOR,
            [NewKey(key=key, public_key=pair.public_key, keypair=pair) for key, pair in keys.items()],
        )
        running.client.headers.update(await running.token(calls=CALLS, coldkey=True))
        running.client.timeout = 300
        yield running


async def ask(service: BittensorService, route: str, **data: Any) -> dict[str, Any]:
    body = {"wallet_name": "alice", "transaction_data": data | {"wait_for_finalization": True}}
    response = await service.client.post(
        f"/wallet/{route}", json=body, headers={"Idempotency-Key": SystemEntropy().token(8).hex()}
    )
    answer: dict[str, Any] = response.json()
    assert response.is_success, answer
    return answer


async def test_a_payment_arrives_and_says_what_it_cost(
    service: BittensorService, chain: OutsideChain
) -> None:
    newcomer = Keypair.from_seed(SystemEntropy().token(SEED_BYTES))
    answer = await ask(service, "transfer", destination=newcomer.address, amount_rao=TAO)
    assert answer["success"] is True, answer
    assert answer["fee"] > 0
    account = await chain.read("System", "Account", newcomer.public_key)
    assert account["data"]["free"] == TAO


async def test_weights_are_set_in_the_clear(
    service: BittensorService, chain: OutsideChain, netuid: int
) -> None:
    await chain.as_root("sudo_set_commit_reveal_weights_enabled", netuid=netuid, enabled=False)
    answer = await ask(service, "set_weights", netuid=netuid, uids=[0], weights=[7])
    assert answer["success"] is True, answer
    assert answer["fee"] == 0
    assert await chain.read(SUBTENSOR, "Weights", netuid, 0) == [(0, 65535)]


async def test_weights_are_sealed_where_the_subnet_asks_for_it(
    service: BittensorService, chain: OutsideChain, netuid: int
) -> None:
    await chain.as_root("sudo_set_commit_reveal_weights_enabled", netuid=netuid, enabled=True)
    before = await chain.read(SUBTENSOR, "LastUpdate", netuid)
    answer = await ask(service, "set_weights", netuid=netuid, uids=[0], weights=[8])
    assert answer["success"] is True, answer
    assert (await chain.read(SUBTENSOR, "LastUpdate", netuid))[0] > before[0]


async def test_a_refusal_of_the_chain_is_an_answer(service: BittensorService, netuid: int) -> None:
    """By the pool or by the call, as the runtime has it."""
    answer = await ask(service, "serve_axon", netuid=netuid, ip="127.0.0.1", port=8091)
    assert answer["success"] is False
    assert answer["error"]["name"] == "InvalidIpAddress"


async def test_an_axon_is_announced(
    service: BittensorService, chain: OutsideChain, netuid: int, own_hotkey: Keypair
) -> None:
    answer = await ask(service, "serve_axon", netuid=netuid, ip="10.0.0.1", port=8091)
    assert answer["success"] is True, answer
    axon = await chain.read(SUBTENSOR, "Axons", netuid, own_hotkey.public_key)
    assert axon["port"] == 8091
