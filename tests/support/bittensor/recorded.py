"""What a chain with the real runtime 293 answered: steps in order, read once."""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

VECTORS = Path(__file__).parents[2] / "vectors" / "bittensor"


@cache
def recorded_steps() -> list[dict[str, Any]]:
    recording: dict[str, Any] = msgspec.json.decode((VECTORS / "extrinsics.json").read_bytes())
    found: list[dict[str, Any]] = recording["steps"]
    return found


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
