"""What a token may do: one check for every use of a key."""

from dataclasses import dataclass
from typing import Any

import pytest

from strongroom.bittensor.authorization.key_use import KeyUse, early_use
from strongroom.bittensor.authorization.limits import (
    EXPORT,
    SCOPES,
    SIGN,
    SUBMIT,
    TokenLimits,
    encode_limits,
    limits_of,
    require_network,
)
from strongroom.bittensor.authorization.token_rules import require_use, token_rules
from strongroom.bittensor.keystore.names import Signer
from strongroom.bittensor.protocol.call_reach import WEIGHT_CALLS
from strongroom.core.errors import Forbidden, InvalidInput
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import SignatureRequest, Unsaid
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.trail import open_trail

SET_WEIGHTS = "SubtensorModule.set_weights"
ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
TRANSFER = "Balances.transfer_keep_alive"
UNSTAKE_ALL = "SubtensorModule.unstake_all"


def principal(*scopes: str, **limits: Any) -> Principal:
    return Principal(
        name="token:test",
        scopes=frozenset(scopes or {"bittensor:*"}),
        limits=encode_limits(TokenLimits(**limits)),
    )


@dataclass(frozen=True, kw_only=True)
class Use:
    right: str = SUBMIT
    wallet: str = "validator"
    hotkey: str | None = "default"
    netuid: int | None = 2
    call: str | None = SET_WEIGHTS
    coldkey: bool = False
    amount_rao: int | None = 0
    destination: str | None = None

    def by(self, who: Principal) -> KeyUse:
        is_open = self.netuid is None and (self.call or "").startswith("SubtensorModule.")
        subnets = () if self.netuid is None else (self.netuid,)
        return KeyUse(
            principal=who,
            scope=self.right,
            account="",
            kind=self.call or "message:timestamp",
            payload_hash=b"",
            wallet=self.wallet,
            amount_raw=self.amount_rao or 0,
            is_amount_known=self.amount_rao is not None,
            destination=self.destination,
            terms={
                "key": "coldkey" if self.coldkey else "hotkey",
                "asked_hotkey": self.hotkey,
                "netuid": Unsaid.ANY if is_open else subnets,
                "call": self.call,
                "paid": self.destination,
            },
        )

    def refusal(self, who: Principal) -> str | None:
        """The code that refuses it; None when it is allowed."""
        try:
            require_use(self.by(who))
        except Forbidden as error:
            return error.instance_code
        return None


MESSAGE = Use(right=SIGN, netuid=None, call=None)


@pytest.mark.parametrize("right", SCOPES)
def test_a_right_is_needed_and_enough(right: str) -> None:
    for asked in SCOPES:
        expected = None if asked == right else "forbidden"
        assert Use(right=asked).refusal(principal(right)) == expected
    by_wide_scope = "forbidden" if right == EXPORT else None
    assert Use(right=right).refusal(principal("bittensor:*")) == by_wide_scope
    assert Use(right=right).refusal(principal("*")) == by_wide_scope
    assert Use(right=right).refusal(principal("atto:*")) == "forbidden"


@pytest.mark.parametrize(
    ("limits", "use", "code"),
    [
        ({"wallets": ("validator",)}, Use(), None),
        ({"wallets": ("validator",)}, Use(wallet="other"), "wallet_not_allowed"),
        ({"wallets": ()}, Use(), "wallet_not_allowed"),
        ({"hotkeys": ("default",)}, Use(), None),
        ({"hotkeys": ("default",)}, Use(hotkey="h"), "hotkey_not_allowed"),
        ({"hotkeys": ("h",)}, MESSAGE, "hotkey_not_allowed"),
        ({"netuids": (2, 3)}, Use(netuid=3), None),
        ({"netuids": (2,)}, Use(netuid=3), "netuid_not_allowed"),
        ({"netuids": (2,)}, MESSAGE, None),
        ({"calls": (UNSTAKE_ALL,)}, Use(call=UNSTAKE_ALL, netuid=None), None),
        (
            {"calls": (UNSTAKE_ALL,), "netuids": (2,)},
            Use(call=UNSTAKE_ALL, netuid=None),
            "netuid_not_allowed",
        ),
        ({"calls": (TRANSFER,), "netuids": (2,)}, Use(call=TRANSFER, netuid=None), None),
        ({}, Use(call=TRANSFER, netuid=None), "call_not_allowed"),
        ({"calls": (TRANSFER,)}, Use(call=TRANSFER, netuid=None), None),
        ({"calls": (TRANSFER,)}, Use(), "call_not_allowed"),
        ({"calls": ("weights", TRANSFER)}, Use(), None),
        ({"calls": ()}, Use(), "call_not_allowed"),
        ({"calls": (TRANSFER,)}, Use(call=TRANSFER, coldkey=True), "coldkey_not_allowed"),
        ({"calls": (TRANSFER,), "coldkey": True}, Use(call=TRANSFER, coldkey=True), None),
        ({"coldkey": True}, Use(call=TRANSFER, coldkey=True), "call_not_allowed"),
        ({}, Use(right=SIGN, call=None, coldkey=True), "coldkey_not_allowed"),
        ({"calls": (TRANSFER,)}, Use(call=TRANSFER.upper()), "call_not_allowed"),
        ({"calls": (TRANSFER,)}, Use(call=f"{TRANSFER} "), "call_not_allowed"),
        ({"wallets": ("a",), "hotkeys": ("b",), "netuids": (1,)}, Use(), "wallet_not_allowed"),
        ({"most_rao": 5}, Use(amount_rao=5), None),
        ({"most_rao": 5}, Use(amount_rao=6), "amount_not_allowed"),
        ({"most_rao": 5}, Use(amount_rao=None), "amount_not_allowed"),
        ({}, Use(amount_rao=None), None),
        ({"destinations": (ALICE,)}, Use(destination=ALICE), None),
        ({"destinations": (ALICE,)}, Use(destination=BOB), "destination_not_allowed"),
        ({"destinations": (ALICE,)}, Use(), None),
    ],
)
def test_limits(limits: dict[str, Any], use: Use, code: str | None) -> None:
    assert use.refusal(principal(**limits)) == code
    assert use.refusal(principal("*", **limits)) == code


@pytest.mark.parametrize("call", sorted(WEIGHT_CALLS))
def test_all_that_sets_weights_is_allowed_at_first(call: str) -> None:
    assert Use(call=call).refusal(principal()) is None


@pytest.mark.parametrize(
    "call",
    [
        "Utility.batch",
        "Proxy.proxy",
        "Sudo.sudo",
        "Multisig.as_multi",
        "Scheduler.schedule",
        "Crowdloan.create",
        "SubtensorModule.sudo",
    ],
)
def test_calls_that_carry_others_are_for_nobody(call: str) -> None:
    with pytest.raises(InvalidInput, match="carry other calls"):
        principal(calls=(call,))
    forged = Principal(name="token:x", scopes=frozenset({"*"}), limits=f'{{"calls":["{call}"]}}')
    assert Use(call=call).refusal(forged) == "call_not_allowed"


@pytest.mark.parametrize(
    "limits", ["{", "[]", '{"wallets": "validator"}', '{"unheard_of": true}', '{"netuids": ["2"]}']
)
def test_limits_that_are_not_understood_allow_nothing(limits: str) -> None:
    who = Principal(name="token:x", scopes=frozenset({"*"}), limits=limits)
    assert Use().refusal(who) == "forbidden"
    assert MESSAGE.refusal(who) == "forbidden"


@pytest.mark.parametrize(
    "limits",
    [
        {"calls": ("set_weights",)},
        {"calls": ("",)},
        {"calls": ("SubtensorModule.",)},
        {"netuids": (65_536,)},
        {"netuids": (-1,)},
        {"requests_a_minute": 0},
        {"most_rao": -1},
        {"destinations": ("5Bob",)},
        {"networks": ("10.0.0.1/8",)},
        {"networks": ("everywhere",)},
        {"networks": ("2001:db8::/96",)},
    ],
)
def test_wrong_limits_are_refused_when_a_token_is_made(limits: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        encode_limits(TokenLimits(**limits))


def test_limits_go_to_the_row_and_back() -> None:
    assert encode_limits(TokenLimits()) == ""
    limits = TokenLimits(
        wallets=("a",), netuids=(2,), calls=("weights", TRANSFER), coldkey=True, networks=("10.0.0.0/8",)
    )
    assert limits_of(Principal(name="x", scopes=frozenset(), limits=encode_limits(limits))) == limits


@pytest.mark.parametrize(
    ("client", "allowed"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("2001:db8:0:1::/64", True),
        ("2001:db9::/64", False),
        ("", False),
        ("unix", False),
    ],
)
def test_a_token_may_be_for_some_networks_alone(client: str, allowed: bool) -> None:
    who = principal(networks=("10.0.0.0/8", "2001:db8::/32"))
    require_network(principal(), client)
    if allowed:
        require_network(who, client)
        return
    with pytest.raises(Forbidden) as raised:
        require_network(who, client)
    assert raised.value.instance_code == "address_not_allowed"


async def test_the_gate_asks_for_every_signature_which_key_it_uses(
    database: Database, clock: ManualClock
) -> None:
    policy = Guard(clock, Default.ALLOW, token_rules, key=open_trail())
    plain = SignatureRequest(
        principal=principal(), scope=SIGN, account="5F", kind="message", payload_hash=bytes(32)
    )
    with pytest.raises(Forbidden):
        await database.write(lambda connection: policy.authorize(connection, plain))
    signer = Signer(wallet="validator", hotkey="default", coldkey=False)
    use = early_use(principal(wallets=("other",)), SIGN, signer, kind="message:timestamp", address="5F")
    with pytest.raises(Forbidden) as raised:
        await database.write(lambda connection: policy.authorize(connection, use))
    assert raised.value.instance_code == "wallet_not_allowed"
