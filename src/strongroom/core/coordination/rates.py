"""How many requests a token may make."""

import re
from dataclasses import dataclass

from strongroom.core.errors import InvalidInput

UNITS_S = {"s": 1, "min": 60, "h": 3600}
MAX_REQUESTS = 1_000_000
CODE = "rate_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`requests` at once, and as many in every `seconds` on average."""

    requests: int
    seconds: int

    def is_within(self, other: "Rate") -> bool:
        """Whether it lets pass no more than the other, neither at once nor on average."""
        return (
            self.requests <= other.requests and self.requests * other.seconds <= other.requests * self.seconds
        )

    def __str__(self) -> str:
        unit = next(
            (name for name, seconds in UNITS_S.items() if seconds == self.seconds), f"{self.seconds}s"
        )
        return f"{self.requests}/{unit}"


def parse_rate(text: str) -> Rate:
    """Parses `60/min`, `5/s` or `1000/h`; a number alone is requests a minute.

    Raises:
        InvalidInput: it is none of these.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,6})(?:/(s|min|h))?", text.strip())
    if found is None or int(found[1]) > MAX_REQUESTS:
        raise InvalidInput(
            f"A rate looks like 60/min, 5/s or 1000/h, with 1 to {MAX_REQUESTS} requests, not {text!r}",
            code=CODE,
        )
    return Rate(requests=int(found[1]), seconds=UNITS_S[found[2] or "min"])
