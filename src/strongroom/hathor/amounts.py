"""Exact amounts for clients whose JSON numbers are floats: as decimal strings, all or those above 2^53 - 1.

The settings know the forms too, and `api.amounts` what a request asks for: this module loads nothing of either.
"""

import enum
import json
from typing import Any

MAX_SAFE = 2**53 - 1
"""The largest integer that a float holds exactly, as do all smaller ones."""
AMOUNTS = frozenset(
    {
        "balance",
        "unlocked",
        "locked",
        "transparent",
        "shielded",
        "total",
        "totalSupply",
        "value",
    }
)
"""Keys that hold an amount wherever they hold a whole number."""


class AmountForm(enum.StrEnum):
    NUMBER = "number"
    SAFE = "safe"
    """A string above 2^53 - 1 and below its negative."""
    STRING = "string"

    def applied(self, document: Any) -> Any:
        """The document, its amounts in this form."""
        if self is AmountForm.NUMBER:
            return document
        if isinstance(document, list):
            return [self.applied(item) for item in document]
        if isinstance(document, dict):
            return {key: self._value(key, value) for key, value in document.items()}
        return document

    def rewritten(self, body: bytes) -> bytes:
        """The same for JSON text."""
        document = json.loads(body)  # noqa: TID251 - ours, or the node's that was checked; integers have no end here
        return json.dumps(self.applied(document), separators=(",", ":"), ensure_ascii=False).encode()

    def _value(self, key: str, value: Any) -> Any:
        if key not in AMOUNTS or type(value) is not int:  # a bool is no amount
            return self.applied(value)
        return str(value) if self is AmountForm.STRING or abs(value) > MAX_SAFE else value
