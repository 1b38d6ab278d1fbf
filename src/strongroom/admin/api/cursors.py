"""Where a reader of payments is: after which payment of each ledger.

It names payments and not a number of them, so pages neither repeat nor miss one while others are added.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated

import msgspec

from strongroom.core.errors import InvalidInput
from strongroom.core.intents.payments import ID_BYTES, Position
from strongroom.core.json_decoder import decode_json

MAX_CURSOR = 4_096
_Row = tuple[Annotated[int, msgspec.Meta(ge=0, le=2**62)], str]


def encode_cursor(positions: Mapping[str, Position]) -> str:
    rows = {name: (one.created_at_ms, one.id.hex()) for name, one in positions.items()}
    return base64.urlsafe_b64encode(msgspec.json.encode(rows)).decode().rstrip("=")


def decode_cursor(text: str | None) -> dict[str, Position]:
    """Raises: InvalidInput: this API gave no such cursor."""
    if text is None:
        return {}
    try:
        raw = base64.b64decode(text[:MAX_CURSOR] + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        rows = decode_json(raw, dict[str, _Row])
        found = {
            name: Position(created_at_ms=at_ms, id=bytes.fromhex(last))
            for name, (at_ms, last) in rows.items()
        }
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        found = {}
    if not found or any(len(one.id) != ID_BYTES for one in found.values()):
        raise InvalidInput("This is no cursor of this API", code="invalid_cursor")
    return found
