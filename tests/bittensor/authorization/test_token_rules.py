"""The limits of a token as rules of the guard: they allow what they allowed before, and nothing more."""

import json
from collections.abc import Sequence
from functools import partial
from random import Random

import pytest

from bittensor.authorization.former_limits import require_use as required_before
from strongroom.bittensor.authorization.key_use import KeyUse, call_use, imagined_use
from strongroom.bittensor.authorization.limits import READ, SIGN, SUBMIT
from strongroom.bittensor.authorization.token_rules import require_use, token_rules
from strongroom.bittensor.keystore.names import HotkeyNames, Signer
from strongroom.bittensor.protocol.call_reach import reach_of
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom.core.errors import Forbidden
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.trail import open_trail

pytestmark = pytest.mark.anyio
KEYS = [bytes([number]) * 32 for number in range(3)]
ADDRESSES = [encode_address(key) for key in KEYS]
NAMES = HotkeyNames(names={ADDRESSES[0]: "default", ADDRESSES[1]: "second"})
CALLS = [
    "SubtensorModule.set_weights",
    "SubtensorModule.serve_axon",
    "SubtensorModule.add_stake",
    "SubtensorModule.move_stake",
    "SubtensorModule.unstake_all",
    "SubtensorModule.burned_register",
    "Balances.transfer_keep_alive",
    "Balances.transfer_all",
    "Commitments.set_commitment",
    "Utility.batch",
]


def some(random: Random, values: Sequence[object]) -> list[object]:
    return random.sample(list(values), random.randrange(len(values) + 1))


def limits_as_stored(random: Random) -> str:
    """A document as it stands in the row of a token: most limits are missing."""
    chosen = {
        "wallets": ["validator"],
        "hotkeys": some(random, ["default", "second"]),
        "netuids": some(random, [0, 1, 2]),
        "most_rao": random.randrange(10),
        "destinations": some(random, ADDRESSES),
        "any_text": True,
        "requests_a_minute": 60,
        "networks": ["10.0.0.0/8"],
    }
    document: dict[str, object] = {name: each for name, each in chosen.items() if random.random() < 0.3}
    if random.random() < 0.9:
        document["calls"] = ["weights", *CALLS] if random.random() < 0.7 else some(random, CALLS)
    return json.dumps(document | {"coldkey": random.random() < 0.8})


def some_call(random: Random) -> Call:
    pallet, _, function = random.choice(CALLS).partition(".")
    key, other = random.choices(KEYS, k=2)
    netuid = random.randrange(3)
    arguments: dict[str, object] = {"netuid": netuid}
    if pallet == "Balances":
        arguments = {"dest": key, "value": random.randrange(12)}
    elif function == "set_weights":
        arguments |= {"dests": [0], "weights": [1], "version_key": 0}
    elif function == "add_stake":
        arguments |= {"hotkey": key, "amount_staked": random.randrange(12)}
    elif function == "move_stake":
        arguments = {"origin_hotkey": key, "destination_hotkey": other}
        arguments |= {"origin_netuid": netuid, "destination_netuid": random.randrange(3)}
    elif function == "unstake_all":
        arguments = {"hotkey": key}
    elif function == "burned_register":
        arguments |= {"hotkey": key}
    return Call(pallet=pallet, function=function, arguments=arguments)


def decided_before(principal: Principal, signer: Signer, call: Call) -> None:
    reach = reach_of(call)
    for netuid in reach.netuids or (None,):
        required_before(
            principal,
            SUBMIT,
            wallet=signer.wallet,
            hotkey=signer.hotkey,
            netuid=netuid,
            call=call.name,
            coldkey=signer.coldkey,
            amount_rao=reach.amount_rao,
            destination=reach.destination,
        )
    limited = "hotkeys" in json.loads(principal.limits)
    if limited and any(NAMES.names.get(each) != signer.hotkey for each in reach.hotkeys):
        raise Forbidden("another hotkey", code="hotkey_not_allowed")


def refusal(decide: object) -> str | None:
    assert callable(decide)
    try:
        decide()
    except Forbidden as error:
        return error.instance_code
    return None


def test_no_token_gains_or_loses_a_right() -> None:
    random = Random(11)
    allowed = 0
    for _ in range(10_000):
        scopes = frozenset(random.choice([(SUBMIT,), ("bittensor:*",), ("*",), (READ, SIGN), ("atto:*",)]))
        principal = Principal(name="token:t", scopes=scopes, limits=limits_as_stored(random))
        signer = Signer(
            wallet=random.choice(["validator", "validator", "other"]),
            hotkey=random.choice(["default", "second"]),
            coldkey=random.random() < 0.7,
        )
        call = some_call(random)
        before = refusal(partial(decided_before, principal, signer, call))
        use = call_use(principal, SUBMIT, signer, call, names=NAMES)
        now = refusal(partial(require_use, use))
        assert (now is None) is (before is None), (principal, signer, call, before, now)
        # Where two limits refuse, the code is that of the first, and the order of these two is another.
        if len(reach_of(call).netuids) < 2 and "hotkey_not_allowed" not in {before, now}:
            assert now == before, (principal, signer, call)
        allowed += now is None
    assert 1_000 < allowed < 9_000


async def test_a_token_s_limits_are_decided_in_the_transaction_that_signs(
    database: Database, clock: ManualClock
) -> None:
    """Whatever a surface asked before."""
    guard = Guard(clock, Default.ALLOW, token_rules, key=open_trail())
    call = Call(pallet="SubtensorModule", function="serve_axon", arguments={"netuid": 2})
    signer = Signer(wallet="validator", hotkey="default", coldkey=False)

    def by(limits: str) -> KeyUse:
        principal = Principal(name="token:t", scopes=frozenset({SUBMIT}), limits=limits)
        return call_use(principal, SUBMIT, signer, call, names=NAMES)

    for limits, code in (
        ("", "call_not_allowed"),
        ('{"calls":["SubtensorModule.serve_axon"],"netuids":[3]}', "netuid_not_allowed"),
        ('{"unheard_of":1}', "forbidden"),
    ):
        with pytest.raises(Forbidden) as raised:
            await database.write(partial(guard.authorize, request=by(limits)))
        assert raised.value.instance_code == code
    allowed = by('{"calls":["SubtensorModule.serve_axon"],"netuids":[2]}')
    assert (await database.write(lambda connection: guard.authorize(connection, allowed))).rule is None


def test_a_question_about_a_token_is_held_to_its_limits() -> None:
    def asked(token: str | None, limits: str, **facts: str | int) -> str | None:
        question = SignatureRequest(
            principal=Principal(name="token:t", scopes=frozenset({"*"}), limits=limits, token=token),
            scope="*",
            account="",
            kind="SubtensorModule.set_weights",
            payload_hash=bytes(32),
            wallet="validator",
            facts=facts,
        )
        return refusal(lambda: require_use(imagined_use(question)))

    assert asked("1", '{"netuids":[2]}', netuid=2) is None
    assert asked("1", '{"netuids":[2]}', netuid=3) == "netuid_not_allowed"
    assert asked("1", '{"calls":[]}') == "call_not_allowed"
    assert asked("1", "", key="coldkey") == "coldkey_not_allowed"
    assert asked(None, "", key="coldkey") is None
