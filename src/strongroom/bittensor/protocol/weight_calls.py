"""Reads the weights in a call that a client has built."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from strongroom.bittensor.protocol.calls import SUBTENSOR, Call
from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.weights import WeightSet, weight_set

PLAIN: Final = frozenset({"set_weights", "set_mechanism_weights", "batch_set_weights"})
"""These set weights in the clear; the chain accepts them only in subnets without commit-reveal."""
REVEALING: Final = frozenset({"reveal_weights", "reveal_mechanism_weights", "batch_reveal_weights"})
COMMITTING: Final = frozenset(
    {
        "commit_weights",
        "commit_mechanism_weights",
        "batch_commit_weights",
        "commit_crv3_weights",
        "commit_crv3_mechanism_weights",
        "commit_timelocked_weights",
        "commit_timelocked_mechanism_weights",
    }
)
"""These hide the weights; the chain learns them at the reveal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightCall:
    """What a call sets in one subnet."""

    netuid: int
    mechid: int
    is_plain: bool
    weights: WeightSet | None
    """None: the call hides them."""


def weights_in(call: Call, *, may_be_zero: bool) -> list[WeightCall]:
    """Returns the weights that a call sets, for each subnet; an empty list for a call that sets none.

    Raises:
        AllZero: the weights of a subnet are all zero, and they may not be.
        ProtocolError: the chain would refuse the weights, or the arguments do not fit the call.
    """
    if call.pallet != SUBTENSOR or call.function not in PLAIN | REVEALING | COMMITTING:
        return []
    try:
        return [
            WeightCall(
                netuid=netuid,
                mechid=call.arguments.get("mecid", 0),
                is_plain=call.function in PLAIN,
                weights=None if row is None else weight_set(*row, may_be_zero=may_be_zero),
            )
            for netuid, row in _rows(call)
        ]
    except ProtocolError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"The arguments of {call.name} are none") from error


Row = tuple[Sequence[int], Sequence[int], int]


def _rows(call: Call) -> list[tuple[int, Row | None]]:
    given: dict[str, Any] = call.arguments
    match call.function:
        case "set_weights" | "set_mechanism_weights":
            return [(given["netuid"], (given["dests"], given["weights"], given["version_key"]))]
        case "reveal_weights" | "reveal_mechanism_weights":
            return [(given["netuid"], (given["uids"], given["values"], given["version_key"]))]
        case "batch_set_weights":
            rows = zip(given["netuids"], given["weights"], given["version_keys"], strict=True)
            return [
                (netuid, ([uid for uid, _ in pairs], [value for _, value in pairs], version_key))
                for netuid, pairs, version_key in rows
            ]
        case "batch_reveal_weights":
            lists = zip(given["uids_list"], given["values_list"], given["version_keys"], strict=True)
            return [(given["netuid"], row) for row in lists]
        case "batch_commit_weights":
            return [(netuid, None) for netuid in given["netuids"]]
    return [(given["netuid"], None)]
