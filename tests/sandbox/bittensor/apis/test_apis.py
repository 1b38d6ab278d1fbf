"""Answers of runtime APIs, through their bytes, on both runtimes."""

import pytest

from strongroom_sandbox.bittensor.codec.runtime import shipped_runtime
from strongroom_sandbox.bittensor.codec.scale import ScaleError
from strongroom_sandbox.bittensor.execution.dispatch import APIS, call_api
from support.bittensor.trial import NETUID, OWNER, RAO, TEMPO, VALIDATOR, Trial, key


@pytest.fixture
def busy(powerful: Trial) -> Trial:
    """With weights set and an epoch over them."""
    weights = {"netuid": NETUID, "dests": [1, 2], "weights": [3, 4], "version_key": 0}
    powerful.run(VALIDATOR, "set_weights", **weights)
    powerful.blocks(TEMPO + 1)
    return powerful


def test_neurons(busy: Trial) -> None:
    lite = busy.api("NeuronInfoRuntimeApi_get_neurons_lite", NETUID)
    full = busy.api("NeuronInfoRuntimeApi_get_neurons", NETUID)
    assert [neuron["uid"] for neuron in lite] == [0, 1, 2]
    assert lite[0]["hotkey"] == key(VALIDATOR)
    assert lite[0]["coldkey"] == key(OWNER)
    assert lite[0]["validator_permit"]
    assert lite[0]["stake"] == [(key(OWNER), busy.get("TotalHotkeyAlpha", key(VALIDATOR), NETUID))]
    assert [neuron["incentive"] for neuron in lite] == [0, 28086, 37448]
    assert full[0]["weights"] == [(1, 49151), (2, 65535)]
    assert busy.api("NeuronInfoRuntimeApi_get_neuron", NETUID, 0) == full[0]
    assert busy.api("NeuronInfoRuntimeApi_get_neuron_lite", NETUID, 1) == lite[1]
    assert busy.api("NeuronInfoRuntimeApi_get_neuron", NETUID, 9) is None


def test_a_metagraph_is_whole_or_in_parts(busy: Trial) -> None:
    whole = busy.api("SubnetInfoRuntimeApi_get_metagraph", NETUID)
    assert whole["num_uids"] == 3
    assert whole["block"] == busy.block
    assert whole["hotkeys"][0] == key(VALIDATOR)
    assert whole["incentives"] == [0, 28086, 37448]
    assert whole["tempo"] == TEMPO
    assert busy.api("SubnetInfoRuntimeApi_get_metagraph", 77) is None
    everything = list(range(74 if busy.spec_version == 424 else 73))
    parts = busy.api("SubnetInfoRuntimeApi_get_selective_metagraph", NETUID, everything)
    assert {name: parts[name] for name in whole} == whole
    assert parts["validators"] == [0]
    few = busy.api("SubnetInfoRuntimeApi_get_selective_metagraph", NETUID, [8, 52])
    given = {name for name, value in few.items() if value is not None}
    assert given == {"netuid", "tempo", "hotkeys"}
    if busy.spec_version == 424:
        assert busy.api("SubnetInfoRuntimeApi_get_selective_mechagraph", NETUID, 0, [8, 52]) == few


def test_the_state_of_a_subnet(busy: Trial) -> None:
    state = busy.api("SubnetInfoRuntimeApi_get_subnet_state", NETUID)
    assert state["hotkeys"][0] == key(VALIDATOR)
    assert state["total_stake"][0] == busy.get("TotalHotkeyAlpha", key(VALIDATOR), NETUID)
    assert busy.api("SubnetInfoRuntimeApi_get_subnet_state", 77) is None


def test_hyperparameters(busy: Trial) -> None:
    first = busy.api("SubnetInfoRuntimeApi_get_subnet_hyperparams", NETUID)
    second = busy.api("SubnetInfoRuntimeApi_get_subnet_hyperparams_v2", NETUID)
    assert {name: second[name] for name in first} == first
    assert (second["tempo"], second["subnet_is_active"]) == (TEMPO, True)
    if busy.spec_version == 424:
        third = busy.api("SubnetInfoRuntimeApi_get_subnet_hyperparams_v3", NETUID)
        named = {entry["name"].decode(): entry["value"] for entry in third}
        assert named["tempo"] == ("U16", TEMPO)
        assert named["commit_reveal_period"] == ("U64", 1)
        assert named["commit_reveal_weights_enabled"] == ("Bool", False)


def test_stake(busy: Trial) -> None:
    arguments = (key(VALIDATOR), key(OWNER), NETUID)
    info = busy.api("StakeInfoRuntimeApi_get_stake_info_for_hotkey_coldkey_netuid", *arguments)
    assert info["stake"] > 90 * RAO
    assert info["is_registered"]
    assert busy.api("StakeInfoRuntimeApi_get_stake_info_for_coldkey", key(OWNER)) == [info]
    assert busy.api("StakeInfoRuntimeApi_get_stake_info_for_coldkeys", [key(OWNER)]) == [(key(OWNER), [info])]
    busy.run(OWNER, "increase_take", hotkey=key(VALIDATOR), take=9000)
    delegate = busy.api("DelegateInfoRuntimeApi_get_delegate", key(VALIDATOR))
    assert delegate["take"] == 9000
    assert delegate["nominators"] == [(key(OWNER), [(NETUID, info["stake"])])]
    assert delegate["validator_permits"] == [NETUID]
    assert busy.api("DelegateInfoRuntimeApi_get_delegates") == [delegate]
    found = busy.api("DelegateInfoRuntimeApi_get_delegated", key(OWNER))
    assert found == [(delegate, (NETUID, info["stake"]))]


def test_subnets_and_prices(busy: Trial) -> None:
    dynamic = busy.api("SubnetInfoRuntimeApi_get_all_dynamic_info")
    assert [info["netuid"] for info in dynamic] == [0, 1, 2]
    assert dynamic[2] == busy.api("SubnetInfoRuntimeApi_get_dynamic_info", NETUID)
    assert dynamic[2]["tao_in"] == busy.get("SubnetTAO", NETUID)
    price = busy.api("SwapRuntimeApi_current_alpha_price", NETUID)
    assert abs(price * dynamic[2]["alpha_in"] - dynamic[2]["tao_in"] * RAO) < 10**19
    assert busy.api("SwapRuntimeApi_current_alpha_price", 0) == RAO
    assert busy.api("SubnetInfoRuntimeApi_get_subnet_info", NETUID)["subnetwork_n"] == 3
    assert busy.api("SubnetInfoRuntimeApi_get_subnet_info_v2", NETUID)["identity"] is None
    cost = busy.api("SubnetRegistrationRuntimeApi_get_network_registration_cost")
    assert 1000 * RAO < cost <= 2000 * RAO


def test_simulated_swaps_come_true(new: Trial) -> None:
    told = new.api("SwapRuntimeApi_sim_swap_tao_for_alpha", NETUID, RAO)
    events = new.run(OWNER, "add_stake", hotkey=key(VALIDATOR), netuid=NETUID, amount_staked=RAO)
    assert events[-1].content[3] == told["alpha_amount"]
    assert events[-1].content[5] == told["tao_fee"]
    back = new.api("SwapRuntimeApi_sim_swap_alpha_for_tao", NETUID, RAO)
    removed = {"hotkey": key(VALIDATOR), "netuid": NETUID, "amount_unstaked": RAO}
    (event,) = (event for event in new.run(OWNER, "remove_stake", **removed) if event.name == "StakeRemoved")
    assert event.content[2] == back["tao_amount"]


def test_what_is_not_answered_says_so(busy: Trial) -> None:
    with pytest.raises(ScaleError, match="does not answer"):
        call_api(busy.node.chain.storage, "Core_version", b"")


def test_every_answer_of_the_subtensor_is_registered() -> None:
    wanted = {
        name
        for name in shipped_runtime(424).metadata.apis
        if name.startswith(("NeuronInfo", "SubnetInfo", "DelegateInfo", "SubnetRegistration", "SwapRuntime"))
    }
    left_out = {
        "SubnetInfoRuntimeApi_get_coldkey_auto_stake_hotkey",
        "SubnetInfoRuntimeApi_get_subnet_to_prune",
    }
    assert wanted - set(APIS) == left_out
