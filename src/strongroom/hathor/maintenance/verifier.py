"""Compares every derived row with what transactions and outputs say, and repairs what differs where that is wanted.

The verifier works in chunks beside a running sync: each chunk is one short transaction that holds the ledger's lock.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from strongroom.core.clock import Clock
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import (
    Statement,
    arg,
    delete_by_key,
    execute,
    execute_many,
    select_in,
    select_value,
    upsert_rows,
)
from strongroom.hathor import tables
from strongroom.hathor.index.addresses import BALANCE_VALUES
from strongroom.hathor.index.records import OUTPUTS_AT, read_heights
from strongroom.hathor.index.rows import OUTPUT_COLUMNS, OutputRow
from strongroom.hathor.index.tokens import COUNT_TRANSACTIONS, SET_COUNT
from strongroom.hathor.maintenance.rebuild import (
    Derived,
    Key,
    rebuild_addresses,
    rebuild_wallet,
    stored_addresses,
    stored_wallet,
)
from strongroom.hathor.sync.batch import Rules, apply_batch

ADDRESSES_A_CHUNK = 200
KEPT = 1_000
"""Differences that a report names. Further ones are only counted."""
VALUES = {
    "address": ("transactions",),
    "address_balance": BALANCE_VALUES,
    "address_tx_history": ("balance", "timestamp"),
    "miner": ("first_block", "last_block", "count"),
    "wallet_balance": BALANCE_VALUES,
    "wallet_tx_history": ("balance", "timestamp"),
}
_token, _creation = tables.token.c, tables.token_creation.c
WALLETS = Statement(select(tables.wallet.c.id))
TOKENS = Statement(select(_token.id))
TOKEN = Statement(
    select(_token.transactions, _creation.tx_id)
    .select_from(tables.token.outerjoin(tables.token_creation, _creation.token_id == _token.id))
    .where(_token.id == arg("token_id")),
    "token_id",
)
NEXT_ADDRESSES = [
    Statement(
        select(table.c.address)
        .distinct()
        .where(table.c.address > arg("last"))
        .order_by(table.c.address)
        .limit(ADDRESSES_A_CHUNK),
        "last",
    )
    for table in (tables.address, tables.tx_output, tables.address_balance, tables.address_tx_history)
]
DELETES = {name: delete_by_key(tables.metadata.tables[name]) for name in VALUES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that is not what it must be. `found` None: it is missing; `expected` None: it must not be there."""

    table: str
    key: Key
    found: tuple[Any, ...] | None
    expected: tuple[Any, ...] | None


@dataclass(slots=True, kw_only=True)
class Report:
    addresses: int = 0
    wallets: int = 0
    tokens: int = 0
    count: int = 0
    differences: list[Difference] = field(default_factory=list)
    repaired: bool = False

    def add(self, found: Iterable[Difference]) -> None:
        for difference in found:
            self.count += 1
            if len(self.differences) < KEPT:
                self.differences.append(difference)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    database: Database
    clock: Clock
    rules: Rules
    repair: bool = False

    async def run(self, progress: Callable[[Report], None] = lambda _report: None) -> Report:
        """Compares all addresses, wallets and tokens; it calls `progress` after each chunk."""
        report = Report(repaired=self.repair)
        await self.database.write(self._settle)
        last: str | None = ""
        while last is not None:
            last = await self._chunk(report, last)
            progress(report)
        for (wallet_id,) in await self.database.read(lambda c: execute(c, WALLETS)):
            report.add(await self.database.write(partial(self._check_wallet, wallet_id=wallet_id)))
            report.wallets += 1
            progress(report)
        for (token_id,) in await self.database.read(lambda c: execute(c, TOKENS)):
            report.add(await self.database.write(partial(self._check_token, token_id=token_id)))
            report.tokens += 1
            progress(report)
        return report

    async def _chunk(self, report: Report, last: str) -> str | None:
        def work(connection: Connection) -> tuple[list[str], list[Difference]]:
            self._settle(connection)
            addresses = _next_addresses(connection, last)
            return addresses, self._check_addresses(connection, addresses)

        addresses, differences = await self.database.write(work)
        report.add(differences)
        report.addresses += len(addresses)
        return addresses[-1] if addresses else None

    def _settle(self, connection: Connection) -> None:
        """Takes the ledger's lock, and opens the timelocks whose time has come, so that lateness counts as no difference."""
        apply_batch(connection, [], self.rules, Outbox(self.clock), self._now_s())

    def _check_addresses(self, connection: Connection, addresses: Sequence[str]) -> list[Difference]:
        found = list(self._check_locks(connection, addresses))
        expected, stored = rebuild_addresses(connection, addresses), stored_addresses(connection, addresses)
        for key in stored.tables["address"]:
            expected.tables["address"].setdefault(key, (0,))  # claimed, or all it did was undone
        return found + self._compare(connection, expected, stored)

    def _check_wallet(self, connection: Connection, wallet_id: str) -> list[Difference]:
        self._settle(connection)
        expected, stored = rebuild_wallet(connection, wallet_id), stored_wallet(connection, wallet_id)
        return self._compare(connection, expected, stored)

    def _check_token(self, connection: Connection, token_id: str) -> list[Difference]:
        self._settle(connection)
        rows = execute(connection, TOKEN, token_id)
        if not rows:
            return []  # the sync dropped it meanwhile
        stored, creator = rows[0]
        count = select_value(connection, COUNT_TRANSACTIONS, token_id, creator or "")
        if stored == count:
            return []
        if self.repair:
            execute(connection, SET_COUNT, count, token_id)
        return [Difference(table="token", key=(token_id,), found=(stored,), expected=(count,))]

    def _check_locks(self, connection: Connection, addresses: Sequence[str]) -> Iterator[Difference]:
        heights, now_s = read_heights(connection), self._now_s()
        wrong: list[OutputRow] = []
        for row in select_in(connection, OUTPUTS_AT, addresses):
            output = OutputRow.load(row)
            before = output.locked
            output.set_lock(heights, now_s)
            if output.locked != before:
                wrong.append(output)
                key = (output.tx_id, str(output.index))
                yield Difference(table="tx_output", key=key, found=(before,), expected=(output.locked,))
        if self.repair:
            rows = [output.values() for output in wrong]
            upsert_rows(connection, tables.tx_output, OUTPUT_COLUMNS, rows, ("locked",))

    def _compare(self, connection: Connection, expected: Derived, stored: Derived) -> list[Difference]:
        differences: list[Difference] = []
        for table in expected.tables.keys() | stored.tables.keys():
            wanted, found = expected.tables[table], stored.tables[table]
            wrong = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
            differences.extend(
                Difference(table=table, key=key, found=found.get(key), expected=wanted.get(key))
                for key in sorted(wrong)
            )
            if self.repair and wrong:
                _repair(connection, table, {key: wanted.get(key) for key in wrong})
        return differences

    def _now_s(self) -> int:
        return self.clock.now_ms() // 1000


def _repair(connection: Connection, name: str, rows: dict[Key, tuple[Any, ...] | None]) -> None:
    gone = [key for key, values in rows.items() if values is None]
    execute_many(connection, DELETES[name], gone)
    table = tables.metadata.tables[name]
    extra = {"address_tx_history": (False,), "wallet_tx_history": (False,)}.get(name, ())
    columns = (*table.primary_key.columns.keys(), *VALUES[name], *(("voided",) if extra else ()))
    upsert_rows(
        connection,
        table,
        columns,
        [(*key, *values, *extra) for key, values in rows.items() if values is not None],
        VALUES[name],
    )


def _next_addresses(connection: Connection, last: str) -> list[str]:
    """Returns the next addresses, in order, that any of the tables has."""
    found: set[str] = set()
    for statement in NEXT_ADDRESSES:
        found.update(row[0] for row in execute(connection, statement, last))
    return sorted(found)[:ADDRESSES_A_CHUNK]
