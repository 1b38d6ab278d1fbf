"""Setting weights: every check in the chain's order, on both runtimes."""

from typing import Any

import pytest

from support.bittensor.trial import NETUID, OWNER, VALIDATOR, Trial, key, names


def weights(
    dests: list[int], values: list[int], netuid: int = NETUID, version_key: int = 0
) -> dict[str, Any]:
    return {"netuid": netuid, "dests": dests, "weights": values, "version_key": version_key}


def test_weights_are_stored_upscaled_and_noted(powerful: Trial) -> None:
    events = powerful.run(VALIDATOR, "set_weights", **weights([1, 2], [100, 200]))
    assert names(events) == ["SubtensorModule.WeightsSet"]
    assert events[0].content == (NETUID, 0)
    assert powerful.get("Weights", NETUID, 0) == [(1, 32768), (2, 65535)]
    assert powerful.get("LastUpdate", NETUID)[0] == powerful.block


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (weights([1, 1, 1, 1, 1], [5, 6]), "WeightVecNotEqualSize"),
        (weights([0, 1, 2, 1], [1, 1, 1, 1]), "UidsLengthExceedUidsInSubNet"),
        (weights([1, 1], [1, 2]), "DuplicateUids"),
        (weights([1, 99], [1, 2]), "UidVecContainInvalidOne"),
        (weights([1, 3], [1, 2]), "UidVecContainInvalidOne"),
        (weights([], []), "WeightVecLengthIsLow"),
    ],
)
def test_wrong_weights_are_told_by_name(powerful: Trial, arguments: dict[str, Any], error: str) -> None:
    assert powerful.failure(VALIDATOR, "set_weights", **arguments) == error


def test_the_root_network_has_no_weights(powerful: Trial) -> None:
    powerful.node.produce(
        lambda ctx: ctx.put("SubtensorModule", "CommitRevealWeightsEnabled", 0, value=False)
    )
    found = powerful.failure(VALIDATOR, "set_weights", **weights([1], [5], netuid=0))
    assert found == "CanNotSetRootNetworkWeights"


def test_a_subnet_must_exist(powerful: Trial) -> None:
    """On runtime 424 commit-reveal is on wherever nothing else is stored."""
    found = powerful.failure(VALIDATOR, "set_weights", **weights([1], [5], netuid=77))
    assert found == {293: "SubNetworkDoesNotExist", 424: "CommitRevealEnabled"}[powerful.spec_version]


def test_only_registered_hotkeys_set_weights(powerful: Trial) -> None:
    for uri in (OWNER, "//Stranger"):
        assert powerful.failure(uri, "set_weights", **weights([1], [5])) == "HotKeyNotRegisteredInSubNet"


def test_the_rate_limit_lets_through_what_comes_exactly_at_it(powerful: Trial) -> None:
    powerful.admin("weights_set_rate_limit", 5, netuid=NETUID)
    powerful.run(VALIDATOR, "set_weights", **weights([1], [5]))
    powerful.blocks(3)
    assert powerful.failure(VALIDATOR, "set_weights", **weights([1], [5])) == "SettingWeightsTooFast"
    powerful.blocks(1)
    assert powerful.failure(VALIDATOR, "set_weights", **weights([1], [5])) is None


def test_a_registration_counts_as_an_update(trial: Trial) -> None:
    trial.admin("weights_set_rate_limit", 100, netuid=NETUID)
    assert trial.failure(VALIDATOR, "set_weights", **weights([0], [1])) == "SettingWeightsTooFast"


def test_without_a_permit_only_a_self_weight_passes(trial: Trial) -> None:
    other = "//Alice//hk1"
    assert trial.failure(other, "set_weights", **weights([0], [1])) == "NeuronNoValidatorPermit"
    assert trial.failure(other, "set_weights", **weights([0, 1], [1, 1])) == "NeuronNoValidatorPermit"
    assert trial.failure(other, "set_weights", **weights([1], [1])) is None


def test_the_hotkey_of_the_subnets_owner_needs_no_permit_since_2026(trial: Trial) -> None:
    found = trial.failure(VALIDATOR, "set_weights", **weights([1], [1]))
    assert found == {293: "NeuronNoValidatorPermit", 424: None}[trial.spec_version]


def test_the_newer_runtime_keeps_a_limit_of_shares_and_does_not_look_at_it(new: Trial) -> None:
    new.node.produce(lambda ctx: ctx.put("SubtensorModule", "MaxWeightsLimit", NETUID, value=100), empty=True)
    assert new.failure(VALIDATOR, "set_weights", **weights([1, 2], [1, 65535])) is None


def test_the_version_key_must_not_be_older(powerful: Trial) -> None:
    powerful.admin("weights_version_key", 7, netuid=NETUID)
    older = weights([1], [5], version_key=6)
    assert powerful.failure(VALIDATOR, "set_weights", **older) == "IncorrectWeightVersionKey"
    for version_key in (7, 8):
        fitting = weights([1], [5], version_key=version_key)
        assert powerful.failure(VALIDATOR, "set_weights", **fitting) is None


def test_the_least_number_of_weights(powerful: Trial) -> None:
    powerful.admin("min_allowed_weights", 2, netuid=NETUID)
    assert powerful.failure(VALIDATOR, "set_weights", **weights([1], [5])) == "WeightVecLengthIsLow"
    assert powerful.failure(VALIDATOR, "set_weights", **weights([0], [5])) is None
    powerful.admin("min_allowed_weights", 500, netuid=NETUID)
    assert powerful.failure(VALIDATOR, "set_weights", **weights([0, 1, 2], [1, 2, 3])) is None


def test_the_greatest_share_of_a_weight(old: Trial) -> None:
    old.admin("max_weight_limit", 20_000, netuid=NETUID)
    assert old.failure(VALIDATOR, "set_weights", **weights([1, 2], [1, 65535])) == "MaxWeightExceeded"
    assert old.failure(VALIDATOR, "set_weights", **weights([0], [5])) is None


def test_commit_reveal_closes_the_plain_way(powerful: Trial) -> None:
    powerful.admin("commit_reveal_weights_enabled", value=True, netuid=NETUID)
    assert powerful.failure(VALIDATOR, "set_weights", **weights([1], [5])) == "CommitRevealEnabled"


def test_stake_below_the_threshold_is_refused_by_the_pool_and_by_the_call(powerful: Trial) -> None:
    powerful.admin("stake_threshold", 10**18)
    assert powerful.refusal(VALIDATOR, "set_weights", **weights([1], [5])) == 1
    assert powerful.failure(VALIDATOR, "set_weights", **weights([1], [5])) == "NotEnoughStakeToSetWeights"


def test_only_the_newer_pool_knows_the_rate_limit(powerful: Trial) -> None:
    powerful.admin("weights_set_rate_limit", 100, netuid=NETUID)
    refused = powerful.refusal(VALIDATOR, "set_weights", **weights([1], [5]))
    assert refused == {293: None, 424: 6}[powerful.spec_version]


def test_a_batch_succeeds_and_tells_what_failed(powerful: Trial) -> None:
    rows = [[(1, 3), (2, 4)], [(1, 1)], [(9, 9)]]
    batch = {"netuids": [NETUID, 0, NETUID], "weights": rows, "version_keys": [0, 0, 0]}
    events = powerful.run(VALIDATOR, "batch_set_weights", **batch)
    assert names(events) == [
        "SubtensorModule.WeightsSet",
        "SubtensorModule.BatchCompletedWithErrors",
        "SubtensorModule.BatchWeightItemFailed",
        "SubtensorModule.BatchWeightItemFailed",
        "SubtensorModule.BatchWeightsCompleted",
    ]
    assert events[-1].content == ([NETUID, 0, NETUID], key(VALIDATOR))
    assert powerful.get("Weights", NETUID, 0) == [(1, 49151), (2, 65535)]


def test_a_batch_needs_lists_of_one_length(powerful: Trial) -> None:
    batch: dict[str, Any] = {"netuids": [NETUID], "weights": [], "version_keys": [0]}
    assert powerful.failure(VALIDATOR, "batch_set_weights", **batch) == "InputLengthsUnequal"
    refused = powerful.refusal(VALIDATOR, "batch_set_weights", **batch)
    assert refused == {293: None, 424: 18}[powerful.spec_version]


def test_mechanisms_have_weights_of_their_own(new: Trial) -> None:
    arguments = weights([1], [5]) | {"mecid": 1}
    assert new.failure(VALIDATOR, "set_mechanism_weights", **arguments) == "MechanismDoesNotExist"
    new.admin("mechanism_count", 2, netuid=NETUID)
    events = new.run(VALIDATOR, "set_mechanism_weights", **arguments)
    assert events[0].content == (4096 + NETUID, 0)
    assert new.get("Weights", 4096 + NETUID, 0) == [(1, 65535)]
    assert new.get("Weights", NETUID, 0) == []


def test_older_weights_go_first_on_the_older_runtime(powerful: Trial) -> None:
    def priority(uri: str) -> int | None:
        return powerful.priority(uri, "set_weights", **weights([0], [1]))

    powerful.run(VALIDATOR, "set_weights", **weights([1], [5]))
    if powerful.spec_version == 424:
        assert priority(VALIDATOR) is None
    else:
        assert 0 < (priority(VALIDATOR) or 0) < (priority("//Alice//hk1") or 0) < (1 << 64) - 1
