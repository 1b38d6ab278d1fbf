"""Seals weights until a round of the drand beacon; then the chain opens them by itself."""

from typing import Final

import bittensor_drand

from strongroom.bittensor.protocol.weights import WeightSet
from strongroom.core.errors import Unavailable

BLOCK_S: Final = 12.0


def seal(
    weights: WeightSet, public_key: bytes, epochs: dict[str, int], block: int, block_s: float
) -> tuple[bytes, int]:
    """Returns the ciphertext and the round that opens it. Takes tens of milliseconds of processor time; uses no network.

    `epochs`: Tempo, RevealPeriodEpochs, LastEpochBlock, PendingEpochAt, SubnetEpochIndex and BlocksSinceLastStep as the
    chain has them at `block`; `block_s`: seconds from one block to the next, from which the round is computed.

    Raises:
        Unavailable: the library does not accept this.
    """
    try:
        commit, round_number = bittensor_drand.get_encrypted_commit_v2(
            list(weights.uids),
            list(weights.values),
            weights.version_key,
            epochs["LastEpochBlock"],
            epochs["PendingEpochAt"],
            epochs["SubnetEpochIndex"],
            epochs["Tempo"],
            epochs["BlocksSinceLastStep"],
            block,
            epochs["RevealPeriodEpochs"],
            block_s,
            public_key,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            f"The weights cannot be sealed ({type(error).__name__}: {error})", code="timelock_unavailable"
        ) from error
    return bytes(commit), int(round_number)
