"""Describes calls by pallet, function and the arguments that the metadata names. An account is 32 bytes."""

from dataclasses import dataclass, field
from typing import Any, Final

from strongroom.bittensor.protocol.weights import WeightSet

SUBTENSOR: Final = "SubtensorModule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. Only encoding it shows whether the chain has it with these arguments."""

    pallet: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name with the pallet, for example `SubtensorModule.set_weights`."""
        return f"{self.pallet}.{self.function}"


def set_weights(netuid: int, weights: WeightSet) -> Call:
    return _subtensor("set_weights", {"netuid": netuid, **_plain(weights)})


def set_mechanism_weights(netuid: int, mechid: int, weights: WeightSet) -> Call:
    return _subtensor("set_mechanism_weights", {"netuid": netuid, "mecid": mechid, **_plain(weights)})


def commit_weights(netuid: int, commit_hash: bytes) -> Call:
    return _subtensor("commit_weights", {"netuid": netuid, "commit_hash": commit_hash})


def commit_mechanism_weights(netuid: int, mechid: int, commit_hash: bytes) -> Call:
    arguments = {"netuid": netuid, "mecid": mechid, "commit_hash": commit_hash}
    return _subtensor("commit_mechanism_weights", arguments)


def reveal_weights(netuid: int, weights: WeightSet, salt: list[int]) -> Call:
    return _subtensor("reveal_weights", {"netuid": netuid, **_revealed(weights, salt)})


def reveal_mechanism_weights(netuid: int, mechid: int, weights: WeightSet, salt: list[int]) -> Call:
    arguments = {"netuid": netuid, "mecid": mechid, **_revealed(weights, salt)}
    return _subtensor("reveal_mechanism_weights", arguments)


def commit_timelocked_mechanism_weights(
    netuid: int, mechid: int, commit: bytes, reveal_round: int, version: int
) -> Call:
    return _subtensor(
        "commit_timelocked_mechanism_weights",
        {
            "netuid": netuid,
            "mecid": mechid,
            "commit": commit,
            "reveal_round": reveal_round,
            "commit_reveal_version": version,
        },
    )


def _subtensor(function: str, arguments: dict[str, Any]) -> Call:
    return Call(pallet=SUBTENSOR, function=function, arguments=arguments)


def _plain(weights: WeightSet) -> dict[str, Any]:
    return {
        "dests": list(weights.uids),
        "weights": list(weights.values),
        "version_key": weights.version_key,
    }


def _revealed(weights: WeightSet, salt: list[int]) -> dict[str, Any]:
    return {
        "uids": list(weights.uids),
        "values": list(weights.values),
        "salt": salt,
        "version_key": weights.version_key,
    }
