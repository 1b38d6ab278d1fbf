"""Stake in and out, and around: amounts, checks and the pool's codes, on both runtimes."""

from typing import Any

from strongroom_sandbox.bittensor.codec.runtime import Call
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.pallets.shared import stakes
from support.bittensor.trial import NETUID, OWNER, RAO, VALIDATOR, Trial, key, names

ROOT = 0
HK1 = "//Alice//hk1"


def add(amount: int, *, hotkey: str = VALIDATOR, netuid: int = NETUID, **terms: Any) -> dict[str, Any]:
    return {"hotkey": key(hotkey), "netuid": netuid, "amount_staked": amount, **terms}


def remove(amount: int, *, hotkey: str = VALIDATOR, netuid: int = NETUID, **terms: Any) -> dict[str, Any]:
    return {"hotkey": key(hotkey), "netuid": netuid, "amount_unstaked": amount, **terms}


def held(trial: Trial, hotkey: str = VALIDATOR, netuid: int = NETUID, coldkey: str = OWNER) -> int:
    return stakes.held(trial.view, key(hotkey), key(coldkey), netuid)


def free(trial: Trial, uri: str = OWNER) -> int:
    return accounts.free(trial.node.chain.storage, key(uri))


def refused(trial: Trial, function: str, code: int, error: str, **arguments: Any) -> None:
    """Runtime 293 refuses in the pool already; both fail in a block."""
    assert trial.refusal(OWNER, function, **arguments) == {293: code, 424: None}[trial.spec_version]
    assert trial.failure(OWNER, function, **arguments) == error


def test_staking_buys_alpha(trial: Trial) -> None:
    before, tao = free(trial), trial.get("SubnetTAO", NETUID)
    events = trial.run(OWNER, "add_stake", **add(100 * RAO))
    staked = events[-1]
    assert staked.name == "StakeAdded"
    owner, hotkey, spent, alpha, netuid, fee = staked.content
    assert (owner, hotkey, spent, netuid) == (key(OWNER), key(VALIDATOR), 100 * RAO, NETUID)
    assert free(trial) == before - 100 * RAO
    assert held(trial) == alpha == trial.get("TotalHotkeyAlpha", key(VALIDATOR), NETUID)
    assert trial.get("SubnetTAO", NETUID) == tao + 100 * RAO - fee
    taken = {293: "Balances.Withdraw", 424: "Balances.Transfer"}[trial.spec_version]
    assert taken in names(events)


def test_unstaking_sells_alpha(powerful: Trial) -> None:
    before, had = free(powerful), held(powerful)
    events = powerful.run(OWNER, "remove_stake", **remove(RAO))
    (removed,) = (event for event in events if event.name == "StakeRemoved")
    tao = removed.content[2]
    assert free(powerful) == before + tao
    assert held(powerful) == had - RAO


def test_the_checks_of_staking(trial: Trial) -> None:
    refused(trial, "add_stake", 1, "AmountTooLow", **add(1))
    refused(trial, "add_stake", 4, "HotKeyAccountNotExists", **add(RAO, hotkey="//Nobody"))
    trial.admin("subtoken_enabled", value=False, netuid=NETUID)
    refused(trial, "add_stake", 255, "SubtokenDisabled", **add(RAO))


def test_staking_more_than_there_is(old: Trial) -> None:
    refused(old, "add_stake", 2, "NotEnoughBalanceToStake", **add(free(old) + 1))


def test_staking_on_no_subnet(trial: Trial) -> None:
    """In a block runtime 293 asks first whether the subnet trades."""
    nowhere = add(RAO, netuid=77)
    assert trial.refusal(OWNER, "add_stake", **nowhere) == {293: 3, 424: None}[trial.spec_version]
    found = trial.failure(OWNER, "add_stake", **nowhere)
    assert found == {293: "SubtokenDisabled", 424: "SubnetNotExists"}[trial.spec_version]


def test_more_than_the_pool_can_take(new: Trial) -> None:
    deep = new.get("SubnetTAO", NETUID) * 1000 + 1
    assert new.failure(OWNER, "add_stake", **add(deep)) == "InsufficientLiquidity"


def test_the_checks_of_unstaking(powerful: Trial) -> None:
    refused(powerful, "remove_stake", 5, "NotEnoughStakeToWithdraw", **remove(10**15))
    refused(powerful, "remove_stake", 1, "AmountTooLow", **remove(0))
    refused(powerful, "remove_stake", 1, "AmountTooLow", **remove(1000))
    assert (
        powerful.refusal("//Bob", "remove_stake", **remove(RAO)) == {293: 5, 424: None}[powerful.spec_version]
    )


def test_stake_may_not_leave_in_the_block_it_came_in(old: Trial) -> None:
    calls = [
        Call("SubtensorModule", "add_stake", add(RAO)),
        Call("SubtensorModule", "remove_stake", remove(RAO)),
    ]
    values = [old.node.chain.runtime.value_of(call) for call in calls]
    assert old.failure(OWNER, "batch_all", "Utility", calls=values) == "StakingOperationRateLimitExceeded"
    old.run(OWNER, "add_stake", **add(RAO))
    assert old.failure(OWNER, "remove_stake", **remove(RAO)) is None


def test_a_limit_price_bounds_what_is_bought(powerful: Trial) -> None:
    price = stakes.alpha_price(powerful.view, NETUID) * RAO >> 64
    terms: dict[str, Any] = {"limit_price": price * 101 // 100, "allow_partial": False}
    too_much = add(500 * RAO, **terms)
    refused(powerful, "add_stake_limit", 8, "SlippageTooHigh", **too_much)
    had = held(powerful)
    events = powerful.run(OWNER, "add_stake_limit", **(too_much | {"allow_partial": True}))
    spent = events[-1].content[2]
    assert 0 < spent < 500 * RAO
    assert held(powerful) > had
    reached = stakes.alpha_price(powerful.view, NETUID) * RAO >> 64
    assert abs(reached - terms["limit_price"]) < price // 1000


def test_a_limit_price_bounds_what_is_sold(powerful: Trial) -> None:
    price = stakes.alpha_price(powerful.view, NETUID) * RAO >> 64
    terms: dict[str, Any] = {"limit_price": price * 99 // 100, "allow_partial": False}
    all_of_it = remove(held(powerful), **terms)
    refused(powerful, "remove_stake_limit", 8, "SlippageTooHigh", **all_of_it)
    had = held(powerful)
    powerful.run(OWNER, "remove_stake_limit", **(all_of_it | {"allow_partial": True}))
    assert 0 < held(powerful) < had


def test_a_limit_that_the_price_has_passed(old: Trial) -> None:
    terms: dict[str, Any] = {"limit_price": 1, "allow_partial": True}
    refused(old, "add_stake_limit", 14, "ZeroMaxStakeAmount", **add(RAO, **terms))


def test_all_stake_comes_back(powerful: Trial) -> None:
    before = free(powerful)
    powerful.run(OWNER, "unstake_all", hotkey=key(VALIDATOR))
    assert held(powerful) == 0
    assert before < free(powerful) < before + 100 * RAO
    if powerful.spec_version == 293:
        assert powerful.refusal(OWNER, "unstake_all", hotkey=key(VALIDATOR)) == 1


def test_all_alpha_goes_to_the_root_network(powerful: Trial) -> None:
    before = free(powerful)
    powerful.run(OWNER, "unstake_all_alpha", hotkey=key(VALIDATOR))
    assert held(powerful) == 0
    assert free(powerful) == before
    assert 95 * RAO < held(powerful, netuid=ROOT) < 100 * RAO


def test_full_removal_by_name(powerful: Trial) -> None:
    arguments = {"hotkey": key(VALIDATOR), "netuid": NETUID, "limit_price": None}
    powerful.run(OWNER, "remove_stake_full_limit", **arguments)
    assert held(powerful) == 0


def test_stake_moves_to_another_hotkey(powerful: Trial) -> None:
    half = held(powerful) // 2
    arguments = {
        "origin_hotkey": key(VALIDATOR),
        "destination_hotkey": key(HK1),
        "origin_netuid": NETUID,
        "destination_netuid": NETUID,
        "alpha_amount": half,
    }
    events = powerful.run(OWNER, "move_stake", **arguments)
    assert names(events)[-1] == "SubtensorModule.StakeMoved"
    assert half * 99 // 100 < held(powerful, HK1) <= half
    same = arguments | {"destination_hotkey": key(VALIDATOR)}
    assert powerful.failure(OWNER, "move_stake", **same) == "SameNetuid"


def test_stake_moves_to_another_subnet(powerful: Trial) -> None:
    arguments = {
        "hotkey": key(VALIDATOR),
        "origin_netuid": NETUID,
        "destination_netuid": ROOT,
        "alpha_amount": held(powerful) // 2,
    }
    events = powerful.run(OWNER, "swap_stake", **arguments)
    assert names(events)[-1] == "SubtensorModule.StakeSwapped"
    assert held(powerful, netuid=ROOT) == events[-1].content[-1]
    away = arguments | {"destination_netuid": 1}
    assert powerful.failure(OWNER, "swap_stake", **away) == "SubtokenDisabled"


def test_stake_moves_to_another_coldkey(powerful: Trial) -> None:
    arguments = {
        "destination_coldkey": key("//Bob"),
        "hotkey": key(VALIDATOR),
        "origin_netuid": NETUID,
        "destination_netuid": NETUID,
        "alpha_amount": held(powerful) // 2,
    }
    powerful.run(OWNER, "transfer_stake", **arguments)
    assert held(powerful, coldkey="//Bob") > 0
    powerful.admin("toggle_transfer", value=False, netuid=NETUID)
    found = powerful.failure("//Bob", "transfer_stake", **(arguments | {"destination_coldkey": key(OWNER),
                             "alpha_amount": RAO}))  # fmt: skip
    assert found == "TransferDisallowed"


def test_a_coldkey_cannot_take_what_it_does_not_hold(powerful: Trial) -> None:
    assert powerful.failure("//Bob", "remove_stake", **remove(RAO)) == "NotEnoughStakeToWithdraw"


def test_shares_of_two_coldkeys_are_kept_apart(powerful: Trial) -> None:
    had = held(powerful)
    powerful.run("//Bob", "add_stake", **add(10 * RAO))
    assert abs(held(powerful) - had) <= 1
    assert held(powerful, coldkey="//Bob") > 0
    total = powerful.get("TotalHotkeyAlpha", key(VALIDATOR), NETUID)
    assert abs(held(powerful) + held(powerful, coldkey="//Bob") - total) <= 1
