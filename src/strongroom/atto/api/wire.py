"""The documents of the API. Amounts are JSON numbers in raw; a request may also write them as decimal strings."""

from typing import Annotated

import msgspec
from litestar.openapi.spec import OpenAPIType, Schema
from msgspec import UNSET, UnsetType

from strongroom.atto.history.queries import Page, PendingReceivable, Totals
from strongroom.atto.history.views import EntryView, entry_view
from strongroom.atto.protocol import MAX_SUPPLY_RAW, U64_MAX, AccountState, Address, ProtocolError
from strongroom.atto.records import AccountRecord, WalletRecord
from strongroom.atto.transactions.blocks import BlockState
from strongroom.atto.transactions.service import TransactionView
from strongroom.atto.wallets.accounts import AccountRow, Derived
from strongroom.atto.wallets.recovery import Recovery
from strongroom.core.clock import iso_instant
from strongroom.core.errors import InvalidInput
from strongroom.core.guard.approvals.approval import Approval, ApprovalState

MAX_DIGITS = 20

_INTEGER = Schema(type=OpenAPIType.INTEGER, minimum=0)
_DECIMAL = Schema(type=OpenAPIType.STRING, pattern="^[0-9]+$")


def _number(*forms: Schema) -> msgspec.Meta:
    description = "An integer, or a decimal string of one."
    return msgspec.Meta(extra_json_schema={"description": description, "extra": {"one_of": list(forms)}})


# Floats are part of the type so that we can refuse them. Otherwise the framework converts them to integers silently:
# 1.0 to 1, and 9007199254740993.0 to a number that the caller did not write.
Unsigned = Annotated[int | float | str, _number(_INTEGER, _DECIMAL)]
OptionalUnsigned = Annotated[
    int | float | str | None, _number(_INTEGER, _DECIMAL, Schema(type=OpenAPIType.NULL))
]


class _Document(msgspec.Struct, kw_only=True, rename="camel"):
    pass


class WalletState(_Document):
    name: str
    lock_state: str


class WalletImportRequest(_Document):
    mnemonic: str
    encryption_key: str | None = None


class WalletCreationResponse(_Document):
    mnemonic: str
    encryption_key: str


class WalletUnlockRequest(_Document):
    encryption_key: str


class WalletKeyRequest(_Document):
    encryption_key: str
    """The wallet's key as it is."""
    new_encryption_key: str
    """64 hex digits. No answer contains it."""


class WalletExportResponse(_Document):
    mnemonic: str


class AccountCreationResponse(_Document):
    address: str
    display_address: str
    index: int


class Account(_Document):
    address: str
    version: int
    account_index: int
    wallet_name: str
    disabled_at: str | None


class AccountDetails(_Document):
    address: str
    version: int
    height: int
    balance: int
    last_transaction_hash: str
    last_transaction_timestamp: int
    representative_address: str


class SendRequest(_Document):
    receiver_address: str
    amount: Unsigned
    last_height: OptionalUnsigned = None


class ChangeRequest(_Document):
    representative_address: str


class AccountRecoveryRequest(_Document):
    gap_limit: Unsigned


class RecoveredAccount(_Document):
    address: str
    display_address: str
    index: int
    opened: bool
    recovered: bool


class AccountRecoveryResponse(_Document):
    """The result of a recovery. `limitReached` is present, and true, if it stopped at ATTO_SCAN_LIMIT: repeat it to go on."""

    from_index: int
    to_index: int
    scanned_count: int
    gap_count: int
    recovered_count: int
    existing_count: int
    accounts: list[RecoveredAccount]
    limit_reached: bool | UnsetType = UNSET


class AccountHeightSearch(_Document):
    address: str
    from_height: Unsigned
    to_height: OptionalUnsigned = None


class HeightSearch(_Document):
    search: list[AccountHeightSearch]


class EntryPage(_Document):
    """A page of entries, newest first. `nextCursor` is null on the last page."""

    entries: list[EntryView]
    next_cursor: str | None


class ReceivableView(_Document):
    hash: str
    address: str
    amount: int
    sender_address: str
    timestamp: int
    problem: str | None


class WalletTotals(_Document):
    name: str
    accounts: int
    opened_accounts: int
    balance: int
    receivable_count: int
    receivable_amount: int


class Label(_Document):
    address: str
    index: int
    label: str | None


class LabelRequest(_Document):
    label: str | None


class TransactionStatus(_Document):
    """A transaction of ours. `state` is SIGNED (the outcome is open), CONFIRMED or REJECTED."""

    hash: str
    state: BlockState
    reason: str | None
    entry: EntryView | None


class ApprovalStatus(_Document):
    """A request that waits for approvals, or did.

    `state` is parked, approved, refused, expired, spent (it was signed, as the transaction `hash`) or failed.
    """

    id: str
    state: ApprovalState
    reason: str | None
    expires_at: str
    hash: str | None


def wallet_state(wallet: WalletRecord) -> WalletState:
    return WalletState(name=wallet.name, lock_state="LOCKED" if wallet.sealed_key is None else "UNLOCKED")


def account_creation(account: Derived) -> AccountCreationResponse:
    return AccountCreationResponse(
        address=account.address.path, display_address=account.address.uri, index=account.index
    )


def account_row(row: AccountRow) -> Account:
    moment = row.disabled_at
    return Account(
        address=row.address,
        version=row.version,
        account_index=row.index,
        wallet_name=row.wallet_name,
        disabled_at=None if moment is None else moment.isoformat() + "Z",
    )


def account_details(state: AccountState) -> AccountDetails:
    return AccountDetails(
        address=Address(public_key=state.public_key).path,
        version=state.version,
        height=state.height,
        balance=state.balance,
        last_transaction_hash=state.frontier.hex().upper(),
        last_transaction_timestamp=state.timestamp_ms,
        representative_address=Address(public_key=state.representative_public_key).path,
    )


def recovery_response(recovery: Recovery) -> AccountRecoveryResponse:
    accounts = [
        RecoveredAccount(
            address=one.account.address.path,
            display_address=one.account.address.uri,
            index=one.account.index,
            opened=one.opened,
            recovered=one.account.index not in recovery.existing,
        )
        for one in recovery.accounts
    ]
    recovered = sum(one.recovered for one in accounts)
    return AccountRecoveryResponse(
        from_index=recovery.from_index,
        to_index=recovery.to_index,
        scanned_count=recovery.scanned_count,
        gap_count=recovery.gap_count,
        recovered_count=recovered,
        existing_count=len(accounts) - recovered,
        accounts=accounts,
        limit_reached=recovery.limit_reached or UNSET,
    )


def transaction_status(view: TransactionView) -> TransactionStatus:
    return TransactionStatus(
        hash=view.hash.hex().upper(),
        state=view.state,
        reason=view.reason,
        entry=None if view.entry is None else entry_view(view.entry),
    )


def approval_status(approval: Approval) -> ApprovalStatus:
    return ApprovalStatus(
        id=approval.id,
        state=approval.state,
        reason=approval.reason,
        expires_at=iso_instant(approval.expires_at_ms),
        hash=None if approval.payload_id is None else approval.payload_id.hex().upper(),
    )


def wallet_totals(totals: Totals) -> WalletTotals:
    return WalletTotals(
        name=totals.wallet_name,
        accounts=totals.accounts,
        opened_accounts=totals.opened_accounts,
        balance=totals.balance_raw,
        receivable_count=totals.receivable_count,
        receivable_amount=totals.receivable_raw,
    )


def entry_page(page: Page) -> EntryPage:
    return EntryPage(entries=[entry_view(entry) for entry in page.entries], next_cursor=page.next_cursor)


def receivable_view(waiting: PendingReceivable) -> ReceivableView:
    return ReceivableView(
        hash=waiting.receivable.hash.hex().upper(),
        address=Address(public_key=waiting.receivable.receiver_public_key).path,
        amount=waiting.receivable.amount,
        sender_address=Address(public_key=waiting.receivable.sender_public_key).path,
        timestamp=waiting.receivable.timestamp_ms,
        problem=waiting.problem,
    )


def label_of(account: AccountRecord) -> Label:
    return Label(address=account.address.path, index=account.index, label=account.label)


def parse_unsigned(value: float | str, name: str, *, high: int = U64_MAX) -> int:
    """Reads an integer or a decimal string from 0 to `high`; refuses every float, also a whole number such as 1.0."""
    text = str(value)
    if (
        isinstance(value, float)
        or not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS)
        or int(text) > high
    ):
        raise InvalidInput(f"{name} must be an integer from 0 to {high}", code="invalid_number")
    return int(text)


def parse_amount(value: float | str) -> int:
    return parse_unsigned(value, "amount", high=MAX_SUPPLY_RAW)


def parse_address(text: str) -> Address:
    """Reads an address, with or without `atto://`."""
    try:
        return Address.parse(text)
    except ProtocolError as error:
        raise InvalidInput(f"Invalid address: {error}", code=error.code) from error


def parse_hash(text: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32:  # noqa: PLR2004 - BLAKE2b-256
        raise InvalidInput("A hash has 64 hex digits", code="invalid_hash")
    return value
