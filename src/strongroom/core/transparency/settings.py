"""The variables of checkpoints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.core.environment import Environment

SECONDS_VARIABLE: Final = "STRONGROOM_CHECKPOINT_SECONDS"
FILE_VARIABLE: Final = "STRONGROOM_CHECKPOINT_FILE"
DEFAULT_S: Final = 60
MAX_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSettings:
    interval_s: int = DEFAULT_S
    """0: the service makes none by itself."""
    file: Path | None = None
    """To which every checkpoint is added."""


def read_checkpoint_settings(environment: Environment) -> CheckpointSettings:
    path = environment.optional(FILE_VARIABLE)
    return CheckpointSettings(
        interval_s=environment.integer(SECONDS_VARIABLE, DEFAULT_S, high=MAX_S),
        file=None if path is None else Path(path),
    )
