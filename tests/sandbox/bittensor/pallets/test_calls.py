"""Serving, childkeys, takes, commitments, transfers, wrappers and settings."""

from typing import Any

import pytest

from strongroom_sandbox.bittensor.codec.runtime import Call
from strongroom_sandbox.bittensor.execution import accounts
from support.bittensor.trial import NETUID, OWNER, RAO, TEMPO, VALIDATOR, Trial, key, names

HK1, HK2 = "//Alice//hk1", "//Alice//hk2"
HALF = 1 << 63
AXON: dict[str, Any] = {
    "netuid": NETUID,
    "version": 1,
    "ip": 16909060,
    "port": 8091,
    "ip_type": 4,
    "protocol": 4,
    "placeholder1": 0,
    "placeholder2": 0,
}
PROMETHEUS = {name: AXON[name] for name in ("netuid", "version", "ip", "port", "ip_type")}


def test_an_axon_is_served(trial: Trial) -> None:
    events = trial.run(VALIDATOR, "serve_axon", **AXON)
    assert events[-1].content == (NETUID, key(VALIDATOR))
    axon = trial.get("Axons", NETUID, key(VALIDATOR))
    assert (axon["block"], axon["port"], axon["ip"]) == (trial.block, 8091, 16909060)


@pytest.mark.parametrize(
    ("change", "code", "error"),
    [
        ({"ip_type": 5}, 255, "InvalidIpType"),
        ({"ip": 0x7F000001}, 11, "InvalidIpAddress"),
        ({"ip": (1 << 32) - 1}, 11, "InvalidIpAddress"),
        ({"ip_type": 6, "ip": 1}, 11, "InvalidIpAddress"),
        ({"port": 0}, 13, "InvalidPort"),
        ({"ip": 0}, None, None),
        ({"ip_type": 6, "ip": 2}, None, None),
    ],
)
def test_an_axon_must_be_reachable(
    trial: Trial, change: dict[str, Any], code: int | None, error: str | None
) -> None:
    assert trial.refusal(VALIDATOR, "serve_axon", **(AXON | change)) == code
    assert trial.failure(VALIDATOR, "serve_axon", **(AXON | change)) == error


def test_axons_are_served_at_a_pace(trial: Trial) -> None:
    trial.run(VALIDATOR, "serve_axon", **AXON)
    assert trial.refusal(VALIDATOR, "serve_axon", **AXON) == 12
    trial.blocks(49)
    assert trial.refusal(VALIDATOR, "serve_axon", **AXON) is None
    assert trial.refusal("//Stranger", "serve_axon", **AXON) == 10


def test_an_axon_with_a_certificate(trial: Trial) -> None:
    trial.run(VALIDATOR, "serve_axon_tls", **AXON, certificate=b"\1" + b"\x22" * 32)
    found = trial.get("NeuronCertificates", NETUID, key(VALIDATOR))
    assert found == {"public_key": b"\x22" * 32, "algorithm": 1}


def test_a_certificate_of_a_wrong_length_is_passed_over(trial: Trial) -> None:
    for uri, certificate in ((VALIDATOR, b"\1"), (HK1, b"\1" * 66)):
        trial.run(uri, "serve_axon_tls", **AXON, certificate=certificate)
        assert trial.get("NeuronCertificates", NETUID, key(uri)) is None
        assert trial.get("Axons", NETUID, key(uri))["port"] == 8091
    trial.run(HK2, "serve_axon_tls", **AXON, certificate=b"\1" * 65)
    assert trial.get("NeuronCertificates", NETUID, key(HK2)) is not None


def test_prometheus_is_stricter(trial: Trial) -> None:
    trial.run(VALIDATOR, "serve_prometheus", **PROMETHEUS)
    found = trial.failure(HK1, "serve_prometheus", **(PROMETHEUS | {"ip": 0}))
    assert found == "InvalidIpAddress"
    assert trial.failure(VALIDATOR, "serve_prometheus", **PROMETHEUS) == "ServingRateLimitExceeded"
    found = trial.failure("//Stranger", "serve_prometheus", **PROMETHEUS)
    assert found == "HotKeyNotRegisteredInNetwork"


def children(*pairs: tuple[int, str], netuid: int = NETUID) -> dict[str, Any]:
    return {"hotkey": key(VALIDATOR), "netuid": netuid, "children": [(part, key(uri)) for part, uri in pairs]}


def test_children_come_with_the_next_epoch(powerful: Trial) -> None:
    powerful.node.produce(lambda ctx: ctx.put("SubtensorModule", "PendingChildKeyCooldown", value=0))
    events = powerful.run(OWNER, "set_children", **children((HALF, HK1)))
    assert names(events) == ["SubtensorModule.SetChildrenScheduled"]
    powerful.blocks(TEMPO + 1)
    assert powerful.get("ChildKeys", key(VALIDATOR), NETUID) == [(HALF, key(HK1))]
    assert powerful.get("ParentKeys", key(HK1), NETUID) == [(HALF, key(VALIDATOR))]
    powerful.blocks(TEMPO + 1)
    assert powerful.get("ValidatorPermit", NETUID)[:2] == [True, True]


def test_the_checks_of_children(powerful: Trial) -> None:
    def failure(uri: str, **arguments: Any) -> str | None:
        return powerful.failure(uri, "set_children", **arguments)

    many = [(1, f"//Child{letter}") for letter in "abcdef"]
    assert failure(OWNER, **children((1, HK1), netuid=0)) == "RegistrationNotPermittedOnRootSubnet"
    assert failure("//Bob", **children((1, HK1))) == "NonAssociatedColdKey"
    assert failure(OWNER, **children(*many)) == "TooManyChildren"
    assert failure(OWNER, **children((1, VALIDATOR))) == "InvalidChild"
    assert failure(OWNER, **children((HALF, HK1), (HALF, HK2))) == "ProportionOverflow"
    assert failure(OWNER, **children((1, HK1), (1, HK1))) == "DuplicateChild"
    powerful.run(OWNER, "set_children", **children((1, HK1)))
    assert failure(OWNER, **children((1, HK2))) == "TxRateLimitExceeded"
    powerful.admin("stake_threshold", 10**18)
    poor = children((1, HK2)) | {"hotkey": key(HK1)}
    assert failure(OWNER, **poor) == "NotEnoughStakeToSetChildkeys"


def test_takes_rise_slowly_and_fall_freely(trial: Trial) -> None:
    take = {"hotkey": key(VALIDATOR), "take": 9000}
    assert names(trial.run(OWNER, "increase_take", **take)) == ["SubtensorModule.TakeIncreased"]
    assert trial.failure(OWNER, "increase_take", **take) == "DelegateTakeTooLow"
    assert trial.failure(OWNER, "increase_take", **(take | {"take": 9001})) == "DelegateTxRateLimitExceeded"
    assert trial.failure(OWNER, "increase_take", **(take | {"take": 60000})) == "DelegateTakeTooHigh"
    assert trial.failure("//Bob", "decrease_take", **take) == "NonAssociatedColdKey"
    assert trial.failure(OWNER, "decrease_take", hotkey=key("//No"), take=1) == "HotKeyAccountNotExists"
    lower = take | {"take": 6000}
    assert names(trial.run(OWNER, "decrease_take", **lower)) == ["SubtensorModule.TakeDecreased"]
    assert trial.get("Delegates", key(VALIDATOR)) == 6000


def test_the_take_of_children(trial: Trial) -> None:
    take = {"hotkey": key(VALIDATOR), "netuid": NETUID, "take": 1000}
    trial.run(OWNER, "set_childkey_take", **take)
    assert trial.get("ChildkeyTake", key(VALIDATOR), NETUID) == 1000
    assert trial.failure(OWNER, "set_childkey_take", **(take | {"take": 65535})) == "InvalidChildkeyTake"
    higher = trial.failure(OWNER, "set_childkey_take", **(take | {"take": 1001}))
    assert higher == "TxChildkeyTakeRateLimitExceeded"
    assert trial.failure("//Bob", "set_childkey_take", **take) == "NonAssociatedColdKey"


def commitment(content: bytes, netuid: int = NETUID) -> dict[str, Any]:
    return {"netuid": netuid, "info": {"fields": [(f"Raw{len(content)}", content)]}}


def test_a_neuron_publishes(trial: Trial) -> None:
    events = trial.run(VALIDATOR, "set_commitment", "Commitments", **commitment(b"hello"))
    assert names(events) == ["Commitments.Commitment"]
    stored = trial.get("CommitmentOf", NETUID, key(VALIDATOR), pallet="Commitments")
    assert stored["block"] == trial.block
    assert stored["info"]["fields"] == [("Raw5", b"hello")]
    found = trial.failure("//Stranger", "set_commitment", "Commitments", **commitment(b"hello"))
    assert found == "AccountNotAllowedCommit"


def test_a_neuron_may_publish_so_much_in_an_epoch(trial: Trial) -> None:
    trial.node.produce(lambda ctx: ctx.put("Commitments", "MaxSpace", value=150))
    trial.run(VALIDATOR, "set_commitment", "Commitments", **commitment(b"hello"))
    full = trial.failure(VALIDATOR, "set_commitment", "Commitments", **commitment(b"again"))
    assert full == "SpaceLimitExceeded"


def transfer(uri: str, value: int) -> dict[str, Any]:
    return {"dest": ("Id", key(uri)), "value": value}


def free(trial: Trial, uri: str) -> int:
    return accounts.free(trial.node.chain.storage, key(uri))


def test_transfers(trial: Trial) -> None:
    events = trial.run("//Dave", "transfer_keep_alive", "Balances", **transfer("//New", RAO))
    assert names(events) == ["System.NewAccount", "Balances.Endowed", "Balances.Transfer"]
    failure = trial.failure
    assert (
        failure("//New", "transfer_keep_alive", "Balances", **transfer("//Dave", 2 * RAO))
        == "FundsUnavailable"
    )
    assert failure("//New", "transfer_keep_alive", "Balances", **transfer("//Dave", RAO)) == "NotExpendable"
    assert failure("//New", "transfer_keep_alive", "Balances", **transfer("//Other", 499)) == "BelowMinimum"
    events = trial.run("//New", "transfer_all", "Balances", dest=("Id", key("//Dave")), keep_alive=False)
    assert "System.KilledAccount" in names(events)
    assert free(trial, "//New") == 0
    trial.run("//Dave", "transfer_all", "Balances", dest=("Id", key("//Eve")), keep_alive=True)
    assert free(trial, "//Dave") == 500
    other = {"dest": ("Index", ()), "value": RAO}
    assert failure("//Eve", "transfer_keep_alive", "Balances", **other) == "CannotLookup"


def test_identities(trial: Trial) -> None:
    fields = ("name", "url", "github_repo", "image", "discord", "description", "additional")
    identity = dict.fromkeys(fields, b"x")
    assert names(trial.run(OWNER, "set_identity", **identity)) == ["SubtensorModule.ChainIdentitySet"]
    assert trial.get("IdentitiesV2", key(OWNER)) == identity
    assert trial.failure("//Bob", "set_identity", **identity) == "HotKeyNotRegisteredInNetwork"
    long = identity | {"name": b"x" * 257}
    assert trial.failure(OWNER, "set_identity", **long) == "InvalidIdentity"
    subnet = {
        **dict.fromkeys(("subnet_name", "github_repo", "subnet_contact", "subnet_url"), b"y"),
        **dict.fromkeys(("discord", "description", "logo_url", "additional"), b"y"),
    }
    assert trial.failure("//Bob", "set_subnet_identity", netuid=NETUID, **subnet) == "NotSubnetOwner"
    trial.run(OWNER, "set_subnet_identity", netuid=NETUID, **subnet)
    assert trial.api("SubnetInfoRuntimeApi_get_metagraph", NETUID)["name"] == list(b"y")


def test_the_newer_runtime_checks_inside_wrappers_first(powerful: Trial) -> None:
    """A root weight is wrong on both; 424 sees before that that there is too little stake."""
    powerful.admin("stake_threshold", 10**18)
    powerful.node.produce(
        lambda ctx: ctx.put("SubtensorModule", "CommitRevealWeightsEnabled", 0, value=False)
    )
    weights = {"netuid": 0, "dests": [1], "weights": [1], "version_key": 0}
    calls = values(powerful, Call("SubtensorModule", "set_weights", weights))
    found = powerful.failure(VALIDATOR, "batch_all", "Utility", calls=calls)
    wanted = {293: "CanNotSetRootNetworkWeights", 424: "NotEnoughStakeToSetWeights"}
    assert found == wanted[powerful.spec_version]


def values(trial: Trial, *calls: Call) -> list[Any]:
    return [trial.node.chain.runtime.value_of(call) for call in calls]


def test_batches_differ_in_what_a_failure_does(trial: Trial) -> None:
    good = Call("Balances", "transfer_keep_alive", transfer("//Eve", RAO))
    bad = Call("Balances", "transfer_keep_alive", transfer("//Eve", 10**18))
    calls = values(trial, good, bad, good)
    before = free(trial, "//Eve")
    assert trial.failure("//Dave", "batch_all", "Utility", calls=calls) == "FundsUnavailable"
    events = trial.run("//Dave", "batch", "Utility", calls=calls)
    assert names(events)[-1] == "Utility.BatchInterrupted"
    assert free(trial, "//Eve") == before + RAO
    events = trial.run("//Dave", "force_batch", "Utility", calls=calls)
    assert names(events)[-1] == "Utility.BatchCompletedWithErrors"
    assert names(events).count("Utility.ItemFailed") == 1
    assert free(trial, "//Eve") == before + 3 * RAO
    events = trial.run("//Dave", "batch_all", "Utility", calls=values(trial, good))
    assert names(events)[-1] == "Utility.BatchCompleted"


def test_sudo_is_for_one_key(trial: Trial) -> None:
    (setting,) = values(trial, trial.setting("tx_rate_limit", 7))
    assert trial.failure("//Bob", "sudo", "Sudo", call=setting) == "RequireSudo"
    events = trial.run(OWNER, "sudo", "Sudo", call=setting)
    assert events[-1].content == {"sudo_result": ("Ok", ())}
    assert trial.get("TxRateLimit") == 7
    (wrong,) = values(trial, trial.setting("tempo", 7, netuid=77))
    events = trial.run(OWNER, "sudo", "Sudo", call=wrong)
    assert events[-1].content["sudo_result"][0] == "Err"


def test_a_proxy_may_stake_but_not_transfer(powerful: Trial) -> None:
    bob = {"delegate": ("Id", key("//Bob")), "proxy_type": "NonTransfer", "delay": 0}
    events = powerful.run(OWNER, "add_proxy", "Proxy", **bob)
    assert names(events) == ["Balances.Reserved", "Proxy.ProxyAdded"]
    stake, pay = values(
        powerful,
        Call("SubtensorModule", "add_stake",
             {"hotkey": key(VALIDATOR), "netuid": NETUID, "amount_staked": RAO}),
        Call("Balances", "transfer_keep_alive", transfer("//Bob", RAO)),
    )  # fmt: skip
    real = {"real": ("Id", key(OWNER)), "force_proxy_type": None}
    events = powerful.run("//Bob", "proxy", "Proxy", **real, call=stake)
    assert events[-1].content == {"result": ("Ok", ())}
    events = powerful.run("//Bob", "proxy", "Proxy", **real, call=pay)
    kind, error = events[-1].content["result"]
    assert (kind, error[1]["index"]) == ("Err", 0)
    assert powerful.failure("//Eve", "proxy", "Proxy", **real, call=stake) == "NotProxy"
    assert powerful.failure(OWNER, "add_proxy", "Proxy", **bob) == "Duplicate"
    before = free(powerful, OWNER)
    powerful.run(OWNER, "remove_proxy", "Proxy", **bob)
    assert free(powerful, OWNER) == before + 93_000_000


def test_settings_are_for_root_and_some_for_the_owner(trial: Trial) -> None:
    key_7 = {"netuid": NETUID, "weights_version_key": 7}
    assert trial.failure("//Bob", "sudo_set_weights_version_key", "AdminUtils", **key_7) == "BadOrigin"
    assert trial.failure(OWNER, "sudo_set_weights_version_key", "AdminUtils", **key_7) is None
    tempo = {"netuid": NETUID, "tempo": 7}
    assert trial.failure(OWNER, "sudo_set_tempo", "AdminUtils", **tempo) == "BadOrigin"


def test_only_a_block_sets_the_time(trial: Trial) -> None:
    assert trial.failure(OWNER, "set", "Timestamp", now=1) == "BadOrigin"
    assert trial.failure(OWNER, "remark", "System", remark=b"x") is None
    assert trial.failure(OWNER, "kill_storage", "System", keys=[]) == "Other"
