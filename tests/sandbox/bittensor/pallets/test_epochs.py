"""When epochs run, and what they make of weights, on both runtimes."""

import itertools

from support.bittensor.trial import NETUID, OWNER, RAO, TEMPO, VALIDATOR, Trial, key

HK1 = "//Alice//hk1"


def steps(trial: Trial, blocks: int) -> list[int]:
    """The blocks of the next ones that ran an epoch."""
    found = []
    for _ in range(blocks):
        trial.blocks(1)
        if trial.get("LastMechansimStepBlock", NETUID) == trial.block:
            found.append(trial.block)
    return found


def test_epochs_come_round(trial: Trial) -> None:
    ran = steps(trial, 4 * TEMPO)
    period = {293: TEMPO + 1, 424: TEMPO}[trial.spec_version]
    assert {after - before for before, after in itertools.pairwise(ran)} == {period}
    if trial.spec_version == 293:
        assert all((block + NETUID + 1) % (TEMPO + 1) == TEMPO for block in ran)
    else:
        assert trial.get("LastEpochBlock", NETUID) == ran[-1]
    assert trial.get("BlocksSinceLastStep", NETUID) == trial.block - ran[-1]


def test_an_epoch_may_be_asked_for(new: Trial) -> None:
    """Runtime 424 keeps the block from which on it is due."""
    before, index = new.get("LastEpochBlock", NETUID), new.get("SubnetEpochIndex", NETUID)
    wanted = before + TEMPO // 2 + 1
    new.node.produce(lambda ctx: ctx.put("SubtensorModule", "PendingEpochAt", NETUID, value=wanted))
    assert steps(new, wanted - new.block) == [wanted]
    assert new.get("SubnetEpochIndex", NETUID) == index + 1
    assert new.get("PendingEpochAt", NETUID) == 0


def test_a_subnet_without_tempo_rests(trial: Trial) -> None:
    trial.admin("tempo", 0, netuid=NETUID)
    assert steps(trial, 3 * TEMPO) == []


def test_only_the_owner_may_favour_itself(powerful: Trial) -> None:
    powerful.run(OWNER, "add_stake", hotkey=key(HK1), netuid=NETUID, amount_staked=100 * RAO)
    powerful.blocks(TEMPO + 1)
    rows = {"netuid": NETUID, "weights": [1, 1], "version_key": 0}
    powerful.run(VALIDATOR, "set_weights", dests=[0, 2], **rows)
    powerful.run(HK1, "set_weights", dests=[1, 2], **rows)
    powerful.blocks(TEMPO + 1)
    owner, other, third = powerful.get("Incentive", NETUID)
    assert third > owner > 0
    assert other == 0


def test_weights_for_a_newcomer_do_not_count(powerful: Trial) -> None:
    """Who registers after the weights were set has nothing of them."""
    powerful.admin("max_allowed_uids", 3, netuid=NETUID)
    powerful.admin("immunity_period", 0, netuid=NETUID)
    weights = {"netuid": NETUID, "dests": [1, 2], "weights": [1, 1], "version_key": 0}
    powerful.run(VALIDATOR, "set_weights", **weights)
    powerful.blocks(TEMPO + 1)
    assert powerful.get("Incentive", NETUID)[1:] == [32767, 32767]
    events = powerful.run("//Bob", "burned_register", netuid=NETUID, hotkey=key("//Bob//new"))
    uid = events[-1].content[1]
    powerful.blocks(TEMPO + 1)
    incentive = powerful.get("Incentive", NETUID)
    assert incentive[uid] == 0
    assert incentive[3 - uid] == 65535


def test_a_validator_that_is_silent_too_long_does_not_count(powerful: Trial) -> None:
    weights = {"netuid": NETUID, "dests": [1, 2], "weights": [1, 1], "version_key": 0}
    powerful.run(VALIDATOR, "set_weights", **weights)
    item = {293: "ActivityCutoff", 424: "ActivityCutoffFactorMilli"}[powerful.spec_version]
    value = {293: TEMPO, 424: 1000}[powerful.spec_version]
    powerful.node.produce(lambda ctx: ctx.put("SubtensorModule", item, NETUID, value=value))
    powerful.blocks(3 * TEMPO)
    assert powerful.get("Active", NETUID)[0] is False
    assert powerful.get("Incentive", NETUID) == [0, 0, 0]


def test_stake_below_the_threshold_gives_no_permit(powerful: Trial) -> None:
    powerful.admin("stake_threshold", 10**18)
    powerful.blocks(TEMPO + 1)
    assert powerful.get("ValidatorPermit", NETUID) == [False, False, False]
