"""The same days of unmodified SDKs, without a key in their process: the wallet service signs for them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from strongroom.bittensor.authorization.limits import WEIGHTS
from strongroom.bittensor.keystore.names import coldkey, proxy
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.proxies import Delegation, ProxyType
from strongroom.core.security.access import OPERATOR
from strongroom_sandbox.bittensor.chain.genesis import BALANCES, RAO
from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.sandbox import HOTKEYS, STAKE_RAO
from support.bittensor.alice import service_of_alice
from support.bittensor.sandbox_node import SandboxNode, sandbox_node
from support.bittensor.sdks import sdk
from support.bittensor_service import BittensorService

# The first one waits for the installation, which is kept.
pytestmark = pytest.mark.timeout(600)

CALLS = (
    WEIGHTS,
    "SubtensorModule.serve_axon",
    "SubtensorModule.add_stake",
    "SubtensorModule.add_stake_limit",
    "Balances.transfer_keep_alive",
)


async def day(version: str, spec_version: int, folder: Path, *, by_proxy: bool = False) -> dict[str, Any]:
    installed = await asyncio.to_thread(sdk, version)
    async with (
        sandbox_node(spec_version=spec_version) as sandbox,
        service_of_alice(sandbox, folder) as service,
    ):
        if by_proxy:
            await take_coldkey_away(sandbox, service)
        token = await service.token(calls=CALLS, coldkey=True)
        environment = {
            "WALLET_SERVICE_URL": str(service.client.base_url),
            "WALLET_SERVICE_TOKEN": token["Authorization"].removeprefix("Bearer "),
        }
        program = f"sdk{version.partition('.')[0]}.py"
        outcomes = await installed.run(program, sandbox.ws_url, folder, environment)
        if not by_proxy:
            check_chain(sandbox)
        return outcomes


async def take_coldkey_away(sandbox: SandboxNode, service: BittensorService) -> None:
    """Bob's key is its Staking proxy, and signs in its place."""
    real, delegate = Keypair.from_uri("//Alice").public_key, Keypair.from_uri("//Bob")
    entry = {"delegate": delegate.public_key, "proxy_type": "Staking", "delay": 0}
    sandbox.node.produce(lambda ctx: ctx.put("Proxy", "Proxies", real, value=([entry], 0)), empty=True)
    staking = Delegation(real=real, proxy_type=ProxyType.STAKING)
    new = NewKey(key=proxy("validator"), public_key=delegate.public_key, keypair=delegate, delegation=staking)
    await service.ledger.wallets.import_(OPERATOR, [new])
    await service.ledger.wallets.remove(OPERATOR, coldkey("validator"))


def check_chain(sandbox: SandboxNode) -> None:
    storage = sandbox.node.chain.storage
    validator = development_pair(HOTKEYS[0])[0]
    assert storage.get("SubtensorModule", "Weights", 2, 0) == [(1, 32768), (2, 65535)]
    assert storage.get("SubtensorModule", "Axons", 2, validator)["port"] == 8091
    assert accounts.free(storage, development_pair("//Bob")[0]) == BALANCES["//Bob"] + RAO
    assert storage.get("SubtensorModule", "TotalHotkeyAlpha", validator, 2) > STAKE_RAO


@pytest.mark.slow  # test_sdks.py has its day with a key of its own
async def test_sdk_9(tmp_path: Path) -> None:
    outcomes = await day("9.8.3", 293, tmp_path)
    assert outcomes["set_weights"] == [True, "Successfully set weights and Finalized."]
    assert outcomes["set_weights_unwaited"] == [True, "Not waiting for finalization or inclusion."]
    assert (outcomes["serve_axon"], outcomes["transfer"], outcomes["add_stake"]) == (True, True, True)


async def test_sdk_10(tmp_path: Path) -> None:
    outcomes = await day("10.5.0", 424, tmp_path)
    assert outcomes["set_weights"] == [True, "set_weights_extrinsic"]
    assert outcomes["commit_weights"] == [True, "commit_timelocked_weights_extrinsic"]
    assert (outcomes["serve_axon"], outcomes["transfer"], outcomes["add_stake"]) == (True, True, True)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "spec_version"), [("9.8.3", 293), ("10.5.0", 424)])
async def test_a_proxy_takes_the_coldkey_s_place(version: str, spec_version: int, tmp_path: Path) -> None:
    outcomes = await day(version, spec_version, tmp_path, by_proxy=True)
    assert (outcomes["add_stake"], outcomes["serve_axon"]) == (True, True)
    assert outcomes["transfer"] is not True


async def test_sdk_11(tmp_path: Path) -> None:
    outcomes = await day("11.1.0", 424, tmp_path)
    assert outcomes["set_weights"] == [True, "WeightsSet"]
    assert outcomes["commit_weights"] == [True, "TimelockedWeightsCommitted"]
    assert (outcomes["serve_axon"], outcomes["transfer"], outcomes["add_stake"]) == (True, True, True)
