"""Finds signed payloads that the audit trail does not know.

A payload and its row are stored in one transaction. So when only the tables of the trail are set back, by whatever means, the
payloads that were signed since then lack their rows.
"""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from sqlalchemy import Row, select

from strongroom.core.intents.tables import intent
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import Database

CHUNK: Final = 1000
SIGNING: Final = frozenset({"sign", "admit"})
_COLUMNS = (intent.c.id, intent.c.account, intent.c.kind, intent.c.request)


class _Details(msgspec.Struct):
    hash: str = ""


class Signatures:
    """The signed payloads of a ledger whose rows have not been seen yet: what was signed for whom as 8 bytes, and how often."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unseen: Counter[int] = Counter()

    async def load(self) -> None:
        """Remembers all payloads that are stored now. Those that another program signed, before this service, have no rows."""
        async for row in self._intents():
            if (mark := _mark(row.account, row.request)) is not None:
                self._unseen[mark] += 1

    def note(self, row: Row[Any]) -> None:
        """A row of the trail."""
        if row.action not in SIGNING:
            return
        mark = _mark(row.subject, row.details)
        if mark is not None and mark in self._unseen:
            self._unseen[mark] -= 1
            if not self._unseen[mark]:
                del self._unseen[mark]

    async def missing(self) -> list[str]:
        """A sentence for each payload whose row was not noted."""
        if not self._unseen:
            return []
        return [
            f"the {row.kind} {row.id.hex().upper()} of {row.account} was signed, and its row is missing"
            async for row in self._intents()
            if _mark(row.account, row.request) in self._unseen
        ]

    async def _intents(self) -> AsyncIterator[Row[Any]]:
        last = b""
        while True:
            query = select(*_COLUMNS).where(intent.c.id > last).order_by(intent.c.id).limit(CHUNK)
            rows = await self._database.fetch_all(query)
            for row in rows:
                yield row
            if len(rows) < CHUNK:
                return
            last = rows[-1].id


def _mark(account: str, document: str) -> int | None:
    """Names a signature in both places; None: the document does not say what was signed."""
    try:
        signed = decode_json(document, _Details).hash
    except msgspec.MsgspecError:
        return None
    if not signed:
        return None
    return int.from_bytes(hashlib.sha256(f"{account}\0{signed}".encode()).digest()[:8])
