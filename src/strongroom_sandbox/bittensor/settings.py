"""The settings of the sandbox chain, read from variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from strongroom.core.environment import Environment
from strongroom_sandbox.bittensor.codec.runtime import SPECS

BLOCK_MS = 1_000


@dataclass(frozen=True, slots=True)
class ChainSettings:
    spec_version: int
    interval_ms: int
    """0: a block for every extrinsic at once."""


def read_chain_settings(variables: Mapping[str, str]) -> ChainSettings:
    """Raises: SettingsError."""
    environment = Environment(variables)
    settings = ChainSettings(
        environment.parsed(
            "SANDBOX_BITTENSOR_SPEC",
            environment.text("SANDBOX_BITTENSOR_SPEC", str(SPECS[-1])),
            _spec,
            SPECS[-1],
        ),
        environment.integer("SANDBOX_BITTENSOR_BLOCK_MS", BLOCK_MS, low=0),
    )
    environment.raise_mistakes()
    return settings


def _spec(text: str) -> int:
    if text not in map(str, SPECS):
        raise ValueError(f"must be {' or '.join(map(str, SPECS))}, not {text!r}")
    return int(text)
