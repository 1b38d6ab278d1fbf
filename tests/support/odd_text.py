"""Asks every operation of an OpenAPI document with text that no column holds, in each path and query parameter."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx2

ODD: Final = ("ä", "\N{CLAPPING HANDS SIGN}", "a\0b", "\N{FULLWIDTH LATIN SMALL LETTER A}", "x" * 300)
METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})
NO_PATH: Final = "known"
"""For a path parameter that the test has no value for."""


async def ask_oddly(
    client: httpx2.AsyncClient,
    document: Mapping[str, Any],
    *,
    known: Mapping[str, str],
    bodies: Mapping[str, Any],
    headers: Mapping[str, str],
) -> tuple[int, list[str]]:
    """How many requests were made, and which of them were answered with 500. `bodies`: by the end of the path."""
    count, defects = 0, list[str]()
    for method, path, query in _requests(document, known):
        body: Any = next((body for end, body in bodies.items() if path.endswith(end)), {})
        content: dict[str, Any] = {} if method in {"GET", "DELETE"} else {"json": body}
        response = await client.request(method, path, params=query, headers=dict(headers), **content)
        count += 1
        if response.status_code == 500:
            defects.append(f"{method} {path} {query}: {response.text}")
    return count, defects


def _requests(
    document: Mapping[str, Any], known: Mapping[str, str]
) -> Iterator[tuple[str, str, dict[str, str]]]:
    for path, operations in document["paths"].items():
        for method in METHODS & operations.keys():
            found = [*operations.get("parameters", []), *operations[method].get("parameters", [])]
            places = {one["name"]: one["in"] for one in found if one.get("in") in {"path", "query"}}
            for odd_one in places:
                for odd in ODD:
                    values = {name: known.get(name, NO_PATH) for name in places} | {odd_one: odd}
                    filled = path
                    for name in places:
                        filled = filled.replace("{" + name + "}", quote(values[name], safe=""))
                    query = {
                        name: values[name]
                        for name, place in places.items()
                        if place == "query" and (name in known or name == odd_one)
                    }
                    yield method.upper(), filled, query
