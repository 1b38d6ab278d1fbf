"""Calls whose arguments are numbers and lists of numbers, encoded without the general codec: 256 weights in microseconds."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from strongroom.bittensor.gateway import CallUnknown
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.extrinsics import compact

NUMBERS: Final = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}
"""The types of numbers, and the codes with which `struct` writes them."""


@dataclass(frozen=True, slots=True)
class CallForm:
    """The number of a call in the runtime, and its arguments' names and types in order."""

    prefix: bytes
    fields: tuple[tuple[str, str], ...] | None
    """None: an argument has another type, so the general codec encodes the call."""

    @classmethod
    def of(cls, pallet_index: int, call: Mapping[str, Any], primitive: Callable[[int], str | None]) -> Self:
        fields: list[tuple[str, str]] = []
        for field in call["fields"]:
            kind = primitive(field["type"])
            if kind is None or kind.strip("[]") not in NUMBERS:
                return cls(b"", None)
            fields.append((field["name"], kind))
        return cls(bytes([pallet_index, call["index"]]), tuple(fields))

    def encode(self, call: Call) -> bytes:
        """Raises: CallUnknown: an argument is missing, too many, or does not fit."""
        fields, arguments = self.fields or (), call.arguments
        if arguments.keys() != {name for name, _ in fields}:
            raise CallUnknown(f"The runtime's {call.name} takes {', '.join(name for name, _ in fields)}")
        try:
            return self.prefix + b"".join(_encode(kind, arguments[name]) for name, kind in fields)
        except (struct.error, TypeError) as error:
            raise CallUnknown(f"An argument of {call.name} does not fit ({error})") from error


def _encode(kind: str, value: Any) -> bytes:
    if kind in NUMBERS:
        return struct.pack(f"<{NUMBERS[kind]}", value)
    return compact(len(value)) + struct.pack(f"<{len(value)}{NUMBERS[kind[1:-1]]}", *value)
