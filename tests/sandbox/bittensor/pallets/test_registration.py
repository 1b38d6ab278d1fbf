"""Neurons and subnets come, are bounded, and take each other's places."""

from typing import Any

import pytest

from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.pallets.shared import coldkeys
from support.bittensor.trial import NETUID, OWNER, RAO, TEMPO, VALIDATOR, Trial, key, names

NEW = "//Bob//new"
ABSENT = {293: "SubNetworkDoesNotExist", 424: "SubnetNotExists"}


def register(uri: str = NEW, netuid: int = NETUID) -> dict[str, Any]:
    return {"netuid": netuid, "hotkey": key(uri)}


def test_a_burn_buys_the_next_uid(trial: Trial) -> None:
    before = accounts.free(trial.node.chain.storage, key("//Bob"))
    burn, count = trial.get("Burn", NETUID), trial.get("SubnetworkN", NETUID)
    events = trial.run("//Bob", "burned_register", **register())
    assert events[-1].name == "NeuronRegistered"
    assert events[-1].content == (NETUID, count, key(NEW))
    assert "SubtensorModule.RAORecycledForRegistrationSet" in names(events)
    paid = before - accounts.free(trial.node.chain.storage, key("//Bob"))
    assert 0 <= burn - paid <= burn // 100
    assert trial.get("Uids", NETUID, key(NEW)) == count
    assert trial.get("Keys", NETUID, count) == key(NEW)
    assert trial.get("Owner", key(NEW)) == key("//Bob")
    assert trial.get("LastUpdate", NETUID)[count] == trial.block
    assert trial.get("IsNetworkMember", key(NEW), NETUID)


def test_the_checks_of_a_registration(trial: Trial) -> None:
    def failure(uri: str, **arguments: Any) -> str | None:
        return trial.failure(uri, "burned_register", **arguments)

    assert failure("//Bob", **register(netuid=0)) == "RegistrationNotPermittedOnRootSubnet"
    assert failure("//Bob", **register(netuid=77)) == ABSENT[trial.spec_version]
    assert failure(OWNER, **register(VALIDATOR)) == "HotKeyAlreadyRegisteredInSubNet"
    assert failure("//Poor", **register()) == "NotEnoughBalanceToStake"
    trial.run("//Bob", "try_associate_hotkey", hotkey=key(NEW))
    assert failure("//Charlie", **register()) == "NonAssociatedColdKey"
    trial.admin("network_registration_allowed", value=False, netuid=NETUID)
    assert failure("//Bob", **register()) == "SubNetRegistrationDisabled"


def test_an_interval_takes_three_times_its_target(old: Trial) -> None:
    old.admin("target_registrations_per_interval", 1, netuid=NETUID)
    assert old.refusal("//Bob", "burned_register", **register()) is None
    old.run("//Bob", "burned_register", **register())
    assert old.refusal("//Bob", "burned_register", **register("//Bob//next")) == 6
    found = old.failure("//Bob", "burned_register", **register("//Bob//next"))
    assert found == "TooManyRegistrationsThisInterval"


def test_the_burn_rises_and_falls_again(new: Trial) -> None:
    before = new.get("Burn", NETUID)
    new.run("//Bob", "burned_register", **register())
    raised = new.get("Burn", NETUID)
    assert raised > before
    new.blocks(50)
    assert new.get("Burn", NETUID) < raised


def test_a_registration_with_a_limit(new: Trial) -> None:
    cheap = register() | {"limit_price": 1}
    assert new.failure("//Bob", "register_limit", **cheap) == "RegistrationPriceLimitExceeded"
    assert new.failure("//Bob", "register_limit", **(register() | {"limit_price": RAO})) is None
    new.admin("min_burn", RAO, netuid=NETUID)
    new.blocks(1)
    at_the_limit = register() | {"limit_price": RAO}
    assert new.failure("//Bob", "register_limit", **at_the_limit) is None
    below = register() | {"limit_price": RAO - 1}
    assert new.failure("//Bob", "register_limit", **below) == "RegistrationPriceLimitExceeded"


def test_a_full_subnet_gives_away_the_worst_place(powerful: Trial) -> None:
    powerful.admin("max_allowed_uids", 3, netuid=NETUID)
    powerful.admin("immunity_period", 0, netuid=NETUID)
    events = powerful.run("//Bob", "burned_register", **register())
    uid = events[-1].content[1]
    assert uid in (1, 2)
    assert powerful.get("SubnetworkN", NETUID) == 3
    assert powerful.get("Keys", NETUID, uid) == key(NEW)
    assert powerful.get("Uids", NETUID, key(f"//Alice//hk{uid}")) is None


def test_proof_of_work_is_refused_plainly(old: Trial) -> None:
    work: dict[str, Any] = {"block_number": old.block, "nonce": 0, "work": bytes(32)}
    arguments = {**register(), **work, "coldkey": key("//Bob")}
    assert old.failure("//Bob", "register", **arguments) == "TransactorAccountShouldBeHotKey"
    assert old.failure(NEW, "register", **arguments) == "InvalidDifficulty"
    stale = arguments | {"block_number": old.block + 9}
    assert old.failure(NEW, "register", **stale) == "InvalidWorkBlock"


def test_the_root_network_takes_hotkeys(powerful: Trial) -> None:
    events = powerful.run(OWNER, "root_register", hotkey=key(VALIDATOR))
    assert events[-1].content == (0, 0, key(VALIDATOR))
    assert ("SenateMembers.MemberAdded" in names(events)) == (powerful.spec_version == 293)
    again = powerful.failure(OWNER, "root_register", hotkey=key(VALIDATOR))
    assert again == "HotKeyAlreadyRegisteredInSubNet"


def test_a_subnet_is_founded(trial: Trial) -> None:
    events = trial.run("//Bob", "register_network", hotkey=key(NEW))
    assert events[-1].content == (3, 1)
    assert trial.get("SubnetOwner", 3) == key("//Bob")
    assert trial.get("Uids", 3, key(NEW)) == 0
    assert trial.get("SubnetTAO", 3) == trial.get("SubnetAlphaIn", 3) >= 1000 * RAO
    assert trial.get("NetworkLastLockCost") > 1900 * RAO
    if trial.spec_version == 424:
        held = accounts.free(trial.node.chain.storage, coldkeys.subnet_account(3))
        assert held == trial.get("SubnetLocked", 3)


def test_the_checks_of_founding(trial: Trial) -> None:
    poor = {293: "NotEnoughBalanceToStake", 424: "CannotAffordLockCost"}[trial.spec_version]
    assert trial.failure("//Dave", "register_network", hotkey=key(NEW)) in (poor, None)
    assert trial.failure("//Poor", "register_network", hotkey=key(NEW)) == poor
    assert trial.failure("//Bob", "register_network", hotkey=key(VALIDATOR)) == "NonAssociatedColdKey"
    trial.admin("network_rate_limit", 1000)
    found = trial.failure("//Bob", "register_network", hotkey=key(NEW))
    assert found == "NetworkTxRateLimitExceeded"
    refused = trial.refusal("//Bob", "register_network", hotkey=key(NEW))
    assert refused == {293: None, 424: 6}[trial.spec_version]


def test_only_its_owner_starts_a_subnet(trial: Trial) -> None:
    trial.blocks(TEMPO)
    assert trial.failure("//Bob", "start_call", netuid=NETUID) == "BadOrigin"
    assert trial.failure(OWNER, "start_call", netuid=77) == ABSENT[trial.spec_version]
    events = trial.run(OWNER, "start_call", netuid=NETUID)
    assert names(events) == ["SubtensorModule.FirstEmissionBlockNumberSet"]
    again = trial.failure(OWNER, "start_call", netuid=NETUID)
    assert again == "FirstEmissionBlockNumberAlreadySet"


@pytest.mark.parametrize("blocks", [400])
def test_registrations_are_counted_anew_after_an_interval(old: Trial, blocks: int) -> None:
    before = old.get("Burn", NETUID)
    assert old.get("RegistrationsThisInterval", NETUID) == 2
    old.blocks(blocks)
    assert old.get("RegistrationsThisInterval", NETUID) == 0
    assert old.get("Burn", NETUID) < before
