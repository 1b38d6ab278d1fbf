"""Secrets that a test plants, and the search for them in whatever form they may have leaked."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from sqlalchemy import Connection, MetaData, select

from strongroom.core.storage.database import Database

FEWEST_BYTES = 16
"""A shorter one may be found by chance."""


class Canaries:
    """`plant` gives each secret a name; `found` says which are in which of the places."""

    def __init__(self) -> None:
        self._forms: dict[str, frozenset[bytes]] = {}

    def plant(self, name: str, secret: str | bytes) -> None:
        """A text that is hex is looked for as its bytes too."""
        found = set(forms_of(secret))
        if isinstance(secret, str) and (raw := _unhexed(secret)) is not None:
            found |= set(forms_of(raw))
        self._forms[name] = frozenset(found)

    @property
    def names(self) -> set[str]:
        return set(self._forms)

    def found(self, places: Mapping[str, bytes]) -> list[tuple[str, str, bytes]]:
        """Which secret is in which place, in which form."""
        return [
            (name, place, form)
            for place, content in places.items()
            for name, forms in self._forms.items()
            for form in forms
            if form in content
        ]


def forms_of(secret: str | bytes) -> Iterator[bytes]:
    """The secret as it may stand in a file, a log, a document or a program's output."""
    raw = secret.encode() if isinstance(secret, str) else secret
    assert len(raw) >= FEWEST_BYTES, "it would be found by chance"
    yield from _forms_of_bytes(raw)
    if isinstance(secret, str):
        yield from _forms_of_text(secret)


def _forms_of_bytes(raw: bytes) -> Iterator[bytes]:
    yield raw
    yield raw[::-1]
    for separator in ("", ":", " ", "-"):
        spelled = separator.join(f"{byte:02x}" for byte in raw)
        yield spelled.encode()
        yield spelled.upper().encode()
    for separator in (",", ", ", " "):
        yield separator.join(map(str, raw)).encode()
    yield repr(raw)[2:-1].encode()
    yield json.dumps(raw.decode("latin-1"))[1:-1].encode()
    yield base64.b32encode(raw).rstrip(b"=")
    for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # in the middle of something longer that was encoded
            encoded = alphabet(bytes(before) + raw).rstrip(b"=")
            yield encoded[(0, 2, 3)[before] : len(encoded) - 1]


def _forms_of_text(text: str) -> Iterator[bytes]:
    for spelled in (text.lower(), text.upper(), text.title(), text[::-1]):
        yield spelled.encode()
    yield text.encode("utf-16-le")
    yield json.dumps(text)[1:-1].encode()
    yield quote(text, safe="").encode()
    yield quote_plus(text).encode()
    words = text.split()
    if len(words) > 1:
        half = words[: len(words) // 2]
        for separator in (" ", ",", ", ", "_", "-", "\n", "\\n", '","', '", "', "', '", "+"):
            yield separator.join(half).encode()
            yield separator.join(words[len(half) :]).encode()


def _unhexed(text: str) -> bytes | None:
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return None
    return raw if len(raw) >= FEWEST_BYTES else None


def contents(folder: Path, *, but: frozenset[str] = frozenset()) -> dict[str, bytes]:
    """Every file of a folder, by its name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in but
    }


async def dump(database: Database) -> bytes:
    """Every value of every table, as it is."""

    def read(connection: Connection) -> bytes:
        metadata = MetaData()
        metadata.reflect(connection)
        return b"\n".join(
            value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")
            for table in metadata.tables.values()
            for row in connection.execute(select(table))
            for value in row
        )

    return await database.read(read)
