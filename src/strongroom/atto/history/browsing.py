"""Wallets, accounts and entries as operators read them: see `core.ledger.browsing.browser.WalletBrowser`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Row, Select, cast, func, literal, select, tuple_

from strongroom.atto import tables
from strongroom.atto.protocol import Address, BlockType, ProtocolError
from strongroom.core.ledger.browsing.browser import MAX_PARTS, no_wallet
from strongroom.core.ledger.browsing.reading import cut, each_of, find_names, read_place, with_items
from strongroom.core.ledger.browsing.records import (
    EventRecord,
    Fact,
    Holding,
    Keys,
    Page,
    PartRecord,
    WalletRecord,
)
from strongroom.core.ledger.contract import Coin
from strongroom.core.storage.database import Database

ACCOUNT = "account"
CONFIRMED = "CONFIRMED"
HALF = 10
POWER = 10**10
"""SQLite keeps an amount as 20 digits, which it adds by their halves: a sum of amounts may be above 2^63."""
_wallet, _account, _entry, _receivable = (
    tables.wallet.c,
    tables.chain.c,
    tables.entry.c,
    tables.receivable.c,
)
_SHOWN = (
    _wallet.name,
    _wallet.persisted_at,
    _wallet.encrypted_encryption_key.is_(None).label("is_locked"),
)


class AttoBrowser:
    def __init__(self, database: Database, coin: Coin) -> None:
        self._database = database
        self._coin = coin

    async def page(self, search: str, after: str, limit: int) -> Page[WalletRecord]:
        def work(connection: Connection) -> Page[WalletRecord]:
            owner = None if after else _owner(connection, search)
            if owner is not None:
                found = Page(items=[owner], after=None)
            else:
                found = find_names(
                    lambda name, count: _names(connection, name, count), part=search, after=after, limit=limit
                )
            return with_items(found, _load(connection, self._coin, found.items, most=MAX_PARTS))

        return await self._database.read(work)

    async def show(self, wallet: str) -> WalletRecord:
        found = await self._database.read(
            lambda connection: _load(connection, self._coin, [wallet], most=None)
        )
        if not found:
            raise no_wallet(wallet)
        return found[0]

    async def parts(self, wallet: str, after: str, limit: int) -> Page[PartRecord]:
        query = select(tables.chain).where(_account.wallet_name == wallet).order_by(_account.account_index)
        if after:
            query = query.where(_account.account_index > read_place(after, int)[0])

        def work(connection: Connection) -> Page[PartRecord]:
            _require(connection, wallet)
            page = cut(
                connection.execute(query.limit(limit + 1)).all(), limit, lambda row: str(row.account_index)
            )
            waiting = _waiting(connection, [row.address for row in page.items])
            return with_items(page, [_part(self._coin, row, waiting.get(row.address)) for row in page.items])

        return await self._database.read(work)

    async def history(self, wallet: str, asset: str, after: str, limit: int) -> Page[EventRecord]:
        order = (_entry.timestamp_ms, _entry.address, _entry.height)
        query = (
            select(tables.entry)
            .where(_entry.wallet_name == wallet)
            .order_by(*(column.desc() for column in order))
        )
        if after:
            place = read_place(after, int, str, int)
            # The bound on the time alone lets the database begin in the index where the page does.
            query = query.where(
                _entry.timestamp_ms <= place[0], tuple_(*order) < tuple_(*map(literal, place))
            )

        def work(connection: Connection) -> Page[EventRecord]:
            _require(connection, wallet)
            rows = [] if asset else connection.execute(query.limit(limit + 1)).all()
            page = cut(rows, limit, lambda row: f"{row.timestamp_ms}:{row.address}:{row.height}")
            return with_items(page, [_event(self._coin, row) for row in page.items])

        return await self._database.read(work)


def _names(connection: Connection, after: str, count: int) -> Sequence[str]:
    query = select(_wallet.name).order_by(_wallet.name).limit(count)
    return connection.scalars(query.where(_wallet.name > after) if after else query).all()


def _owner(connection: Connection, search: str) -> str | None:
    """The wallet of the account with this address."""
    try:
        path = Address.parse(search).path
    except ProtocolError:
        return None
    return connection.scalar(select(_account.wallet_name).where(_account.address == path))


def _require(connection: Connection, name: str) -> None:
    """Raises: NotFound: there is no wallet of exactly this name, which MySQL compares without regard to case."""
    if name not in connection.scalars(select(_wallet.name).where(_wallet.name == name)).all():
        raise no_wallet(name)


def _load(
    connection: Connection, coin: Coin, names: Sequence[str], *, most: int | None
) -> list[WalletRecord]:
    """The wallets in the order of their names. `most`: of a wallet with more accounts than these, no balance is told."""
    if not names:
        return []
    rows = {row.name: row for row in connection.execute(select(*_SHOWN).where(_wallet.name.in_(names)))}
    sums = connection.execute(
        each_of([_sum(connection, number, name, most) for number, name in enumerate(names)])
    )
    by_number = {row.number: row for row in sums}
    return [
        _record(coin, rows[name], by_number[number], most)
        for number, name in enumerate(names)
        if name in rows
    ]


def _sum(connection: Connection, number: int, name: str, most: int | None) -> Select[*tuple[Any, ...]]:
    """How many accounts a wallet has and what they hold together, of at most one more than `most`."""
    accounts = select(_account.balance).where(_account.wallet_name == name)
    if most is not None:
        accounts = accounts.order_by(_account.account_index).limit(most + 1)
    return _added(connection, number, accounts.subquery().c[0])


def _added(connection: Connection, number: int, amounts: Any) -> Select[*tuple[Any, ...]]:
    """How many amounts there are, and their sum as `high` * 10^10 + `low`."""
    high: ColumnElement[int] = literal(0)
    low: ColumnElement[int] = func.sum(amounts)
    if connection.dialect.name == "sqlite":
        high = func.sum(cast(func.substr(amounts, 1, HALF), Integer))
        low = func.sum(cast(func.substr(amounts, HALF + 1), Integer))
    return select(
        literal(number).label("number"), func.count().label("rows"), high.label("high"), low.label("low")
    ).select_from(amounts.table)


def _total(row: Row[Any]) -> int:
    high, low = int(row.high or 0), int(row.low or 0)
    return high * POWER + low


def _record(coin: Coin, row: Row[Any], sums: Row[Any], most: int | None) -> WalletRecord:
    has_more = most is not None and sums.rows > most
    return WalletRecord(
        id=row.name,
        keys=Keys.LOCKED if row.is_locked else Keys.HELD,
        parts=most if has_more and most is not None else sums.rows,
        has_more_parts=has_more,
        created_at_ms=_moment_ms(row.persisted_at),
        holdings=None if has_more else [_holding(coin, _total(sums))],
    )


def _holding(coin: Coin, available_raw: int, incoming_raw: int | None = None) -> Holding:
    return Holding(
        unit=coin.symbol, decimals=coin.decimals, available_raw=available_raw, incoming_raw=incoming_raw
    )


def _waiting(connection: Connection, paths: Sequence[str]) -> Mapping[str, Row[Any]]:
    """What was sent to each of these addresses and is not received."""
    if not paths:
        return {}
    sums = connection.execute(
        each_of([_added(connection, number, _receivables(path)) for number, path in enumerate(paths)])
    )
    return {paths[row.number]: row for row in sums}


def _receivables(path: str) -> Any:
    amounts = select(_receivable.amount).where(_receivable.address == path).limit(MAX_PARTS + 1)
    return amounts.subquery().c[0]


def _part(coin: Coin, row: Row[Any], waiting: Row[Any] | None) -> PartRecord:
    receivables = 0 if waiting is None else waiting.rows
    is_counted = receivables <= MAX_PARTS
    facts = [Fact("height", str(row.height))]
    if row.representative is not None:
        facts.append(Fact("representative", Address(public_key=row.representative).path))
    if receivables:
        facts.append(Fact("receivables", str(receivables) if is_counted else f"more than {MAX_PARTS}"))
    if row.disabled:
        facts.append(Fact("disabled", "yes"))
    incoming = (0 if waiting is None else _total(waiting)) if is_counted else None
    return PartRecord(
        id=row.address,
        kind=ACCOUNT,
        index=row.account_index,
        label=row.label,
        holdings=[_holding(coin, row.balance, incoming)],
        waits_for=None if row.pending is None else f"the outcome of the block {row.pending.hex().upper()}",
        facts=facts,
    )


def _event(coin: Coin, row: Row[Any]) -> EventRecord:
    kind = BlockType(row.block_type)
    subject = Address(public_key=row.subject).path
    is_change = kind is BlockType.CHANGE
    return EventRecord(
        at_ms=row.timestamp_ms,
        kind=kind.name,
        amount_raw=row.balance - row.previous_balance,
        unit=coin.symbol,
        decimals=coin.decimals,
        part=row.address,
        counterparty=None if is_change else subject,
        id=row.hash.hex().upper(),
        state=CONFIRMED,
        facts=[Fact("representative", subject)] if is_change else (),
    )


def _moment_ms(moment: datetime) -> int:
    """The databases keep UTC without saying so."""
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)
