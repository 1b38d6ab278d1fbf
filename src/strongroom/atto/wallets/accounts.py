"""Accounts: derived from a wallet's mnemonic by their index, which starts at 0."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Connection, func, select, update

from strongroom.atto import tables
from strongroom.atto.protocol import MAX_KEY_INDEX, AccountKeys, Address, Network
from strongroom.atto.records import AccountRecord, load_account
from strongroom.atto.wallets.holdings import require_own_accounts
from strongroom.atto.wallets.keyring import Keyring
from strongroom.atto.wallets.rows import lock_wallet
from strongroom.atto.wallets.scan_progress import ScanProgress
from strongroom.atto.wallets.watched_addresses import MonitoredAddresses
from strongroom.core.clock import Clock
from strongroom.core.errors import Conflict, InvalidInput, StrongroomError
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

DERIVE_CHUNK = 250
MAX_LABEL = 255
REFRESH_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account as the original server's table has it."""

    address: str
    version: int
    index: int
    wallet_name: str
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    index: int
    address: Address


class AccountListeners:
    """Tells the follower and the receiver about new and changed accounts."""

    def __init__(
        self,
        *,
        monitored: MonitoredAddresses,
        refresh: Callable[[Sequence[Address]], Awaitable[None]],
        wake_receiver: Callable[[], None],
    ) -> None:
        """`refresh` asks the node for the states of new accounts."""
        self._monitored = monitored
        self._refresh = refresh
        self._wake_receiver = wake_receiver

    async def added(self, addresses: Sequence[Address]) -> None:
        """Watches new accounts and asks the node for their states.

        A node that does not answer is no error: the follower asks again later.
        """
        self._monitored.add(addresses)
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT_S):
                await self._refresh(addresses)
        except (StrongroomError, TimeoutError) as error:
            log.info("new accounts will be looked up later", why=str(error) or "timed out")

    def changed(self) -> None:
        self._wake_receiver()


class Accounts:
    """Creates, lists and changes the accounts of wallets."""

    def __init__(
        self,
        *,
        database: Database,
        network: Network,
        keyring: Keyring,
        audit: Audit,
        clock: Clock,
        listeners: AccountListeners,
        progress: ScanProgress,
    ) -> None:
        self._database = database
        self._network = network
        self._keyring = keyring
        self._audit = audit
        self._clock = clock
        self._listeners = listeners
        self._progress = progress

    async def create(self, principal: Principal, wallet_name: str) -> Derived:
        """Creates the account at the index after the wallet's highest one.

        Raises:
            NotFound, Locked
            Conflict: no index is left, or the account belongs to another wallet of the same mnemonic.
        """

        def work(connection: Connection) -> Derived:
            keys = self._keyring.keys(connection, lock_wallet(connection, wallet_name))
            columns = tables.chain.c
            highest = connection.execute(
                select(func.max(columns.account_index)).where(columns.wallet_name == wallet_name)
            ).scalar()
            index = 0 if highest is None else highest + 1
            if index > MAX_KEY_INDEX:
                raise Conflict(f"Wallet {wallet_name} has no account index left", code="no_index_left")
            require_own_accounts(connection, wallet_name, keys)
            derived = derive(keys, range(index, index + 1))[0]
            insert_accounts(connection, wallet_name, [derived], "CREATED")
            self._audit.append(
                connection, principal, "account.create", derived.address.path, {"index": index}
            )
            return derived

        derived = await self._database.write(work)
        await self.announce([derived.address])
        return derived

    async def create_range(self, principal: Principal, wallet_name: str, to_index: int) -> list[Derived]:
        """Creates the missing accounts of indexes 0 to `to_index`, and returns all accounts of this range."""
        keys, existing = await self.open_wallet(wallet_name)
        self.require_within_limit(sum(index > to_index for index in existing) + to_index + 1 - len(existing))
        accounts: list[Derived] = []
        with self._progress.track(wallet_name, "range", total=to_index + 1) as scan:
            for start in range(0, to_index + 1, DERIVE_CHUNK):
                indexes = range(start, min(start + DERIVE_CHUNK, to_index + 1))
                accounts += await self.ensure(principal, wallet_name, keys, existing, indexes, "RANGE")
                scan.done = indexes.stop
                self._progress.advanced(wallet_name, scan)
        await self.announce([one.address for one in accounts if one.index not in existing])
        return accounts

    async def open_wallet(self, wallet_name: str) -> tuple[AccountKeys, dict[int, str]]:
        """The wallet's keys, and its stored addresses by index.

        Raises:
            NotFound, Locked
        """
        columns = tables.chain.c
        query = select(columns.account_index, columns.address).where(columns.wallet_name == wallet_name)

        def work(connection: Connection) -> tuple[AccountKeys, dict[int, str]]:
            keys = self._keyring.keys(connection, lock_wallet(connection, wallet_name))
            return keys, {row.account_index: row.address for row in connection.execute(query)}

        return await self._database.write(work)

    async def ensure(
        self,
        principal: Principal,
        wallet_name: str,
        keys: AccountKeys,
        existing: dict[int, str],
        indexes: range,
        origin: str,
    ) -> list[Derived]:
        """Creates the missing accounts of `indexes` in one transaction.

        Raises:
            Conflict: a stored address is not the one that the mnemonic gives at its index, or an account belongs to
                another wallet with the same mnemonic.
        """
        accounts = await asyncio.to_thread(derive, keys, indexes)
        for one in accounts:
            if existing.get(one.index, one.address.path) != one.address.path:
                raise Conflict(
                    f"Persisted account index {one.index} does not match wallet mnemonic",
                    code="index_mismatch",
                )
        missing = [one for one in accounts if one.index not in existing]
        if missing:

            def work(connection: Connection) -> None:
                self._keyring.keys(connection, lock_wallet(connection, wallet_name))
                require_own_accounts(connection, wallet_name, keys)
                columns = tables.chain.c
                # Another request may have created some since `existing` was read. The wallet's lock now keeps others out.
                there = select(columns.account_index).where(
                    columns.wallet_name == wallet_name,
                    columns.account_index.between(indexes.start, indexes.stop - 1),
                )
                known = {row.account_index for row in connection.execute(there)}
                fresh = [one for one in missing if one.index not in known]
                insert_accounts(connection, wallet_name, fresh, origin)
                details = {"origin": origin, "indexes": [one.index for one in fresh]}
                self._audit.append(connection, principal, "account.create", wallet_name, details)

            await self._database.write(work)
        return accounts

    def require_within_limit(self, count: int) -> None:
        """Raises InvalidInput when a request touches more indexes than ATTO_SCAN_LIMIT."""
        if count > self._progress.limit:
            raise InvalidInput(
                f"That would touch {count} account indexes; at most {self._progress.limit} are allowed at once "
                "(ATTO_SCAN_LIMIT)",
                code="scan_limit",
            )

    async def announce(self, addresses: Sequence[Address]) -> None:
        """Tells the follower about new accounts; callers do so after the commit that creates them."""
        if addresses:
            await self._listeners.added(addresses)

    async def rows(self, wallet_name: str) -> list[AccountRow]:
        columns = tables.account.c
        query = (
            select(tables.account).where(columns.wallet_name == wallet_name).order_by(columns.account_index)
        )
        rows = [_account_row(row) for row in await self._database.fetch_all(query)]
        # An adopted table may compare names without regard to case, so the name is compared again here.
        return [row for row in rows if row.wallet_name == wallet_name]

    async def row(self, path: str) -> AccountRow | None:
        row = await self._database.fetch_one(select(tables.account).where(tables.account.c.address == path))
        return None if row is None else _account_row(row)

    async def get(self, address: Address) -> AccountRecord:
        """The account of an address; raises NotFound for an address that is not ours."""
        return await self._database.read(lambda connection: load_account(connection, address, self._network))

    async def set_disabled(self, principal: Principal, address: Address, *, disabled: bool) -> None:
        """Disables or enables an account.

        The receiver takes nothing for a disabled account, and the entries query leaves it out unless it is named.
        """
        moment = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).replace(tzinfo=None)
        columns = tables.account.c

        def work(connection: Connection) -> None:
            load_account(connection, address, self._network, lock=True)
            connection.execute(
                update(tables.account)
                .where(columns.address == address.path)
                .values(disabled_at=moment if disabled else None, version=columns.version + 1)
            )
            connection.execute(
                update(tables.chain).where(tables.chain.c.address == address.path).values(disabled=disabled)
            )
            action = "account.disable" if disabled else "account.enable"
            self._audit.append(connection, principal, action, address.path)

        await self._database.write(work)
        self._listeners.changed()

    async def set_label(self, principal: Principal, address: Address, label: str | None) -> None:
        if label is not None and (not label or len(label) > MAX_LABEL or not label.isprintable()):
            raise InvalidInput(f"A label has 1 to {MAX_LABEL} printable characters", code="invalid_label")

        def work(connection: Connection) -> None:
            load_account(connection, address, self._network, lock=True)
            connection.execute(
                update(tables.chain).where(tables.chain.c.address == address.path).values(label=label)
            )
            self._audit.append(connection, principal, "account.label", address.path, {"label": label})

        await self._database.write(work)


def derive(keys: AccountKeys, indexes: range) -> list[Derived]:
    return [Derived(index=index, address=Address(public_key=keys.public_key(index))) for index in indexes]


def insert_accounts(
    connection: Connection, wallet_name: str, accounts: Sequence[Derived], origin: str
) -> None:
    """Inserts the rows of both tables, the original server's and ours.

    `origin` is CREATED, RANGE or RECOVERED. RECOVERED marks an account that a recovery created on a guess.

    Raises:
        Conflict: an account belongs to another wallet, which then has the same mnemonic.
    """
    if not accounts:
        return
    columns = tables.chain.c
    there = columns.address.in_([one.address.path for one in accounts])
    taken = connection.execute(select(columns.address, columns.wallet_name).where(there)).first()
    if taken is not None:
        raise Conflict(
            f"Account {Address.parse(taken.address).uri} belongs to the wallet {taken.wallet_name}",
            code="account_taken",
        )
    connection.execute(
        tables.account.insert(),
        [
            {
                "address": one.address.path,
                "version": 0,
                "account_index": one.index,
                "wallet_name": wallet_name,
            }
            for one in accounts
        ],
    )
    connection.execute(
        tables.chain.insert(),
        [chain_row(one, wallet_name, origin=origin, disabled=False) for one in accounts],
    )


def chain_row(account: Derived, wallet_name: str, *, origin: str, disabled: bool) -> dict[str, Any]:
    """The row in our table of an account whose state is not known yet."""
    return {
        "address": account.address.path,
        "public_key": account.address.public_key,
        "wallet_name": wallet_name,
        "account_index": account.index,
        "origin": origin,
        "disabled": disabled,
        "version": 0,
        "height": 0,
        "balance": 0,
        "timestamp_ms": 0,
        "entry_height": 0,
    }


def _account_row(row: Any) -> AccountRow:
    return AccountRow(
        address=row.address,
        version=row.version,
        index=row.account_index,
        wallet_name=row.wallet_name,
        disabled_at=row.disabled_at,
    )
