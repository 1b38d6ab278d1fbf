"""Calls as the recorded chain took them, and what they would do."""

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom.bittensor.protocol import account_calls, calls
from strongroom.bittensor.protocol.account_calls import MAX_U64, share_of
from strongroom.bittensor.protocol.call_reach import CallReach, reach_of
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.ss58 import decode_address, encode_address
from strongroom.bittensor.protocol.weights import weight_set

STEPS: dict[str, Any] = {
    step["id"]: step["call"]
    for step in json.loads(
        (Path(__file__).parents[2] / "vectors" / "bittensor" / "extrinsics.json").read_text()
    )["steps"]
    if step["step"] == "extrinsic"
}
HK0 = "5DCjgv6LY9JXY1bwJo2pBnPoThnZWsgCoJAuwdV7SJdVabUx"
HK1 = "5EqLEzsWpnVf1dWWpvkE8AKedp9VFdc6wAgTvXb66kymZrwt"
KEY0, KEY1 = decode_address(HK0), decode_address(HK1)


@pytest.mark.parametrize(
    ("step", "call"),
    [
        ("serve_axon_ok", account_calls.serve_axon(2, "1.2.3.4", 8091, version=1)),
        ("serve_prometheus_ok", account_calls.serve_prometheus(2, "1.2.3.4", 9100, version=1)),
        ("burned_register_ok_hk1", account_calls.burned_register(2, KEY1)),
        ("add_stake_ok", account_calls.add_stake(2, KEY0, 100_000_000_000)),
        ("remove_stake_ok", account_calls.remove_stake(2, KEY0, 1_000_000_000)),
        ("transfer_keep_alive_ok", account_calls.transfer(KEY1, 1_000_000_000)),
        ("set_children_ok", account_calls.set_children(2, KEY0, [(2**63, KEY1)])),
    ],
)
def test_a_call_is_what_the_recorded_chain_took(step: str, call: Call) -> None:
    expected = STEPS[step]
    assert call.name == f"{expected['module']}.{expected['function']}"
    assert {name: _shown(value) for name, value in call.arguments.items()} == expected["args"]


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return encode_address(value)
    return [_shown(one) for one in value] if isinstance(value, list) else value


def test_ipv6_is_served_too() -> None:
    arguments = account_calls.serve_axon(2, "2001:db8::1", 1).arguments
    assert (arguments["ip"], arguments["ip_type"]) == (0x20010DB8000000000000000000000001, 6)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (account_calls.serve_axon, (2, "node.example", 8091)),
        (account_calls.serve_axon, (2, "1.2.3.4", 0)),
        (account_calls.serve_prometheus, (2, "1.2.3.4", 65_536)),
        (account_calls.add_stake, (2, KEY0, 0)),
        (account_calls.remove_stake, (2, KEY0, 2**64)),
        (account_calls.transfer, (KEY0, -1)),
        (account_calls.set_children, (2, KEY0, [(1, KEY0)])),
        (account_calls.set_children, (2, KEY0, [(1, KEY1), (1, KEY1)])),
        (account_calls.set_children, (2, KEY0, [(MAX_U64, KEY1), (1, bytes(32))])),
        (account_calls.set_children, (2, KEY0, [(1, bytes([n]) * 32) for n in range(6)])),
    ],
)
def test_what_the_chain_would_refuse_is_refused_here(function: Any, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ProtocolError):
        function(*arguments)


def test_shares_add_up_to_no_more_than_the_whole() -> None:
    assert (share_of("0"), share_of("1"), share_of("0.5")) == (0, MAX_U64, MAX_U64 // 2)
    assert sum(share_of("0.1") for _ in range(10)) <= MAX_U64
    assert share_of("1e-5") == share_of("0.00001")
    assert share_of("5E-1") == share_of(".5")
    too_much = ("1e-999999999", "1e-9999", "0." + "1" * 65)
    for text in ("1.1", "-0.1", "half", "nan", "inf", "1/0", "1/2", "", ".", "٣", "1e999", *too_much):
        with pytest.raises(ProtocolError):
            share_of(text)


@pytest.mark.parametrize(
    ("call", "reach"),
    [
        (
            calls.set_weights(2, weight_set([1], [1], 0)),
            CallReach(netuids=(2,), amount_rao=0, destination=None),
        ),
        (account_calls.serve_axon(3, "1.2.3.4", 1), CallReach(netuids=(3,), amount_rao=0, destination=None)),
        (account_calls.transfer(KEY1, 7), CallReach(netuids=(), amount_rao=7, destination=HK1)),
        (
            account_calls.add_stake(2, KEY0, 7),
            CallReach(netuids=(2,), amount_rao=7, destination=None, hotkeys=(HK0,)),
        ),
        (
            account_calls.add_stake_limit(2, KEY0, 7, 9, allow_partial=True),
            CallReach(netuids=(2,), amount_rao=7, destination=None, hotkeys=(HK0,)),
        ),
        (
            account_calls.remove_stake(2, KEY0, 7),
            CallReach(netuids=(2,), amount_rao=0, destination=None, hotkeys=(HK0,)),
        ),
        (
            account_calls.burned_register(2, KEY0),
            CallReach(netuids=(2,), amount_rao=None, destination=None, hotkeys=(HK0,)),
        ),
        (
            Call(pallet="SubtensorModule", function="claim_root", arguments={"subnets": [2, 3]}),
            CallReach(netuids=(2, 3), amount_rao=None, destination=None),
        ),
        (
            Call(
                pallet="SubtensorModule",
                function="move_stake",
                arguments={"origin_hotkey": HK0, "destination_hotkey": "0x" + KEY1.hex()},
            ),
            CallReach(netuids=(), amount_rao=None, destination=None, hotkeys=(HK0, HK1)),
        ),
        (
            Call(pallet="SubtensorModule", function="batch_set_weights", arguments={"netuids": [2, 3]}),
            CallReach(netuids=(2, 3), amount_rao=0, destination=None),
        ),
        (
            Call(
                pallet="SubtensorModule",
                function="transfer_stake",
                arguments={"destination_coldkey": HK1, "origin_netuid": 1, "destination_netuid": 2},
            ),
            CallReach(netuids=(1, 2), amount_rao=None, destination=HK1),
        ),
        (
            Call(pallet="Balances", function="transfer_all", arguments={"dest": {"Id": "0x" + KEY1.hex()}}),
            CallReach(netuids=(), amount_rao=None, destination=HK1),
        ),
    ],
)
def test_what_a_call_would_do(call: Call, reach: CallReach) -> None:
    assert reach_of(call) == reach


@pytest.mark.parametrize(
    "arguments",
    [
        {"netuid": "2"},
        {"netuids": 2},
        {"netuid": True},
        {"value": "7", "dest": HK1},
        {"value": 7, "dest": 1},
        {"value": 7, "dest": "0x12"},
    ],
)
def test_a_call_whose_effect_cannot_be_read_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        reach_of(Call(pallet="Balances", function="transfer_keep_alive", arguments=arguments))
