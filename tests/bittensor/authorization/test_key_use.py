"""What rules see of the use of a key: subnets, hotkeys and weights, as the call says them."""

from typing import Any

import pytest

from strongroom.bittensor.authorization.key_use import call_use
from strongroom.bittensor.authorization.limits import SUBMIT
from strongroom.bittensor.keystore.names import HotkeyNames, Signer
from strongroom.bittensor.protocol import account_calls, calls
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom.bittensor.protocol.weights import WeightSet
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import Term, Unsaid

KEYS = [bytes([number]) * 32 for number in range(3)]
OWN, SECOND, FOREIGN = ADDRESSES = [encode_address(key) for key in KEYS]
NAMES = HotkeyNames(names={OWN: "default", SECOND: "second"})
CALLER = Principal(name="token:t", scopes=frozenset({SUBMIT}))
WEIGHTS = WeightSet(uids=(3, 4, 5), values=(2, 1, 0), version_key=7)


def said(
    call: Call, *, coldkey: bool = False, names: HotkeyNames = NAMES, weights: WeightSet | None = None
) -> dict[str, Term]:
    signer = Signer(wallet="validator", hotkey="default", coldkey=coldkey)
    return dict(call_use(CALLER, SUBMIT, signer, call, names=names, weights=weights).terms)


def subtensor(function: str, **arguments: Any) -> Call:
    return Call(pallet="SubtensorModule", function=function, arguments=arguments)


@pytest.mark.parametrize(
    ("call", "hotkeys", "addresses"),
    [
        (subtensor("add_stake", hotkey=OWN, netuid=1, amount_staked=1), ("default",), (OWN,)),
        (subtensor("add_stake", hotkey=SECOND, netuid=1, amount_staked=1), ("default", "second"), (SECOND,)),
        (subtensor("unstake_all", hotkey=FOREIGN), ("default", FOREIGN), (FOREIGN,)),
        (
            subtensor("move_stake", origin_hotkey=SECOND, destination_hotkey=FOREIGN, origin_netuid=1),
            ("default", "second", FOREIGN),
            (SECOND, FOREIGN),
        ),
        (
            subtensor("swap_hotkey", hotkey=SECOND, new_hotkey="0x" + KEYS[2].hex(), netuid=None),
            ("default", "second", FOREIGN),
            (SECOND, FOREIGN),
        ),
        (subtensor("schedule_swap_coldkey", new_coldkey=FOREIGN), Unsaid.ANY, Unsaid.ANY),
        (subtensor("move_lock", destination_hotkey=OWN, netuid=1), Unsaid.ANY, Unsaid.ANY),
        (account_calls.transfer(KEYS[2], 1), ("default",), ()),
    ],
)
def test_a_coldkey_s_call_concerns_the_hotkeys_that_it_names(
    call: Call, hotkeys: Term, addresses: Term
) -> None:
    terms = said(call, coldkey=True)
    assert (terms["hotkey"], terms["hotkey_address"], terms["key"]) == (hotkeys, addresses, "coldkey")


def test_a_hotkey_that_signs_concerns_itself() -> None:
    terms = said(calls.set_weights(2, WEIGHTS))
    assert (terms["hotkey"], terms["hotkey_address"], terms["key"]) == (("default",), (OWN,), "hotkey")


def test_an_address_may_be_any_hotkey_s_while_one_of_the_wallet_is_not_known() -> None:
    names = HotkeyNames(names={OWN: "default"}, is_complete=False)
    unstake = subtensor("unstake_all", hotkey=SECOND)
    assert said(unstake, coldkey=True, names=names)["hotkey"] is Unsaid.ANY
    unstake = subtensor("unstake_all", hotkey=OWN)
    assert said(unstake, coldkey=True, names=names)["hotkey"] == ("default",)


@pytest.mark.parametrize(
    ("call", "netuids"),
    [
        (subtensor("set_tempo", netuid=3), (3,)),
        (subtensor("swap_hotkey", hotkey=OWN, new_hotkey=SECOND, netuid=None), Unsaid.ANY),
        (subtensor("unstake_all", hotkey=OWN), Unsaid.ANY),
        (account_calls.transfer(KEYS[2], 1), ()),
    ],
)
def test_a_call_of_the_subnets_that_names_none_may_concern_any(call: Call, netuids: Term) -> None:
    assert said(call, coldkey=True)["netuid"] == netuids


BATCH = subtensor(
    "batch_set_weights", netuids=[1, 2], weights=[[(3, 1)], [(4, 1), (5, 1)]], version_keys=[0, 9]
)


@pytest.mark.parametrize(
    ("call", "uid", "uid_count", "largest_share", "version_key"),
    [
        (calls.set_weights(2, WEIGHTS), (3, 4), (2,), (666_667,), (7,)),
        (calls.set_mechanism_weights(2, 1, WEIGHTS), (3, 4), (2,), (666_667,), (7,)),
        (calls.reveal_weights(2, WEIGHTS, [1]), (3, 4), (2,), (666_667,), (7,)),
        (BATCH, (3, 4, 5), (1, 2), (1_000_000, 500_000), (0, 9)),
        (subtensor("set_weights", netuid=1, dests=[3], weights=[0], version_key=0), (), (0,), (0,), (0,)),
        (calls.commit_weights(2, bytes(32)), *[Unsaid.ANY] * 4),
        (calls.commit_timelocked_mechanism_weights(2, 0, b"x", 1, 4), *[Unsaid.ANY] * 4),
        (account_calls.transfer(KEYS[2], 1), *[None] * 4),
    ],
)
def test_weights_as_rules_see_them(
    call: Call, uid: Term, uid_count: Term, largest_share: Term, version_key: Term
) -> None:
    terms = said(call)
    seen = tuple(terms.get(name) for name in ("uid", "uid_count", "largest_share", "version_key"))
    assert seen == (uid, uid_count, largest_share, version_key)


def test_what_the_service_itself_seals_is_seen_in_clear() -> None:
    sealed = calls.commit_timelocked_mechanism_weights(2, 0, b"x", 1, 4)
    assert said(sealed, weights=WEIGHTS)["largest_share"] == (666_667,)


def test_weights_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(ProtocolError):
        said(subtensor("set_weights", netuid=1, dests=[3]))
