"""Queries of the service's own database: pages of history, receivables, totals, labels."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, false, or_, select, tuple_

from strongroom.atto import tables
from strongroom.atto.history.entries import load_entry
from strongroom.atto.protocol import AccountEntry, Address, Network, Receivable
from strongroom.atto.records import AccountRecord, account_record, load_account, load_wallet
from strongroom.core.chunks import chunks
from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.storage.database import Database

MAX_PAGE = 1000
RANGES_PER_STATEMENT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of entries, newest first; `next_cursor` is None on the last page."""

    entries: list[AccountEntry]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingReceivable:
    """A stored receivable, and why the last try to receive it failed."""

    receivable: Receivable
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    wallet_name: str
    accounts: int
    opened_accounts: int
    balance_raw: int
    receivable_count: int
    receivable_raw: int


class Queries:
    def __init__(self, database: Database, network: Network) -> None:
        self._database = database
        self._network = network

    async def account_page(self, address: Address, cursor: str | None, limit: int) -> Page:
        """Entries of one account, newest first."""
        columns = tables.entry.c
        query = select(tables.entry).where(columns.address == address.path).order_by(columns.height.desc())
        if cursor is not None:
            query = query.where(columns.height < int(_parse_cursor(cursor, 1)[0]))

        def work(connection: Connection) -> list[AccountEntry]:
            load_account(connection, address, self._network)
            return _entries(connection, query.limit(limit + 1))

        return _page(await self._database.read(work), limit, lambda entry: [str(entry.height)])

    async def wallet_page(self, wallet_name: str, cursor: str | None, limit: int) -> Page:
        """Entries of all accounts of a wallet, newest first."""
        columns = tables.entry.c
        order = (columns.timestamp_ms, columns.address, columns.height)
        query = (
            select(tables.entry)
            .where(columns.wallet_name == wallet_name)
            .order_by(*(column.desc() for column in order))
        )
        if cursor is not None:
            timestamp_ms, path, height = _parse_cursor(cursor, 3)
            query = query.where(
                columns.timestamp_ms
                <= int(
                    timestamp_ms
                ),  # lets the database use the index, which the comparison of tuples does not
                tuple_(*order) < (int(timestamp_ms), path, int(height)),
            )

        def work(connection: Connection) -> list[AccountEntry]:
            _require_wallet(connection, wallet_name)
            return _entries(connection, query.limit(limit + 1))

        def mark(entry: AccountEntry) -> list[str]:
            return [str(entry.timestamp_ms), Address(public_key=entry.public_key).path, str(entry.height)]

        return _page(await self._database.read(work), limit, mark)

    async def entries_between(self, ranges: Sequence[tuple[Address, int, int]]) -> list[AccountEntry]:
        """Entries of each (address, first, last), ascending within an account."""
        columns = tables.entry.c

        def work(connection: Connection) -> list[AccountEntry]:
            found: list[AccountEntry] = []
            for some in chunks(ranges, RANGES_PER_STATEMENT):
                wanted = [
                    and_(columns.address == address.path, columns.height.between(first, last))
                    for address, first, last in some
                ]
                query = select(tables.entry).where(or_(*wanted)).order_by(columns.address, columns.height)
                found += _entries(connection, query)
            return found

        return await self._database.read(work)

    async def opened(self, *, enabled_only: bool) -> list[AccountRecord]:
        """The open accounts."""
        query = select(tables.chain).where(tables.chain.c.height > 0)
        if enabled_only:
            query = query.where(tables.chain.c.disabled == false())
        return [account_record(row, self._network) for row in await self._database.fetch_all(query)]

    async def waiting(self, address: Address) -> list[PendingReceivable]:
        """The receivables of an account, oldest first."""
        columns = tables.receivable.c
        query = (
            select(tables.receivable).where(columns.address == address.path).order_by(columns.timestamp_ms)
        )

        def work(connection: Connection) -> list[PendingReceivable]:
            load_account(connection, address, self._network)
            return self._waiting(connection, query)

        return await self._database.read(work)

    async def waiting_of_wallet(self, wallet_name: str) -> list[PendingReceivable]:
        """The receivables of all accounts of a wallet, oldest first."""

        def work(connection: Connection) -> list[PendingReceivable]:
            _require_wallet(connection, wallet_name)
            query = _receivables_of(wallet_name).order_by(tables.receivable.c.timestamp_ms)
            return self._waiting(connection, query)

        return await self._database.read(work)

    async def totals(self, wallet_name: str) -> Totals:
        columns = tables.chain.c

        def work(connection: Connection) -> Totals:
            _require_wallet(connection, wallet_name)
            query = select(columns.height, columns.balance).where(columns.wallet_name == wallet_name)
            accounts = connection.execute(query).all()
            amounts = [row.amount for row in connection.execute(_receivables_of(wallet_name))]
            return Totals(
                wallet_name=wallet_name,
                accounts=len(accounts),
                opened_accounts=sum(row.height > 0 for row in accounts),
                balance_raw=sum(row.balance for row in accounts),
                receivable_count=len(amounts),
                receivable_raw=sum(amounts),
            )

        return await self._database.read(work)

    async def labels(self, wallet_name: str) -> list[AccountRecord]:
        """All accounts of a wallet, with and without labels, ordered by index."""
        columns = tables.chain.c
        query = select(tables.chain).where(columns.wallet_name == wallet_name).order_by(columns.account_index)

        def work(connection: Connection) -> list[AccountRecord]:
            _require_wallet(connection, wallet_name)
            return [account_record(row, self._network) for row in connection.execute(query)]

        return await self._database.read(work)

    def _waiting(self, connection: Connection, query: Select[Any]) -> list[PendingReceivable]:
        return [
            PendingReceivable(
                receivable=Receivable(
                    network=self._network,
                    hash=row.hash,
                    version=row.version,
                    sender_public_key=row.sender,
                    timestamp_ms=row.timestamp_ms,
                    receiver_public_key=Address.parse(row.address).public_key,
                    amount=row.amount,
                ),
                problem=row.problem,
            )
            for row in connection.execute(query)
        ]


def _require_wallet(connection: Connection, name: str) -> None:
    if load_wallet(connection, name) is None:
        raise NotFound(f"Wallet {name} does not exist", code="wallet_not_found")


def _receivables_of(wallet_name: str) -> Select[Any]:
    addresses = select(tables.chain.c.address).where(tables.chain.c.wallet_name == wallet_name)
    return select(tables.receivable).where(tables.receivable.c.address.in_(addresses))


def _entries(connection: Connection, query: Select[Any]) -> list[AccountEntry]:
    return [load_entry(row, Address.parse(row.address).public_key) for row in connection.execute(query)]


def _page(entries: list[AccountEntry], limit: int, mark: Callable[[AccountEntry], list[str]]) -> Page:
    more = len(entries) > limit
    shown = entries[:limit]
    return Page(entries=shown, next_cursor=_cursor(mark(shown[-1])) if more else None)


def _cursor(parts: Sequence[str]) -> str:
    return base64.urlsafe_b64encode(":".join(parts).encode()).decode().rstrip("=")


def _parse_cursor(cursor: str, length: int) -> list[str]:
    try:
        parts = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(":")
        numbers = [parts[0], parts[-1]]
    except (binascii.Error, ValueError):
        parts, numbers = [], []
    if len(parts) != length or not all(number.isdigit() and len(number) < 19 for number in numbers):  # noqa: PLR2004
        raise InvalidInput("The cursor is not one of this service", code="invalid_cursor")
    return parts
