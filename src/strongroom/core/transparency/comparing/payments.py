"""Compares signed payloads as they are stored with what the audit trail says was signed.

The row of a signature names its payload, and says who asked for what. A payload that was removed or written over would be made again
for a client that asks again.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, select

from strongroom.core.chunks import chunks
from strongroom.core.intents.tables import intent
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.transparency.inspection import Finding
from strongroom.core.transparency.rows import NO_PAYMENT, SIGNATURES, payment_in

MISSING: Final = "payment_missing"
ALTERED: Final = "payment_altered"
CHUNK: Final = 1000
AT_ONCE: Final = 500
Keeps = Callable[[str, int], bool]
"""Whether a ledger must still have the payload of this kind that was signed at this time."""


class _Said(msgspec.Struct, rename="camel"):
    hash: str = ""
    kind: str = ""
    amount_raw: str | None = None
    destination: str | None = None
    counted: str | None = None


class _Facts(NamedTuple):
    """What was signed, for whom, and what it counted."""

    content: bytes
    amount: str | None
    """None: it is not known."""
    counted: str | None
    """None: nothing, or it can never be given back."""

    def fits(self, row: "_Facts") -> bool:
        """Whether a row of the trail says the same."""
        return (
            self.content == row.content
            and self.amount in {None, row.amount}
            and self.counted in {None, row.counted}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unknown:
    """A signature whose payload was not there, or was another, when the look began."""

    kind: str
    account: str


async def payments_altered(database: Database, keeps: Keeps) -> list[Finding]:
    """What another program removed or changed; it reads all signatures."""
    stored = {row.id: _of_intent(row) async for row in _intents(database)}
    absent, odd, fitting = dict[bytes, _Unknown](), dict[bytes, _Unknown](), set[bytes]()
    async for row in _signatures(database):
        name, said = payment_in(row.details), _said(row.details)
        if name == NO_PAYMENT or said is None:
            continue
        facts = stored.get(name)
        if facts is None and not keeps(said.kind, row.at_ms):
            continue
        unknown = _Unknown(kind=said.kind, account=row.subject)
        if facts is None:
            absent[name] = unknown
        elif facts.fits(_facts(row.subject, row.principal, said, said.counted)):
            fitting.add(name)
        else:
            odd[name] = unknown
    there = await _there(database, absent)
    gone = {name: one for name, one in absent.items() if name not in there}
    changed = {name: one for name, one in odd.items() if name not in fitting}
    return [
        *_findings(MISSING, "was signed, and is not in strongroom_intent any more", gone),
        *_findings(ALTERED, "is not in strongroom_intent as it was signed", changed),
    ]


def _findings(code: str, what: str, found: Mapping[bytes, _Unknown]) -> list[Finding]:
    return [
        Finding(code=code, detail=f"The {one.kind} {name.hex().upper()} of {one.account} {what}")
        for name, one in found.items()
    ]


def _of_intent(row: Row[Any]) -> _Facts:
    said = _said(row.request) or _Said()
    said.kind = row.kind
    return _facts(row.account, row.principal, said, row.counted)


def _facts(account: str, principal: str, said: _Said, counted: str | None) -> _Facts:
    parts = (account, principal, said.kind, said.hash, said.destination or "")
    content = hashlib.sha256("\0".join(parts).encode()).digest()[:16]
    return _Facts(content, said.amount_raw, counted)


def _said(document: str) -> _Said | None:
    try:
        return decode_json(document, _Said)
    except msgspec.MsgspecError:
        return None


async def _intents(database: Database) -> AsyncIterator[Row[Any]]:
    columns, last = intent.c, b""
    wanted = (
        columns.id,
        columns.account,
        columns.kind,
        columns.principal,
        columns.request,
        columns.counted,
    )
    while True:
        query = select(*wanted).where(columns.id > last).order_by(columns.id).limit(CHUNK)
        rows = await database.fetch_all(query)
        for row in rows:
            yield row
        if len(rows) < CHUNK:
            return
        last = rows[-1].id


async def _signatures(database: Database) -> AsyncIterator[Row[Any]]:
    columns, last = tables.audit.c, 0
    wanted = (
        columns.sequence,
        columns.at_ms,
        columns.principal,
        columns.action,
        columns.subject,
        columns.details,
    )
    while True:
        query = select(*wanted).where(columns.sequence > last).order_by(columns.sequence).limit(CHUNK)
        rows = await database.fetch_all(query)
        for row in rows:
            if row.action in SIGNATURES:
                yield row
        if len(rows) < CHUNK:
            return
        last = rows[-1].sequence


async def _there(database: Database, names: Iterable[bytes]) -> set[bytes]:
    """Those that were stored since the look began."""

    def work(connection: Connection) -> set[bytes]:
        found = set[bytes]()
        for some in chunks(list(names), AT_ONCE):
            found |= {*connection.execute(select(intent.c.id).where(intent.c.id.in_(some))).scalars()}
        return found

    return await database.read(work)
