"""Proxies: their filters inside batches and other proxies, what they may give away, and their delays."""

from typing import Any

from strongroom_sandbox.bittensor.codec.hashers import blake2_256
from strongroom_sandbox.bittensor.codec.runtime import Call
from strongroom_sandbox.bittensor.execution import accounts
from support.bittensor.trial import NETUID, OWNER, RAO, VALIDATOR, Trial, key, names

BOB, EVE = "//Bob", "//Eve"
STAKE = Call(
    "SubtensorModule", "add_stake", {"hotkey": key(VALIDATOR), "netuid": NETUID, "amount_staked": RAO}
)
PAY = Call("Balances", "transfer_keep_alive", {"dest": ("Id", key(BOB)), "value": RAO})


def relation(uri: str, kind: str, delay: int = 0) -> dict[str, Any]:
    return {"delegate": ("Id", key(uri)), "proxy_type": kind, "delay": delay}


def as_proxy(trial: Trial, inner: Call, real: str = OWNER, kind: str | None = None) -> dict[str, Any]:
    value = trial.node.chain.runtime.value_of(inner)
    return {"real": ("Id", key(real)), "force_proxy_type": kind, "call": value}


def batch(trial: Trial, *calls: Call) -> Call:
    return Call("Utility", "batch_all", {"calls": [trial.node.chain.runtime.value_of(one) for one in calls]})


def result(trial: Trial, inner: Call, kind: str | None = None) -> str:
    """What became of a call that Bob makes for the owner: `Ok`, or the error's name."""
    told = trial.run(BOB, "proxy", "Proxy", **as_proxy(trial, inner, kind=kind))[-1].content["result"]
    if told[0] == "Ok":
        return "Ok"
    if told[1][0] != "Module":
        return str(told[1][0])
    index, number = told[1][1]["index"], told[1][1]["error"][0]
    runtime = trial.node.chain.runtime
    pallet = next(one for one in runtime.pallets.values() if one.index == index)
    assert pallet.errors is not None
    return next(one.name for one in runtime.types.variants(pallet.errors) if one.index == number)


def test_the_filter_holds_inside_a_batch(powerful: Trial) -> None:
    powerful.run(OWNER, "add_proxy", "Proxy", **relation(BOB, "NonTransfer"))
    assert result(powerful, PAY) == "CallFiltered"
    assert result(powerful, batch(powerful, PAY)) == "CallFiltered"
    assert result(powerful, batch(powerful, STAKE)) == "Ok"
    assert result(powerful, batch(powerful, batch(powerful, STAKE))) == "CallFiltered"
    powerful.run(OWNER, "add_proxy", "Proxy", **relation(BOB, "Staking"))
    assert result(powerful, batch(powerful, STAKE), kind="Staking") == "CallFiltered"
    assert result(powerful, STAKE, kind="Staking") == "Ok"
    wrong = as_proxy(powerful, STAKE, kind="Any")
    assert powerful.failure(BOB, "proxy", "Proxy", **wrong) == "NotProxy"


def test_a_proxy_gives_away_no_more_than_it_has(powerful: Trial) -> None:
    powerful.run(OWNER, "add_proxy", "Proxy", **relation(BOB, "NonTransfer"))
    for kind, outcome in (("Staking", "Ok"), ("Transfer", "CallFiltered"), ("Any", "CallFiltered")):
        assert result(powerful, Call("Proxy", "add_proxy", relation(EVE, kind))) == outcome
    assert result(powerful, Call("Proxy", "remove_proxies", {})) == "CallFiltered"
    before = accounts.account(powerful.node.chain.storage, key(OWNER))["data"]["reserved"]
    powerful.run(OWNER, "remove_proxies", "Proxy")
    assert (
        accounts.account(powerful.node.chain.storage, key(OWNER))["data"]["reserved"] == before - 126_000_000
    )
    assert powerful.failure(BOB, "proxy", "Proxy", **as_proxy(powerful, STAKE)) == "NotProxy"


def test_with_a_delay_a_call_is_announced_first(powerful: Trial) -> None:
    powerful.run(OWNER, "add_proxy", "Proxy", **relation(BOB, "Staking", delay=5))
    assert powerful.failure(BOB, "proxy", "Proxy", **as_proxy(powerful, STAKE)) == "Unannounced"
    announced = {
        "real": ("Id", key(OWNER)),
        "call_hash": blake2_256(powerful.node.chain.runtime.encode_call(STAKE)),
    }
    assert powerful.failure(EVE, "announce", "Proxy", **announced) == "NotProxy"
    events = powerful.run(BOB, "announce", "Proxy", **announced)
    assert names(events) == ["Balances.Reserved", "Proxy.Announced"]
    made = as_proxy(powerful, STAKE) | {"delegate": ("Id", key(BOB))}
    assert powerful.failure(EVE, "proxy_announced", "Proxy", **made) == "Unannounced"
    powerful.blocks(5)
    assert powerful.run(EVE, "proxy_announced", "Proxy", **made)[-1].content == {"result": ("Ok", ())}
    assert powerful.failure(EVE, "proxy_announced", "Proxy", **made) == "Unannounced"
    powerful.run(BOB, "announce", "Proxy", **announced)
    rejected = {"delegate": ("Id", key(BOB)), "call_hash": announced["call_hash"]}
    assert names(powerful.run(OWNER, "reject_announcement", "Proxy", **rejected)) == ["Balances.Unreserved"]
    assert powerful.failure(BOB, "remove_announcement", "Proxy", **announced) == "NotFound"
