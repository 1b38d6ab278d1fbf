"""Reads wallets and accounts from the ledger's tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from strongroom.atto import tables
from strongroom.atto.protocol import AccountState, Address, Network
from strongroom.core.errors import NotFound
from strongroom.core.storage.database import holding, locking

WALLET_COLUMNS = (
    tables.wallet.c.name,
    tables.wallet.c.encrypted_entropy,
    tables.wallet.c.encrypted_encryption_key,
)

# Every send runs these statements. They are built once, because building one costs as much as executing it.
_ACCOUNT = select(tables.chain).where(tables.chain.c.address == bindparam("path"))
_ACCOUNT_LOCKED = locking(_ACCOUNT)
_WALLET = select(*WALLET_COLUMNS).where(tables.wallet.c.name == bindparam("wallet_name"))
_WALLET_HELD = holding(_WALLET)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletRecord:
    """A wallet as stored; its secrets are sealed."""

    name: str
    sealed_entropy: bytes
    sealed_key: bytes | None
    """None while the wallet is locked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord:
    """An account and the stored state of its chain."""

    address: Address
    wallet_name: str
    index: int
    disabled: bool
    label: str | None
    state: AccountState | None
    """None until the account is open."""
    open_block: bytes | None
    """The hash of the signed block whose outcome is open."""
    entry_height: int
    """The history has every entry up to this height."""
    work_target: bytes | None
    work: bytes | None

    @property
    def height(self) -> int:
        return self.state.height if self.state else 0


def account_record(row: Row[Any], network: Network) -> AccountRecord:
    state = None
    if row.height > 0:
        state = AccountState(
            network=network,
            version=row.version,
            public_key=row.public_key,
            height=row.height,
            balance=row.balance,
            frontier=row.frontier,
            timestamp_ms=row.timestamp_ms,
            representative_public_key=row.representative,
        )
    return AccountRecord(
        address=Address(public_key=row.public_key),
        wallet_name=row.wallet_name,
        index=row.account_index,
        disabled=bool(row.disabled),
        label=row.label,
        state=state,
        open_block=row.pending,
        entry_height=row.entry_height,
        work_target=row.work_target,
        work=row.work,
    )


def load_account(
    connection: Connection, address: Address, network: Network, *, lock: bool = False
) -> AccountRecord:
    """Reads one account; `lock` locks its row until the transaction ends.

    Raises:
        NotFound: the address is not one of ours.
    """
    row = connection.execute(_ACCOUNT_LOCKED if lock else _ACCOUNT, {"path": address.path}).first()
    if row is None:
        raise NotFound(f"Address  {address.uri} wasn't found", code="account_not_found")
    return account_record(row, network)


def load_wallet(connection: Connection, name: str, *, hold: bool = False) -> WalletRecord | None:
    """Reads one wallet; None when there is none with exactly this name.

    The name is compared again here, because an adopted table may compare names without regard to case.

    `hold` takes a shared lock until the transaction ends. So a wallet cannot be locked between a signature with its key and
    the commit that stores and audits this signature.
    """
    rows = connection.execute(_WALLET_HELD if hold else _WALLET, {"wallet_name": name}).all()
    return next((record for record in wallet_records(rows) if record.name == name), None)


def wallet_records(rows: Sequence[Any]) -> list[WalletRecord]:
    return [
        WalletRecord(
            name=row.name, sealed_entropy=row.encrypted_entropy, sealed_key=row.encrypted_encryption_key
        )
        for row in rows
    ]


def state_values(state: AccountState) -> dict[str, Any]:
    """The values of the columns of `strongroom_atto_account` that store an account's state."""
    return {
        "version": state.version,
        "height": state.height,
        "balance": state.balance,
        "frontier": state.frontier,
        "timestamp_ms": state.timestamp_ms,
        "representative": state.representative_public_key,
    }
