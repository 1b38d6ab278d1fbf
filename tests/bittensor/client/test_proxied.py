"""The SDK's chain client, for a coldkey in whose place the service has a proxy: it sees what became of its call."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from async_substrate_interface import AsyncSubstrateInterface, SubstrateInterface

from strongroom.bittensor.client import ServiceError, ServiceSettings, WalletService
from strongroom.bittensor.keystore.names import coldkey, proxy
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.proxies import Delegation, ProxyType
from strongroom.core.security.access import OPERATOR
from strongroom_sandbox.bittensor.sandbox import HOTKEYS
from support.bittensor.alice import service_of_alice
from support.bittensor.sandbox_node import SandboxNode, sandbox_node
from support.bittensor_service import BittensorService

REAL, DELEGATE = Keypair.from_uri("//Alice"), Keypair.from_uri("//Charlie")
HOTKEY = Keypair.from_uri(HOTKEYS[0]).address
STAKING = Delegation(real=REAL.public_key, proxy_type=ProxyType.STAKING)
ADD_STAKE, TRANSFER = "SubtensorModule.add_stake", "Balances.transfer_keep_alive"
GOOD = {"hotkey": HOTKEY, "netuid": 2, "amount_staked": 10**9}


@pytest.fixture
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[SandboxNode]:
    async with sandbox_node(spec_version=request.param) as running:
        entry = {"delegate": DELEGATE.public_key, "proxy_type": "Staking", "delay": 0}
        key, value = REAL.public_key, ([entry], 93_000_000)
        running.node.produce(lambda ctx: ctx.put("Proxy", "Proxies", key, value=value), empty=True)
        yield running


@pytest.fixture
async def service(sandbox: SandboxNode, tmp_path: Path) -> AsyncIterator[BittensorService]:
    async with service_of_alice(sandbox, tmp_path) as running:
        yield running


async def settings(service: BittensorService, folder: Path) -> ServiceSettings:
    headers = await service.token(calls=(ADD_STAKE, TRANSFER), coldkey=True)
    token = headers["Authorization"].split()[1]
    return ServiceSettings(url=str(service.client.base_url), token=token, state=folder / "state")


async def replace_coldkey(service: BittensorService) -> None:
    new = NewKey(key=proxy("validator"), public_key=DELEGATE.public_key, keypair=DELEGATE, delegation=STAKING)
    await service.ledger.wallets.import_(OPERATOR, [new])
    await service.ledger.wallets.remove(OPERATOR, coldkey("validator"))


@pytest.mark.parametrize("sandbox", [293], indirect=True)
@pytest.mark.filterwarnings("ignore:connect:DeprecationWarning")  # the library's use of websockets
async def test_a_wallet_that_a_node_holds_goes_on_when_a_proxy_takes_the_coldkey_s_place(
    sandbox: SandboxNode, service: BittensorService, tmp_path: Path
) -> None:
    asked = await settings(service, tmp_path)
    wallet = await asyncio.to_thread(lambda: WalletService(asked).wallet("validator", "default"))

    def stake(**more: Any) -> tuple[bool, Any]:
        with SubstrateInterface(sandbox.ws_url) as chain:
            call = chain.compose_call("SubtensorModule", "add_stake", GOOD | more)
            extrinsic = chain.create_signed_extrinsic(call=call, keypair=wallet.coldkey, era={"period": 16})
            receipt = chain.submit_extrinsic(extrinsic, wait_for_inclusion=True)
            return receipt.is_success, receipt.error_message

    assert await asyncio.to_thread(stake) == (True, None)
    await replace_coldkey(service)
    assert await asyncio.to_thread(stake) == (True, None)
    success, error = await asyncio.to_thread(lambda: stake(netuid=77))
    assert (success, error["type"]) == (False, "Module")
    assert error["name"] in {"SubnetNotExists", "SubtokenDisabled"}


@pytest.mark.parametrize("sandbox", [424], indirect=True)
async def test_the_same_in_an_event_loop(
    sandbox: SandboxNode, service: BittensorService, tmp_path: Path
) -> None:
    await replace_coldkey(service)
    asked = await settings(service, tmp_path)
    wallet = await asyncio.to_thread(lambda: WalletService(asked).wallet("validator", "default"))

    async with AsyncSubstrateInterface(sandbox.ws_url, ss58_format=42) as chain:

        async def outcome(pallet: str, function: str, values: dict[str, Any]) -> tuple[bool, Any]:
            call = await chain.compose_call(pallet, function, values)
            nonce = await chain.get_account_next_index(REAL.address)
            extrinsic = await chain.create_signed_extrinsic(
                call, wallet.coldkey, era={"period": 16}, nonce=nonce
            )
            receipt = await chain.submit_extrinsic(extrinsic, wait_for_inclusion=True)
            return await receipt.is_success, await receipt.error_message

        assert await outcome("SubtensorModule", "add_stake", GOOD) == (True, None)
        success, error = await outcome("SubtensorModule", "add_stake", GOOD | {"netuid": 77})
        assert (success, error["type"]) == (False, "Module")
        with pytest.raises(ServiceError) as refused:
            await outcome("Balances", "transfer_keep_alive", {"dest": HOTKEY, "value": 1})
        assert refused.value.code == "proxy_type_forbids"
