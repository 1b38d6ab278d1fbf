"""Where a reader is: after which payment, wallet or row of the audit trail of each ledger.

A cursor names what was read last and not a number of things, so pages neither repeat nor miss one while others are added.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from strongroom.core.errors import InvalidInput
from strongroom.core.intents.payments import ID_BYTES, Position
from strongroom.core.json_decoder import decode_json

MAX_CURSOR = 4_096
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Row = tuple[_Number, str]


def encode_cursor(positions: Mapping[str, Position]) -> str:
    return _encode({name: (one.created_at_ms, one.id.hex()) for name, one in positions.items()})


def decode_cursor(text: str | None) -> dict[str, Position]:
    """Raises: InvalidInput: this API gave no such cursor."""
    try:
        found = {
            name: Position(created_at_ms=at_ms, id=bytes.fromhex(last))
            for name, (at_ms, last) in _decode(text, _Row).items()
        }
    except ValueError:
        raise no_cursor() from None
    if any(len(one.id) != ID_BYTES for one in found.values()):
        raise no_cursor()
    return found


def encode_numbers(positions: Mapping[str, int]) -> str:
    return _encode(positions)


def decode_numbers(text: str | None) -> dict[str, int]:
    """Raises: InvalidInput: this API gave no such cursor."""
    return _decode(text, _Number)


def encode_places(places: Mapping[str, str]) -> str:
    """Of lists whose places each ledger writes in a form of its own."""
    return _encode(places)


def decode_places(text: str | None) -> dict[str, str]:
    """Raises: InvalidInput: this API gave no such cursor."""
    return _decode(text, str)


def no_cursor() -> InvalidInput:
    return InvalidInput("This is no cursor of this API", code="invalid_cursor")


def _encode(rows: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(rows)).decode().rstrip("=")


def _decode(text: str | None, kind: Any) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        raw = base64.b64decode(text[:MAX_CURSOR] + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found: dict[str, Any] = decode_json(raw, dict[str, kind])
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        found = {}
    if not found:
        raise no_cursor()
    return found
