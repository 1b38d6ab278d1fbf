"""Wallets, addresses and histories as operators read them: see `core.ledger.browsing.browser.WalletBrowser`."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, literal, or_, select

from strongroom.core.clock import Clock
from strongroom.core.ledger.browsing.browser import MAX_HOLDINGS, MAX_PARTS, no_wallet
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
from strongroom.hathor import tables
from strongroom.hathor.protocol.keys import wallet_id
from strongroom.hathor.protocol.transactions import HATHOR_TOKEN
from strongroom.hathor.wallets.balances import Balance, balances_within

ADDRESS: Final = "address"
KINDS: Final = {
    0: "BLOCK",
    1: "TRANSACTION",
    2: "TOKEN_CREATION",
    3: "MERGE_MINED_BLOCK",
    4: "NANO_CONTRACT",
    5: "POA_BLOCK",
    6: "BLUEPRINT",
}
"""By the version of a transaction."""
UNKNOWN: Final = "UNKNOWN"
BLOCKS: Final = frozenset({0, 3, 5})
VOIDED, CONFIRMED, UNCONFIRMED = "VOIDED", "CONFIRMED", "UNCONFIRMED"
XPUB: Final = "xpub"
_wallet, _address, _token = tables.wallet.c, tables.address.c, tables.token.c
_entry, _transaction = tables.wallet_tx_history.c, tables.transaction.c
_SHOWN = (
    _wallet.id,
    _wallet.xpubkey,
    _wallet.status,
    _wallet.ct_status,
    _wallet.created_at,
    _wallet.last_used_address_index,
)


class HathorBrowser:
    """Of a page of wallets, balances are as the sync stored them; `show` counts what was unlocked since, as the API does."""

    def __init__(self, database: Database, clock: Clock, coin: Coin) -> None:
        self._database = database
        self._clock = clock
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
            return with_items(found, self._load(connection, found.items))

        return await self._database.read(work)

    async def show(self, wallet: str) -> WalletRecord:
        now_s = self._clock.now_ms() // 1000

        def work(connection: Connection) -> WalletRecord:
            row = _require(connection, wallet)
            balances = balances_within(connection, wallet, None, now_s)
            addresses = select(func.count()).where(_address.wallet_id == wallet)
            return WalletRecord(
                id=row.id,
                keys=Keys.WATCHED,
                parts=connection.scalar(addresses) or 0,
                created_at_ms=row.created_at * 1000,
                holdings=[self._of_balance(one) for one in balances],
                facts=[*_facts(row), Fact(XPUB, row.xpubkey)],
            )

        return await self._database.read(work)

    async def parts(self, wallet: str, after: str, limit: int) -> Page[PartRecord]:
        order = (_address.bip32_account, _address.index)
        query = (
            select(
                _address.address,
                _address.bip32_account,
                _address.index.label("place"),
                _address.transactions,
                _address.ct_address,
            )
            .where(_address.wallet_id == wallet, _address.bip32_account.is_not(None))
            .order_by(*order)
        )
        if after:
            account, index = read_place(after, int, int)
            query = query.where(
                _address.bip32_account >= account,
                or_(_address.bip32_account > account, _address.index > index),
            )

        def work(connection: Connection) -> Page[PartRecord]:
            _require(connection, wallet)
            rows = connection.execute(query.limit(limit + 1)).all()
            page = cut(rows, limit, lambda row: f"{row.bip32_account}:{row.place}")
            paths = [row.address for row in page.items]
            held = self._holdings(connection, tables.address_balance, "address", paths)
            return with_items(page, [_part(row, held[row.address]) for row in page.items])

        return await self._database.read(work)

    async def history(self, wallet: str, asset: str, after: str, limit: int) -> Page[EventRecord]:
        token_id = asset or HATHOR_TOKEN
        query = (
            select(
                _entry.tx_id,
                _entry.timestamp,
                _entry.voided,
                _entry.balance,
                _entry.shielded_balance_delta,
                _transaction.version,
                _transaction.first_block,
                _token.symbol,
            )
            .select_from(
                tables.wallet_tx_history.outerjoin(
                    tables.transaction, _transaction.tx_id == _entry.tx_id
                ).outerjoin(tables.token, _token.id == _entry.token_id)
            )
            .where(_entry.wallet_id == wallet, _entry.token_id == token_id)
            .order_by(_entry.timestamp.desc(), _entry.tx_id.desc())
        )
        if after:
            moment, tx_id = read_place(after, int, str)
            query = query.where(
                _entry.timestamp <= moment, or_(_entry.timestamp < moment, _entry.tx_id < tx_id)
            )

        def work(connection: Connection) -> Page[EventRecord]:
            _require(connection, wallet)
            rows = connection.execute(query.limit(limit + 1)).all()
            page = cut(rows, limit, lambda row: f"{row.timestamp}:{row.tx_id}")
            return with_items(page, [self._event(row, token_id) for row in page.items])

        return await self._database.read(work)

    def _load(self, connection: Connection, names: Sequence[str]) -> list[WalletRecord]:
        if not names:
            return []
        rows = {row.id: row for row in connection.execute(select(*_SHOWN).where(_wallet.id.in_(names)))}
        counts = connection.execute(
            each_of([_count_addresses(number, name) for number, name in enumerate(names)])
        )
        counted = {names[row.number]: row.rows for row in counts}
        held = self._holdings(connection, tables.wallet_balance, "wallet_id", names)
        return [
            WalletRecord(
                id=name,
                keys=Keys.WATCHED,
                parts=min(counted[name], MAX_PARTS),
                has_more_parts=counted[name] > MAX_PARTS,
                created_at_ms=rows[name].created_at * 1000,
                holdings=held[name][:MAX_HOLDINGS],
                has_more_holdings=len(held[name]) > MAX_HOLDINGS,
                facts=_facts(rows[name]),
            )
            for name in names
            if name in rows
        ]

    def _holdings(
        self, connection: Connection, balances: Table, owner: str, names: Sequence[str]
    ) -> Mapping[str, list[Holding]]:
        """What wallets or addresses hold, one more than is shown of each; the ledger's coin has the first id of all tokens."""
        found: dict[str, list[Holding]] = defaultdict(list)
        if not names:
            return found
        rows = connection.execute(
            each_of([_of_owner(balances, balances.c[owner], name) for name in names])
        ).all()
        tokens = {row.token_id for row in rows} - {HATHOR_TOKEN}
        symbols = {
            row.id: row.symbol
            for row in connection.execute(select(_token.id, _token.symbol).where(_token.id.in_(tokens)))
        }
        for row in rows:
            found[row.owner].append(self._holding(row, symbols.get(row.token_id, "")))
        return found

    def _holding(self, row: Row[*tuple[Any, ...]], symbol: str) -> Holding:
        return self._make(
            row.token_id,
            symbol,
            int(row.unlocked_balance) + int(row.unlocked_shielded_balance),
            int(row.locked_balance) + int(row.locked_shielded_balance),
            row.timelock_expires,
        )

    def _of_balance(self, one: Balance) -> Holding:
        return self._make(
            one.token_id,
            one.symbol,
            one.unlocked + one.unlocked_shielded,
            one.locked + one.locked_shielded,
            one.lock_expires_s,
        )

    def _make(
        self, token_id: str, symbol: str, available: int, locked: int, expires_s: int | None
    ) -> Holding:
        is_coin = token_id == HATHOR_TOKEN
        return Holding(
            asset="" if is_coin else token_id,
            unit=self._coin.symbol if is_coin else symbol,
            decimals=self._coin.decimals,
            available_raw=available,
            locked_raw=locked,
            locked_until_ms=None if expires_s is None else expires_s * 1000,
        )

    def _event(self, row: Row[*tuple[Any, ...]], token_id: str) -> EventRecord:
        is_coin = token_id == HATHOR_TOKEN
        return EventRecord(
            at_ms=row.timestamp * 1000,
            kind=KINDS.get(row.version, UNKNOWN),
            amount_raw=row.balance + row.shielded_balance_delta,
            asset="" if is_coin else token_id,
            unit=self._coin.symbol if is_coin else row.symbol or "",
            decimals=self._coin.decimals,
            id=row.tx_id,
            state=_state(row),
        )


def _names(connection: Connection, after: str, count: int) -> Sequence[str]:
    return connection.scalars(
        select(_wallet.id).where(_wallet.id > after).order_by(_wallet.id).limit(count)
    ).all()


def _owner(connection: Connection, search: str) -> str | None:
    """The wallet with this address or xpub."""
    if not search:
        return None
    owner = connection.scalar(select(_address.wallet_id).where(_address.address == search))
    return owner or connection.scalar(select(_wallet.id).where(_wallet.id == wallet_id(search)))


def _require(connection: Connection, name: str) -> Row[*tuple[Any, ...]]:
    row = connection.execute(select(*_SHOWN).where(_wallet.id == name)).first()
    if row is None:
        raise no_wallet(name)
    return row


def _count_addresses(number: int, name: str) -> Select[*tuple[Any, ...]]:
    addresses = select(_address.address).where(_address.wallet_id == name).limit(MAX_PARTS + 1).subquery()
    return select(literal(number).label("number"), func.count().label("rows")).select_from(addresses)


def _of_owner(balances: Table, owner: ColumnElement[str], name: str) -> Select[*tuple[Any, ...]]:
    held = balances.c
    return (
        select(
            owner.label("owner"),
            held.token_id,
            held.unlocked_balance,
            held.locked_balance,
            held.unlocked_shielded_balance,
            held.locked_shielded_balance,
            held.timelock_expires,
        )
        .where(owner == name)
        .order_by(held.token_id)
        .limit(MAX_HOLDINGS + 1)
    )


def _facts(row: Row[*tuple[Any, ...]]) -> list[Fact]:
    facts = [Fact("status", row.status)]
    if row.ct_status != "none":
        facts.append(Fact("shielded", row.ct_status))
    if row.last_used_address_index >= 0:
        facts.append(Fact("last used address", str(row.last_used_address_index)))
    return facts


def _part(row: Row[*tuple[Any, ...]], held: Sequence[Holding]) -> PartRecord:
    facts = [Fact("transactions", str(row.transactions))]
    if row.bip32_account:
        facts.append(Fact("account", str(row.bip32_account)))
    if row.ct_address is not None:
        facts.append(Fact("shielded address", row.ct_address))
    return PartRecord(
        id=row.address,
        kind=ADDRESS,
        index=row.place,
        holdings=held[:MAX_HOLDINGS],
        has_more_holdings=len(held) > MAX_HOLDINGS,
        facts=facts,
    )


def _state(row: Row[*tuple[Any, ...]]) -> str:
    if row.voided:
        return VOIDED
    is_confirmed = row.first_block is not None or row.version in BLOCKS
    return CONFIRMED if is_confirmed else UNCONFIRMED
