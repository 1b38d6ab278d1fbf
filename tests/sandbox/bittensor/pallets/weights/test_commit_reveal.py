"""Commits and reveals, by their owner and by the chain, on both runtimes."""

from typing import Any

import pytest

from strongroom_sandbox.bittensor.pallets.shared import epochs
from strongroom_sandbox.bittensor.pallets.weights.timelocked import REVEALS, Plain, last_ciphertext
from strongroom_sandbox.bittensor.rules.weights import commit_hash
from support.bittensor.trial import NETUID, OWNER, TEMPO, VALIDATOR, Trial, key, names

REVEAL: dict[str, Any] = {
    "netuid": NETUID,
    "uids": [1, 2],
    "values": [10, 20],
    "salt": [11, 22, 33],
    "version_key": 0,
}
DIGEST = commit_hash(key(VALIDATOR), NETUID, [1, 2], [10, 20], [11, 22, 33], 0)
VERSION = 4


@pytest.fixture
def hidden(powerful: Trial) -> Trial:
    """Commit-reveal is on, and an epoch has just begun."""
    powerful.admin("commit_reveal_weights_enabled", value=True, netuid=NETUID)
    next_epoch(powerful)
    return powerful


def next_epoch(trial: Trial) -> None:
    """To the block before which a new epoch began."""
    now = epochs.current(trial.view, NETUID)
    while epochs.current(trial.view, NETUID) == now:
        trial.blocks(1)


def commit(trial: Trial, digest: bytes = DIGEST) -> None:
    trial.run(VALIDATOR, "commit_weights", netuid=NETUID, commit_hash=digest)


def test_a_commit_is_revealed_in_the_next_epoch(hidden: Trial) -> None:
    events = hidden.run(VALIDATOR, "commit_weights", netuid=NETUID, commit_hash=DIGEST)
    assert names(events) == ["SubtensorModule.WeightsCommitted"]
    assert hidden.get("LastUpdate", NETUID)[0] == hidden.block
    assert hidden.failure(VALIDATOR, "reveal_weights", **REVEAL) == "RevealTooEarly"
    next_epoch(hidden)
    events = hidden.run(VALIDATOR, "reveal_weights", **REVEAL)
    assert names(events) == ["SubtensorModule.WeightsSet", "SubtensorModule.WeightsRevealed"]
    assert hidden.get("Weights", NETUID, 0) == [(1, 32768), (2, 65535)]
    assert hidden.get("WeightCommits", NETUID, key(VALIDATOR)) is None


def test_what_is_stored_of_a_commit(hidden: Trial) -> None:
    commit(hidden)
    ((digest, *numbers),) = hidden.get("WeightCommits", NETUID, key(VALIDATOR))
    assert digest == DIGEST
    if hidden.spec_version == 293:
        made, first, last = numbers
        assert made == hidden.block
        assert (first + NETUID + 1) % (TEMPO + 1) == 0
        assert last == first + TEMPO
    else:
        assert numbers == [hidden.get("SubnetEpochIndex", NETUID), hidden.block, 0]


def test_a_commit_expires(hidden: Trial) -> None:
    commit(hidden)
    next_epoch(hidden)
    next_epoch(hidden)
    # Runtime 424 looks first whether the commit may be revealed now, and says no more than that.
    expired = {293: "ExpiredWeightCommit", 424: "RevealTooEarly"}[hidden.spec_version]
    assert hidden.failure(VALIDATOR, "reveal_weights", **REVEAL) == expired
    other = REVEAL | {"salt": [1]}
    assert hidden.failure(VALIDATOR, "reveal_weights", **other) == "NoWeightsCommitFound"
    commit(hidden, b"\1" * 32)
    assert [entry[0] for entry in hidden.get("WeightCommits", NETUID, key(VALIDATOR))] == [b"\1" * 32]


def test_a_reveal_must_fit_its_commit(hidden: Trial) -> None:
    assert hidden.failure(VALIDATOR, "reveal_weights", **REVEAL) == "NoWeightsCommitFound"
    commit(hidden)
    next_epoch(hidden)
    wrong = REVEAL | {"values": [10, 21]}
    unknown = {293: "InvalidRevealCommitHashNotMatch", 424: "NoWeightsCommitFound"}[hidden.spec_version]
    assert hidden.failure(VALIDATOR, "reveal_weights", **wrong) == unknown


def test_a_reveal_that_fails_changes_nothing(hidden: Trial) -> None:
    wrong = commit_hash(key(VALIDATOR), NETUID, [1, 1], [1, 2], [7], 0)
    commit(hidden, wrong)
    next_epoch(hidden)
    reveal = REVEAL | {"uids": [1, 1], "values": [1, 2], "salt": [7]}
    assert hidden.failure(VALIDATOR, "reveal_weights", **reveal) == "DuplicateUids"
    assert len(hidden.get("WeightCommits", NETUID, key(VALIDATOR))) == 1


def test_a_reveal_takes_older_commits_with_it(hidden: Trial) -> None:
    commit(hidden, b"\1" * 32)
    commit(hidden)
    commit(hidden, b"\2" * 32)
    next_epoch(hidden)
    hidden.run(VALIDATOR, "reveal_weights", **REVEAL)
    assert [entry[0] for entry in hidden.get("WeightCommits", NETUID, key(VALIDATOR))] == [b"\2" * 32]


def test_ten_commits_may_wait(hidden: Trial) -> None:
    hidden.admin("tempo", 100, netuid=NETUID)
    next_epoch(hidden)
    for number in range(10):
        commit(hidden, bytes([number]) * 32)
    eleventh: dict[str, Any] = {"netuid": NETUID, "commit_hash": DIGEST}
    assert hidden.failure(VALIDATOR, "commit_weights", **eleventh) == "TooManyUnrevealedCommits"


def test_the_checks_of_a_commit(hidden: Trial) -> None:
    arguments: dict[str, Any] = {"netuid": NETUID, "commit_hash": DIGEST}
    assert hidden.failure(OWNER, "commit_weights", **arguments) == "HotKeyNotRegisteredInSubNet"
    hidden.admin("weights_set_rate_limit", 100, netuid=NETUID)
    assert hidden.failure(VALIDATOR, "commit_weights", **arguments) == "CommittingWeightsTooFast"
    refused = hidden.refusal(VALIDATOR, "commit_weights", **arguments)
    assert refused == {293: None, 424: 6}[hidden.spec_version]
    hidden.admin("weights_set_rate_limit", 0, netuid=NETUID)
    hidden.admin("commit_reveal_weights_enabled", value=False, netuid=NETUID)
    assert hidden.failure(VALIDATOR, "commit_weights", **arguments) == "CommitRevealDisabled"
    disabled = {293: "CommitRevealDisabled", 424: "NoWeightsCommitFound"}[hidden.spec_version]
    assert hidden.failure(VALIDATOR, "reveal_weights", **REVEAL) == disabled


def test_a_batch_of_reveals(hidden: Trial) -> None:
    second = commit_hash(key(VALIDATOR), NETUID, [2], [9], [5], 0)
    commit(hidden)
    commit(hidden, second)
    next_epoch(hidden)
    lists: dict[str, Any] = {
        "uids_list": [[1, 2], [2]],
        "values_list": [[10, 20], [9]],
        "salts_list": [[11, 22, 33], [5]],
    }
    batch: dict[str, Any] = {"netuid": NETUID, "version_keys": [0, 0], **lists}
    events = hidden.run(VALIDATOR, "batch_reveal_weights", **batch)
    assert names(events)[-1] == "SubtensorModule.WeightsBatchRevealed"
    assert events[-1].content == (key(VALIDATOR), NETUID, [DIGEST, second])
    assert hidden.get("Weights", NETUID, 0) == [(2, 65535)]
    short = batch | {"version_keys": [0]}
    assert hidden.failure(VALIDATOR, "batch_reveal_weights", **short) == "InputLengthsUnequal"


def test_a_batch_of_commits_tells_what_failed(hidden: Trial) -> None:
    batch: dict[str, Any] = {"netuids": [NETUID, 77], "commit_hashes": [DIGEST, DIGEST]}
    events = hidden.run(VALIDATOR, "batch_commit_weights", **batch)
    assert names(events) == [
        "SubtensorModule.WeightsCommitted",
        "SubtensorModule.BatchCompletedWithErrors",
        "SubtensorModule.BatchWeightItemFailed",
        "SubtensorModule.BatchWeightsCompleted",
    ]


def test_the_newer_pool_knows_what_can_be_revealed(hidden: Trial) -> None:
    early, unknown = (17, 16) if hidden.spec_version == 424 else (None, None)
    assert hidden.refusal(VALIDATOR, "reveal_weights", **REVEAL) == unknown
    commit(hidden)
    assert hidden.refusal(VALIDATOR, "reveal_weights", **REVEAL) == early
    next_epoch(hidden)
    assert hidden.refusal(VALIDATOR, "reveal_weights", **REVEAL) is None


def timelocked(trial: Trial, ciphertext: bytes, version: int = VERSION) -> tuple[str, dict[str, Any]]:
    arguments: dict[str, Any] = {"netuid": NETUID, "commit": ciphertext, "reveal_round": 17_200_000}
    if trial.spec_version == 293:
        return "commit_crv3_weights", arguments
    return "commit_timelocked_weights", arguments | {"commit_reveal_version": version}


def test_the_chain_reveals_what_is_timelocked(hidden: Trial) -> None:
    ciphertext = b"sealed on %d" % hidden.spec_version
    REVEALS.add(ciphertext, Plain(uids=[1, 2], values=[1, 3], version_key=0))
    function, arguments = timelocked(hidden, ciphertext)
    events = hidden.run(VALIDATOR, function, **arguments)
    name = {293: "CRV3WeightsCommitted", 424: "TimelockedWeightsCommitted"}[hidden.spec_version]
    assert names(events) == [f"SubtensorModule.{name}"]
    assert hidden.get("LastUpdate", NETUID)[0] == hidden.block
    hidden.blocks(2 * TEMPO + 2)
    assert hidden.get("Weights", NETUID, 0) == [(1, 21845), (2, 65535)]
    item = {293: "CRV3WeightCommits", 424: "TimelockedWeightCommits"}[hidden.spec_version]
    assert hidden.view.entries(item, NETUID) == []


def revealed(trial: Trial, blocks: int) -> list[str]:
    """The names of the revealing events of the next blocks."""
    found = []
    for _ in range(blocks):
        trial.blocks(1)
        records = trial.get("Events", pallet="System")
        found += [record["event"][1][0] for record in records if record["event"][0] == "SubtensorModule"]
    return [name for name in found if name.endswith("Revealed")]


def test_a_reveal_of_the_chain_is_told(hidden: Trial) -> None:
    ciphertext = b"told on %d" % hidden.spec_version
    REVEALS.add(ciphertext, Plain(uids=[1], values=[1], version_key=0))
    function, arguments = timelocked(hidden, ciphertext)
    hidden.run(VALIDATOR, function, **arguments)
    name = {293: "CRV3WeightsRevealed", 424: "TimelockedWeightsRevealed"}[hidden.spec_version]
    assert revealed(hidden, 3 * TEMPO) == [name]


def test_a_reveal_of_the_chain_that_fails_is_not_told(hidden: Trial) -> None:
    ciphertext = b"wrong on %d" % hidden.spec_version
    REVEALS.add(ciphertext, Plain(uids=[1, 1], values=[1, 3], version_key=0))
    function, arguments = timelocked(hidden, ciphertext)
    hidden.run(VALIDATOR, function, **arguments)
    assert revealed(hidden, 3 * TEMPO) == []
    assert hidden.get("Weights", NETUID, 0) == []


def test_ten_timelocked_commits_may_wait(hidden: Trial) -> None:
    hidden.admin("tempo", 100, netuid=NETUID)
    next_epoch(hidden)
    for number in range(10):
        function, arguments = timelocked(hidden, bytes([number]))
        hidden.run(VALIDATOR, function, **arguments)
    function, arguments = timelocked(hidden, b"eleventh")
    assert hidden.failure(VALIDATOR, function, **arguments) == "TooManyUnrevealedCommits"


def test_the_last_ciphertext_of_a_hotkey_is_found(hidden: Trial) -> None:
    def last(uri: str) -> bytes | None:
        return last_ciphertext(hidden.view, NETUID, key(uri))

    for ciphertext in (b"first", b"second"):
        function, arguments = timelocked(hidden, ciphertext)
        hidden.run(VALIDATOR, function, **arguments)
        assert last(VALIDATOR) == ciphertext
    assert last("//Alice//hk1") is None


def test_what_cannot_be_opened_is_dropped(hidden: Trial) -> None:
    function, arguments = timelocked(hidden, b"nobody knows %d" % hidden.spec_version)
    hidden.run(VALIDATOR, function, **arguments)
    hidden.blocks(3 * TEMPO)
    assert hidden.get("Weights", NETUID, 0) == []
    item = {293: "CRV3WeightCommits", 424: "TimelockedWeightCommits"}[hidden.spec_version]
    assert hidden.view.entries(item, NETUID) == []


def test_the_checks_of_a_timelocked_commit(hidden: Trial) -> None:
    function, arguments = timelocked(hidden, b"x")
    assert hidden.failure(OWNER, function, **arguments) == "HotKeyNotRegisteredInSubNet"
    if hidden.spec_version == 424:
        _, older = timelocked(hidden, b"x", VERSION - 1)
        assert hidden.failure(VALIDATOR, function, **older) == "IncorrectCommitRevealVersion"
        mechanism = {**arguments, "mecid": 1}
        found = hidden.failure(VALIDATOR, "commit_timelocked_mechanism_weights", **mechanism)
        assert found == "MechanismDoesNotExist"
    for number in range(10):
        hidden.run(VALIDATOR, function, **(arguments | {"commit": bytes([number])}))
        if not hidden.get("BlocksSinceLastStep", NETUID):
            break
    hidden.admin("weights_set_rate_limit", 100, netuid=NETUID)
    assert hidden.failure(VALIDATOR, function, **arguments) == "CommittingWeightsTooFast"
    hidden.admin("commit_reveal_weights_enabled", value=False, netuid=NETUID)
    assert hidden.failure(VALIDATOR, function, **arguments) == "CommitRevealDisabled"


def test_a_round_of_the_past_is_refused_by_the_newer_pool(new: Trial) -> None:
    new.admin("commit_reveal_weights_enabled", value=True, netuid=NETUID)
    new.node.produce(lambda ctx: ctx.put("Drand", "LastStoredRound", value=17_200_001))
    function, arguments = timelocked(new, b"x")
    assert new.refusal(VALIDATOR, function, **arguments) == 15
