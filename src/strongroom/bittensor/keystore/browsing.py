"""Wallets, keys and extrinsics as operators read them: see `core.ledger.browsing.browser.WalletBrowser`.

The chain keeps the balances, and this database does not, so none is told. Keys are in the vault, in the folder, or in both.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, or_, select

from strongroom.bittensor import tables
from strongroom.bittensor.keystore.keyfile_folder import WalletFolder
from strongroom.bittensor.keystore.names import KeyKind, KeyName, is_name
from strongroom.bittensor.protocol.errors import KeyFileError, ProtocolError
from strongroom.bittensor.protocol.ss58 import decode_address, encode_address
from strongroom.core.intents.execution import ExecutionState
from strongroom.core.intents.payments import ID_BYTES, PaymentFilter, PaymentRecord, Payments, Position
from strongroom.core.ledger.browsing.browser import MAX_PARTS, no_wallet
from strongroom.core.ledger.browsing.reading import (
    cut,
    each_of,
    find_names,
    no_place,
    read_place,
    with_items,
)
from strongroom.core.ledger.browsing.records import EventRecord, Fact, Keys, Page, PartRecord, WalletRecord
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.storage.database import Database

PLACE: Final = "place"
IN_VAULT: Final = "vault"
IN_FOLDER: Final = "folder"
ADDRESS_ALONE: Final = "address only"
_key = tables.key.c
_SHOWN = (
    _key.wallet,
    _key.kind,
    _key.name,
    _key.public_key,
    _key.created_at_ms,
    _key.proxy_for,
    _key.proxy_type,
    _key.sealed_secret.is_not(None).label("is_sealed"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A wallet as the database has it."""

    record: WalletRecord
    keys: set[tuple[str, str]]
    """Kinds and names of its first `MAX_PARTS` keys."""


class BittensorBrowser:
    """`folder`: where further wallets are as files; None: nowhere."""

    def __init__(
        self, definition: AnyLedger, database: Database, payments: Payments, folder: WalletFolder | None
    ) -> None:
        self._definition = definition
        self._database = database
        self._payments = payments
        self._folder = folder

    async def page(self, search: str, after: str, limit: int) -> Page[WalletRecord]:
        in_folder = await asyncio.to_thread(self._folder.wallets) if self._folder is not None else []

        def work(connection: Connection) -> tuple[Page[str], Mapping[str, "_Stored"]]:
            def names(name: str, count: int) -> Sequence[str]:
                found = {*_names(connection, name, count), *(one for one in in_folder if one > name)}
                return sorted(found)[:count]

            owner = None if after else _owner(connection, search)
            if owner is not None:
                found = Page(items=[owner], after=None)
            else:
                found = find_names(names, part=search, after=after, limit=limit)
            return found, _load(connection, found.items)

        found, stored = await self._database.read(work)
        records = await asyncio.to_thread(
            lambda: [self._with_files(name, stored.get(name)) for name in found.items]
        )
        return with_items(found, [one for one in records if one is not None])

    async def show(self, wallet: str) -> WalletRecord:
        stored = await self._database.read(lambda connection: _load(connection, [wallet]))
        found = await asyncio.to_thread(self._with_files, wallet, stored.get(wallet))
        if found is None:
            raise no_wallet(wallet)
        return found

    async def parts(self, wallet: str, after: str, limit: int) -> Page[PartRecord]:
        query = select(*_SHOWN).where(_key.wallet == wallet).order_by(_key.kind, _key.name)
        kind, name = read_place(after, str, str) if after else ("", "")
        if after:
            query = query.where(or_(_key.kind > kind, (_key.kind == kind) & (_key.name > name)))
        await self.show(wallet)
        rows = await self._database.fetch_all(query.limit(limit + 1))
        found = {(row.kind, row.name): _stored_part(row) for row in rows}
        for key, part in (await asyncio.to_thread(self._files, wallet)).items():
            if (key.kind, key.name) > (kind, name):
                found.setdefault((key.kind, key.name), part)
        page = cut(sorted(found), limit, ":".join)
        return with_items(page, [found[one] for one in page.items])

    async def history(self, wallet: str, asset: str, after: str, limit: int) -> Page[EventRecord]:
        place = _position(after) if after else None
        await self.show(wallet)
        if asset:
            return Page(items=(), after=None)
        wanted = PaymentFilter(wallet=wallet)
        found = await self._payments.page(wanted, after=place, limit=limit + 1)
        page = cut(found, limit, lambda one: f"{one.created_at_ms}:{one.id.hex()}")
        return with_items(page, [self._event(one) for one in page.items])

    def _with_files(self, name: str, stored: "_Stored | None") -> WalletRecord | None:
        """The wallet of the database, of the folder, or of both; None: it is in neither. Blocks: it reads files."""
        files = self._files(name)
        if not files:
            return None if stored is None else stored.record
        keys = {(key.kind.value, key.name) for key in files} | (stored.keys if stored is not None else set())
        if stored is not None:
            return replace(
                stored.record,
                keys=Keys.HELD,
                parts=max(len(keys), stored.record.parts),
                facts=[*stored.record.facts, Fact(PLACE, IN_FOLDER)],
            )
        coldkey = next((part.id for key, part in files.items() if key.kind is KeyKind.COLDKEY), None)
        return WalletRecord(
            id=name,
            keys=Keys.HELD,
            parts=len(keys),
            created_at_ms=None,
            holdings=None,
            facts=[*([Fact(KeyKind.COLDKEY.value, coldkey)] if coldkey else []), Fact(PLACE, IN_FOLDER)],
        )

    def _files(self, wallet: str) -> Mapping[KeyName, PartRecord]:
        if self._folder is None or not is_name(wallet) or not self._folder.has_wallet(wallet):
            return {}
        return {key: _file_part(self._folder, key) for key in self._folder.keys(wallet)}

    def _event(self, one: PaymentRecord) -> EventRecord:
        coin = self._definition.coin
        reason = () if one.reason is None else (Fact("reason", one.reason),)
        return EventRecord(
            at_ms=one.created_at_ms,
            kind=one.kind,
            amount_raw=None if one.amount_raw is None else -int(one.amount_raw),
            unit=coin.symbol,
            decimals=coin.decimals,
            part=one.account,
            counterparty=one.destination,
            id=self._definition.network_id(one.id),
            state=ExecutionState.FAILED if one.execution is ExecutionState.FAILED else one.state.value,
            facts=reason,
        )


def _names(connection: Connection, after: str, count: int) -> Sequence[str]:
    query = select(_key.wallet).distinct().where(_key.wallet > after).order_by(_key.wallet).limit(count)
    return connection.scalars(query).all()


def _owner(connection: Connection, search: str) -> str | None:
    """The wallet of the key with this address."""
    try:
        public_key = decode_address(search)
    except ProtocolError:
        return None
    return connection.scalar(select(_key.wallet).where(_key.public_key == public_key).limit(1))


def _load(connection: Connection, names: Sequence[str]) -> Mapping[str, _Stored]:
    """The wallets that the database has keys of."""
    if not names:
        return {}
    found = defaultdict[str, list[Row[Any]]](list)
    for row in connection.execute(each_of([_keys_of(name) for name in names])):
        found[row.wallet].append(row)
    return {name: _stored(name, rows) for name, rows in found.items()}


def _keys_of(wallet: str) -> Select[Any]:
    return select(*_SHOWN).where(_key.wallet == wallet).order_by(_key.kind, _key.name).limit(MAX_PARTS + 1)


def _stored(name: str, rows: Sequence[Row[Any]]) -> _Stored:
    own = [row for row in rows if row.kind != KeyKind.HOTKEY]
    record = WalletRecord(
        id=name,
        keys=Keys.HELD if any(row.is_sealed for row in rows) else Keys.WATCHED,
        parts=min(len(rows), MAX_PARTS),
        has_more_parts=len(rows) > MAX_PARTS,
        created_at_ms=min(row.created_at_ms for row in rows),
        holdings=None,
        facts=[fact for row in own for fact in _of_wallet(row)],
    )
    return _Stored(record=record, keys={(row.kind, row.name) for row in rows})


def _of_wallet(row: Row[Any]) -> list[Fact]:
    facts = [Fact(str(row.kind), encode_address(row.public_key))]
    if row.proxy_for is not None:
        facts.append(Fact("proxy for", encode_address(row.proxy_for)))
    return facts


def _stored_part(row: Row[Any]) -> PartRecord:
    facts = [Fact(PLACE, IN_VAULT if row.is_sealed else ADDRESS_ALONE)]
    if row.proxy_for is not None:
        facts += [Fact("proxy for", encode_address(row.proxy_for)), Fact("proxy type", row.proxy_type or "")]
    return PartRecord(
        id=encode_address(row.public_key), kind=row.kind, label=row.name or None, holdings=None, facts=facts
    )


def _file_part(folder: WalletFolder, key: KeyName) -> PartRecord:
    try:
        public = folder.public(key)
    except KeyFileError:
        public = None
    address = None if public is None else public.address
    return PartRecord(
        id=address or str(key),
        kind=key.kind,
        label=key.name or None,
        holdings=None,
        facts=[Fact(PLACE, IN_FOLDER)],
    )


def _position(text: str) -> Position:
    at_ms, digits = read_place(text, int, str)
    try:
        payment_id = bytes.fromhex(digits)
    except ValueError:
        raise no_place() from None
    if len(payment_id) != ID_BYTES:
        raise no_place()
    return Position(created_at_ms=at_ms, id=payment_id)
