"""What a log says that somebody would be woken for."""

from collections.abc import Iterable, Mapping
from typing import Any

LEVELS = {"warning", "error", "critical"}


def alarms(logs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The alarms among captured logs; that a busy machine lost a lease is left out."""
    return [each for each in logs if each["log_level"] in LEVELS and not each["event"].startswith("lease ")]
