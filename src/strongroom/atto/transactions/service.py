"""SEND and CHANGE for clients: checks the preconditions and words their errors.

When several preconditions fail, their order decides which status code the client gets; so the order is fixed.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from strongroom.atto import tables
from strongroom.atto.history.entries import load_entry
from strongroom.atto.protocol import (
    AccountEntry,
    AccountState,
    Address,
    Block,
    InsufficientBalance,
    InvalidAmount,
    InvalidTransaction,
    change_block,
    send_block,
)
from strongroom.atto.records import AccountRecord
from strongroom.atto.transactions.blocks import BlockState, require_confirmed, state_of
from strongroom.atto.transactions.drafting import BlockRequest
from strongroom.atto.transactions.parked import CHANGE, SEND, ParkedTransaction, deferral_of
from strongroom.atto.transactions.submitter import Submitter
from strongroom.core.coordination.idempotency import Attempt
from strongroom.core.errors import Conflict, InvalidInput, NotFound, OutcomeUnknown
from strongroom.core.guard.approvals.approval import slot_of
from strongroom.core.guard.approvals.store import load_by_slot as load_approval
from strongroom.core.intents.store import load_intent
from strongroom.core.security.access import Principal
from strongroom.core.storage.database import Database

SEND_SCOPE = "atto:send"
CHANGE_SCOPE = "atto:change"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionView:
    """A transaction of one of our accounts. `entry` is None until the confirmed transaction is in the stored history."""

    hash: bytes
    state: BlockState
    entry: AccountEntry | None
    reason: str | None


class Transactions:
    """Sends, changes representatives and finds transactions for clients."""

    def __init__(self, submitter: Submitter, database: Database) -> None:
        self._submitter = submitter
        self._database = database

    async def send(
        self,
        principal: Principal,
        *,
        address: Address,
        receiver: Address,
        amount_raw: int,
        last_height: int | None,
        attempt: Attempt | None,
        approval: str | None = None,
    ) -> AccountEntry:
        """Sends and returns the confirmed entry. Raises as `Submitter.submit`, and InvalidInput.

        `approval`: the id of the approved request that is carried out; None: a client asks.
        """

        def check(_connection: Connection, account: AccountRecord) -> None:
            state = require_open(account)
            if last_height is not None and state.height != last_height:
                raise Conflict(
                    f"Given height for {address.uri} does not match last known height {state.height}. "
                    "List all the newest transactions and try again!",
                    code="height_mismatch",
                )
            self._build_send(state, receiver, amount_raw, state.timestamp_ms + 1)

        def build(account: AccountRecord, timestamp_ms: int) -> Block:
            return self._build_send(require_open(account), receiver, amount_raw, timestamp_ms)

        request = BlockRequest(
            principal=principal,
            scope=SEND_SCOPE,
            address=address,
            check=check,
            build=build,
            amount_raw=amount_raw,
            destination=receiver,
            attempt=attempt,
            deferral=deferral_of(
                ParkedTransaction(
                    operation=SEND,
                    address=address.path,
                    target=receiver.path,
                    amount_raw=str(amount_raw),
                    last_height=last_height,
                ),
                attempt,
                approval,
            ),
        )
        return await self._submit(request)

    async def change(
        self,
        principal: Principal,
        *,
        address: Address,
        representative: Address,
        attempt: Attempt | None,
        approval: str | None = None,
    ) -> AccountEntry:
        """Changes the representative and returns the confirmed entry. Raises as `send`."""

        def check(_connection: Connection, account: AccountRecord) -> None:
            build(account, require_open(account).timestamp_ms + 1)

        def build(account: AccountRecord, timestamp_ms: int) -> Block:
            state = require_open(account)
            try:
                return change_block(state, representative.public_key, timestamp_ms)
            except InvalidTransaction as error:
                raise InvalidInput(str(error), code="same_representative") from error

        request = BlockRequest(
            principal=principal,
            scope=CHANGE_SCOPE,
            address=address,
            check=check,
            build=build,
            destination=representative,
            attempt=attempt,
            deferral=deferral_of(
                ParkedTransaction(operation=CHANGE, address=address.path, target=representative.path),
                attempt,
                approval,
            ),
        )
        return await self._submit(request)

    async def resume(self, block_hash: bytes) -> AccountEntry:
        """The answer to a repeated request, whose block this or an earlier process has already signed.

        Raises:
            NotFound: there is no such block.
            BlockRejected, OutcomeUnknown: as for the first request.
        """
        intent = await self._submitter.resume(block_hash)
        if intent is None:
            raise NotFound("The transaction is unknown", code="transaction_not_found")
        return require_confirmed(intent) or await self._stored_entry(block_hash)

    async def has_waited(self, principal: Principal, key: str) -> bool:
        """Whether a request waits for approval under this Idempotency-Key, or did."""
        slot = slot_of(principal.name, key, b"")
        return await self._database.read(lambda connection: load_approval(connection, slot) is not None)

    async def find(self, block_hash: bytes) -> TransactionView:
        """A transaction of one of our accounts, by its hash.

        Raises:
            NotFound: no account of ours has it.
        """

        def work(connection: Connection) -> TransactionView | None:
            entry = _entry_by_hash(connection, block_hash)
            intent = load_intent(connection, block_hash)
            if intent is None and entry is None:
                return None
            return TransactionView(
                hash=block_hash,
                # An entry proves that the chain has the block, even if the intent here was rejected.
                state=BlockState.CONFIRMED if entry or not intent else state_of(intent),
                entry=entry,
                reason=intent.reason if intent and not entry else None,
            )

        view = await self._database.read(work)
        if view is None:
            raise NotFound(
                f"Transaction {block_hash.hex().upper()} wasn't found", code="transaction_not_found"
            )
        return view

    async def _submit(self, request: BlockRequest) -> AccountEntry:
        entry = await self._submitter.submit(request)
        if entry is None:
            raise AssertionError("A SEND or CHANGE block always yields its entry")
        return entry

    async def _stored_entry(self, block_hash: bytes) -> AccountEntry:
        entry = await self._database.read(lambda connection: _entry_by_hash(connection, block_hash))
        if entry is None:
            raise OutcomeUnknown("The transaction is confirmed; its entry is not in the history yet")
        return entry

    @staticmethod
    def _build_send(state: AccountState, receiver: Address, amount_raw: int, timestamp_ms: int) -> Block:
        try:
            return send_block(state, receiver.public_key, amount_raw, timestamp_ms)
        except InsufficientBalance as error:
            raise InvalidInput("Not enough balance.", code="insufficient_balance") from error
        except (InvalidAmount, InvalidTransaction) as error:
            raise InvalidInput(str(error), code=error.code) from error


def require_open(account: AccountRecord) -> AccountState:
    """The state of an account that has at least one block.

    Raises:
        NotFound: the account is not open yet.
    """
    if account.state is None:
        raise NotFound(
            f"Account {account.address.uri} is not open yet. Please receive some attos before try again",
            code="account_not_open",
        )
    return account.state


def _entry_by_hash(connection: Connection, block_hash: bytes) -> AccountEntry | None:
    row = connection.execute(select(tables.entry).where(tables.entry.c.hash == block_hash)).first()
    return None if row is None else load_entry(row, Address.parse(row.address).public_key)
