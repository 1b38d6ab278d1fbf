"""The call of a proxy around another: as the real runtime took it, as the SDK's library encodes it, and for which calls."""

import gzip
from typing import Any

import pytest
from async_substrate_interface import AsyncSubstrateInterface

from bittensor.gateway.test_runtime import METADATA, RECORDED
from strongroom.bittensor.extrinsics.block_index import BlockPosition
from strongroom.bittensor.extrinsics.network import read_inclusion
from strongroom.bittensor.gateway import Block, CallUnknown
from strongroom.bittensor.gateway.runtime import MetadataRuntime
from strongroom.bittensor.protocol.account_calls import add_stake
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.proxies import Delegation, ProxyForbids, ProxyType, require_allowed
from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom_sandbox.bittensor.codec.runtime import Call as NodeCall
from strongroom_sandbox.bittensor.codec.runtime import shipped_runtime
from strongroom_sandbox.bittensor.pallets.proxies.filters import proxy_filter
from support.bittensor.sandbox_node import sandbox_node

STEPS = {step["id"]: step for step in RECORDED["steps"] if "id" in step}
REAL = Keypair.from_uri("//Alice").public_key
HOTKEY = Keypair.from_uri("//Alice//hk0").public_key
NON_TRANSFER = Delegation(real=REAL, proxy_type=ProxyType.NON_TRANSFER)


def runtime(version: int) -> MetadataRuntime:
    metadata = gzip.decompress((METADATA / f"{version}.v15.scale.gz").read_bytes())
    return MetadataRuntime(metadata, spec_version=version, transaction_version=1, genesis_hash=bytes(32))


@pytest.fixture(scope="module", params=[293, 424])
def made(request: pytest.FixtureRequest) -> MetadataRuntime:
    return runtime(request.param)


def test_it_is_what_the_real_runtime_took_with_the_type_named() -> None:
    old, step = runtime(293), STEPS["proxy_add_stake"]
    call = old.encode(add_stake(2, HOTKEY, 10**9))
    data = old.proxied(NON_TRANSFER, call)
    recorded = bytes.fromhex(step["call_hex"][2:])
    unnamed, named = b"\x00", b"\x01\x03"
    assert data == recorded[: -len(call) - len(unnamed)] + named + recorded[-len(call) :]
    assert old.unwrapped(NON_TRANSFER, data) == call
    with pytest.raises(CallUnknown):
        old.unwrapped(NON_TRANSFER, recorded)


@pytest.mark.parametrize(
    ("name", "failure"), [("proxy_add_stake", None), ("proxy_transfer_refused", "CallFiltered")]
)
def test_the_real_runtime_s_events_say_what_became_of_the_call_inside(name: str, failure: str | None) -> None:
    """Both extrinsics have succeeded."""
    old, step = runtime(293), STEPS[name]
    events = old.decode_events(bytes.fromhex(step["events_raw"][2:]))
    assert any((one.pallet, one.name) == ("System", "ExtrinsicSuccess") for one in events)
    (index,) = {one.extrinsic for one in events if one.pallet == "Proxy"}
    assert index is not None
    block = Block(number=1, hash=bytes(32), parent=bytes(32), extrinsics=())
    found = read_inclusion(BlockPosition(block=block, index=index), events)
    assert (found.success, found.failure and found.failure.name) == (failure is None, failure)
    assert found.fee > 0


@pytest.mark.parametrize("version", [293, 424])
async def test_the_sdk_s_library_encodes_the_same(version: int) -> None:
    made = runtime(version)
    async with (
        sandbox_node(spec_version=version) as node,
        AsyncSubstrateInterface(node.ws_url, ss58_format=42) as library,
    ):
        stake = {"hotkey": encode_address(HOTKEY), "netuid": 2, "amount_staked": 10**9}
        inner = await library.compose_call("SubtensorModule", "add_stake", stake)
        for kind in ProxyType:
            arguments = {"real": encode_address(REAL), "force_proxy_type": kind.value, "call": inner}
            composed = await library.compose_call("Proxy", "proxy", arguments)
            delegation = Delegation(real=REAL, proxy_type=kind)
            ours = made.proxied(delegation, made.encode(add_stake(2, HOTKEY, 10**9)))
            assert ours == bytes(composed.data.data)


@pytest.mark.parametrize("kind", ProxyType)
def test_of_all_calls_it_makes_only_such_as_the_chain_lets_through(
    made: MetadataRuntime, kind: ProxyType
) -> None:
    """Whatever else the chain would let a type do, such as adding further proxies, is not made."""
    shipped = shipped_runtime(made.spec_version)
    lets = proxy_filter(made.spec_version, kind)
    delegation = Delegation(real=REAL, proxy_type=kind)
    seen, may = 0, []
    for pallet, function in every_call(made.spec_version):
        seen += 1
        try:
            require_allowed(delegation, Call(pallet=pallet, function=function))
        except ProxyForbids:
            continue
        may.append(function)
        arguments: dict[str, Any] = {}
        assert lets(NodeCall(pallet, function, arguments)), f"{kind} would fail {function} in the block"
        assert pallet == "SubtensorModule"
        assert shipped.has_call(pallet, function)
    assert seen > 200
    least = {"Staking": 10, "NonTransfer": 20, "Registration": 1, "ChildKeys": 2}
    assert len(may) >= least[kind]
    assert not any(
        word in function
        for function in may
        for word in ("weights", "serve", "sudo", "transfer", "coldkey_swap")
    )


def every_call(version: int) -> list[tuple[str, str]]:
    shipped = shipped_runtime(version)
    return [
        (pallet.name, variant.name)
        for pallet in shipped.pallets.values()
        if pallet.calls is not None
        for variant in shipped.types.variants(pallet.calls)
    ]
