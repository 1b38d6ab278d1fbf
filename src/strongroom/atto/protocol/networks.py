"""The networks, and the constants that all of them share."""

from enum import IntEnum
from typing import Final, Self

from strongroom.atto.protocol.errors import InvalidNetwork

RAW_PER_ATTO: Final = 10**9
MAX_SUPPLY_RAW: Final = 18_000_000_000 * RAW_PER_ATTO
MAX_VERSION: Final = 0
"""The highest block version in force."""
ALGORITHM_V1: Final = 0
"""The byte that stands for BLAKE2b with Ed25519, the only algorithm so far."""
MAX_KEY_INDEX: Final = 2**31 - 1
"""Highest index of a hardened SLIP-0010 child."""
U16_MAX: Final = 2**16 - 1
U64_MAX: Final = 2**64 - 1
I64_MAX: Final = 2**63 - 1


class Network(IntEnum):
    """A network. Its value is the byte in a block, its name the form in JSON."""

    LIVE = 0
    BETA = 1
    DEV = 2
    LOCAL = 3

    @classmethod
    def parse(cls, text: str) -> Self:
        """The network of this name, in upper or lower case.

        Raises:
            InvalidNetwork: no network has this name.
        """
        try:
            return cls[text.upper()]
        except KeyError:
            raise InvalidNetwork("Unknown network, expected LIVE, BETA, DEV or LOCAL") from None
