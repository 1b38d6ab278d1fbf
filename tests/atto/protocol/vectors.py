"""The published vectors; see tests/vectors/atto/ORIGIN.md."""

import json
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path(__file__).parents[2] / "vectors" / "atto" / "vectors.json"
VECTORS: Final[dict[str, Any]] = json.loads(_FILE.read_bytes())


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def upper_hex(value: bytes) -> str:
    return value.hex().upper()
