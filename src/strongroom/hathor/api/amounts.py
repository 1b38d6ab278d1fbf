"""Exact amounts for clients whose JSON numbers are floats: as decimal strings, all or those above 2^53 - 1.

Asked for with the header `strongroom-amounts` or the query key `amounts`; the original knows numbers alone.
"""

import enum
import json
from typing import Any

from litestar import Request

from strongroom.hathor.api.validation import MAX_SAFE, Problem, invalid_payload

HEADER = "strongroom-amounts"
QUERY_KEY = "amounts"
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

    @classmethod
    def of(cls, request: Request[Any, Any, Any]) -> "AmountForm":
        """What the request asks for, or else the service's form (`amounts` of the application). Raises: Refusal."""
        asked = [
            value
            for value in (request.headers.get(HEADER), request.query_params.get(QUERY_KEY))
            if value is not None
        ]
        if any(value not in set(cls) for value in asked):
            message = f'"{QUERY_KEY}" must be one of [{", ".join(cls)}]'
            raise invalid_payload([Problem(message=message, path=(QUERY_KEY,))])
        return cls(asked[0] if asked else request.app.state.amounts)

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
