"""async-substrate-interface, unmodified, on both runtimes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sr25519
from async_substrate_interface import AsyncSubstrateInterface
from async_substrate_interface.errors import SubstrateRequestException

from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.codec.runtime import SPECS
from support.bittensor.sandbox_node import SandboxNode, sandbox_node

BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"


class Key:
    """What the library uses of a key pair."""

    crypto_type = 1
    ss58_format = 42

    def __init__(self, uri: str) -> None:
        self._pair = development_pair(uri)
        self.public_key = self._pair[0]
        self.ss58_address = encode_address(self.public_key)

    def sign(self, data: bytes | str) -> bytes:
        message = data.encode() if isinstance(data, str) else bytes(data)
        return bytes(sr25519.sign(self._pair, message))


ALICE, VALIDATOR = Key("//Alice"), Key("//Alice//hk0")


@pytest.fixture(scope="module", params=SPECS)
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[SandboxNode]:
    async with sandbox_node(spec_version=request.param) as node:
        yield node


@pytest.fixture
async def client(sandbox: SandboxNode) -> AsyncIterator[AsyncSubstrateInterface]:
    async with AsyncSubstrateInterface(sandbox.ws_url, ss58_format=42) as substrate:
        yield substrate


async def submit(client: AsyncSubstrateInterface, key: Key, function: str, args: dict[str, Any]) -> Any:
    pallet = "Balances" if function.startswith("transfer") else "SubtensorModule"
    call = await client.compose_call(pallet, function, args)
    extrinsic = await client.create_signed_extrinsic(call, key, era={"period": 8})
    return await client.submit_extrinsic(extrinsic, wait_for_inclusion=True, wait_for_finalization=True)


def weights(*uids: int) -> dict[str, Any]:
    return {"netuid": 2, "dests": list(uids), "weights": [7] * len(uids), "version_key": 0}


async def test_it_reads(client: AsyncSubstrateInterface) -> None:
    assert await client.get_chain_head() == await client.get_chain_finalised_head()
    keys = await client.query_map("SubtensorModule", "Keys", [2])
    assert await anext(aiter(keys)) == [0, VALIDATOR.ss58_address]
    account: Any = await client.query("System", "Account", [BOB])
    assert account["data"]["free"] >= 10**15
    deposit: Any = await client.get_constant("Balances", "ExistentialDeposit")
    assert deposit == 500


async def test_it_submits_and_finds_the_outcome(client: AsyncSubstrateInterface) -> None:
    receipt = await submit(client, VALIDATOR, "set_weights", weights(1, 2))
    assert await receipt.is_success
    events = [event["event"]["event_id"] for event in await receipt.triggered_events]
    assert events[-3:] == ["WeightsSet", "TransactionFeePaid", "ExtrinsicSuccess"]
    stored: Any = await client.query("SubtensorModule", "Weights", [2, 0])
    assert stored == [(1, 65535), (2, 65535)]


async def test_it_names_a_failed_dispatch(client: AsyncSubstrateInterface) -> None:
    receipt = await submit(client, VALIDATOR, "set_weights", weights(1, 1))
    assert not await receipt.is_success
    assert (await receipt.error_message)["name"] == "DuplicateUids"


async def test_it_pays_what_it_was_told(client: AsyncSubstrateInterface) -> None:
    args = {"dest": BOB, "value": 10**9}
    call = await client.compose_call("Balances", "transfer_keep_alive", args)
    told = await client.get_payment_info(call, ALICE, era={"period": 8})
    receipt = await submit(client, ALICE, "transfer_keep_alive", args)
    assert await receipt.total_fee_amount == told["partial_fee"]


async def test_it_raises_what_the_pool_refuses(client: AsyncSubstrateInterface, sandbox: SandboxNode) -> None:
    await sandbox.command("/_storage", pallet="SubtensorModule", item="StakeThreshold", value=1 << 60)
    try:
        with pytest.raises(SubstrateRequestException, match="Custom error: 1"):
            await submit(client, VALIDATOR, "set_weights", weights(1))
    finally:
        await sandbox.command("/_storage", pallet="SubtensorModule", item="StakeThreshold", value=0)
