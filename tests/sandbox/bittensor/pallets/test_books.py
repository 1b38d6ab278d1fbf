"""Whatever is called in whatever order: no TAO and no stake comes from nowhere or is lost."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.shared import coldkeys, neurons, stakes
from support.bittensor.trial import NETUID, OWNER, RAO, VALIDATOR, Trial, key

PEOPLE = (OWNER, "//Bob", "//Dave")
HOTKEYS = (VALIDATOR, "//Alice//hk1", "//Bob//new")
NETUIDS = (0, 1, NETUID)

people = st.sampled_from(PEOPLE)
amounts = st.integers(0, 20) | st.integers(0, 3_000 * RAO)
hotkeys = st.sampled_from(HOTKEYS).map(key)
netuids = st.sampled_from(NETUIDS)


def staking(function: str, field: str) -> st.SearchStrategy[tuple[str, str, dict[str, Any]]]:
    arguments = st.fixed_dictionaries({"hotkey": hotkeys, "netuid": netuids, field: amounts})
    return st.tuples(st.just("SubtensorModule"), st.just(function), arguments)


def other(pallet: str, function: str, **fields: Any) -> st.SearchStrategy[tuple[str, str, dict[str, Any]]]:
    return st.tuples(st.just(pallet), st.just(function), st.fixed_dictionaries(fields))


calls = st.one_of(
    staking("add_stake", "amount_staked"),
    staking("remove_stake", "amount_unstaked"),
    other("SubtensorModule", "unstake_all", hotkey=hotkeys),
    other("SubtensorModule", "unstake_all_alpha", hotkey=hotkeys),
    other(
        "SubtensorModule",
        "move_stake",
        origin_hotkey=hotkeys,
        destination_hotkey=hotkeys,
        origin_netuid=netuids,
        destination_netuid=netuids,
        alpha_amount=amounts,
    ),
    other("SubtensorModule", "burned_register", netuid=netuids, hotkey=hotkeys),
    other(
        "Balances",
        "transfer_allow_death",
        dest=people.map(lambda uri: ("Id", key(uri))),
        value=amounts,
    ),
    other(
        "Balances",
        "transfer_all",
        dest=people.map(lambda uri: ("Id", key(uri))),
        keep_alive=st.booleans(),
    ),
)


def total_held(trial: Trial) -> int:
    records = trial.node.chain.storage.entries("System", "Account")
    return sum(record["data"]["free"] + record["data"]["reserved"] for _, record in records)


def check_books(trial: Trial) -> None:
    assert total_held(trial) == trial.get("TotalIssuance", pallet="Balances")
    view = trial.view
    for (hotkey, netuid), total in view.entries("TotalHotkeyAlpha"):
        owners = [held[1] for held, _ in view.entries("Alpha", hotkey) if held[2] == netuid]
        shared = sum(stakes.held(view, hotkey, owner, netuid) for owner in owners)
        assert 0 <= total - shared <= len(owners)
    staked = sum(total for (_, netuid), total in view.entries("TotalHotkeyAlpha") if netuid == NETUID)
    assert staked <= trial.get("SubnetAlphaOut", NETUID)
    if trial.spec_version == 424:
        pooled = accounts.free(trial.node.chain.storage, coldkeys.subnet_account(NETUID))
        assert pooled >= trial.get("SubnetTAO", NETUID)


def check_uids(trial: Trial) -> None:
    view = trial.view
    for netuid in neurons.netuids(view):
        keys = neurons.hotkeys(view, netuid)
        assert [neurons.uid_of(view, netuid, hotkey) for hotkey in keys] == list(range(len(keys)))


@pytest.mark.parametrize("spec_version", [293, 424])
@settings(max_examples=50, deadline=None)
@given(steps=st.lists(st.tuples(people, calls), max_size=15))
def test_the_books_balance(spec_version: int, steps: list[tuple[str, Any]]) -> None:
    trial = Trial(spec_version)
    check_books(trial)
    for uri, (pallet, function, arguments) in steps:
        before = trial.node.chain.state.snapshot()
        try:
            trial.run(uri, function, pallet, **arguments)
        except DispatchError:
            assert trial.node.chain.state.snapshot() == before
        check_books(trial)
    check_uids(trial)
