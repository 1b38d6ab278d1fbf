"""Finds the types of a runtime that can contain themselves, as calls in batches do: such a value can be endlessly deep."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def endless(registry: Sequence[Mapping[str, Any]]) -> frozenset[int]:
    """Returns the numbers of the types that can contain themselves, or contain such a type."""
    parts = {one["id"]: set(_parts(one["type"]["def"])) for one in registry}
    finite: set[int] = set()
    holders: dict[int, set[int]] = {}
    for number, inner in parts.items():
        for part in inner:
            holders.setdefault(part, set()).add(number)
    ready = [number for number, inner in parts.items() if not inner]
    while ready:
        found = ready.pop()
        finite.add(found)
        for holder in holders.get(found, ()):
            parts[holder].discard(found)
            if not parts[holder] and holder not in finite:
                ready.append(holder)
    return frozenset(parts.keys() - finite)


def _parts(definition: Mapping[str, Any]) -> Iterator[int]:
    """Returns the types that a value of this type contains directly."""
    for kind, content in definition.items():
        match kind:
            case "composite":
                yield from (field["type"] for field in content["fields"])
            case "variant":
                yield from (field["type"] for one in content["variants"] for field in one["fields"])
            case "sequence" | "array" | "compact":
                yield content["type"]
            case "tuple":
                yield from content
            case _:
                pass
