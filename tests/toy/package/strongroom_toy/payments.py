"""Payments: signed once, stored before they are submitted, and followed until their outcome is known."""

import asyncio
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from strongroom.core.errors import Conflict, InvalidInput, NotFound, OutcomeUnknown, Unavailable
from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected
from strongroom.core.intents.resolver import Resolver
from strongroom.core.intents.signing import Signed, Signing, Unsigned
from strongroom.core.intents.store import load_intent, reject_all
from strongroom.core.runtime.deadlines import Deadlines
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.storage.database import Database
from strongroom_toy import tables
from strongroom_toy.accounts import Accounts, lock_account
from strongroom_toy.node import Overtaken
from strongroom_toy.protocol import MAX_AMOUNT, SignedTransfer, Transfer, is_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a client wants paid. `reference` is its own word for it: the same word is paid once."""

    account: str
    reference: str
    receiver: str
    amount: int


class _InTheWay(Exception):
    """Nothing is signed now: an intent of the account has to be resolved first, or is this very payment's."""

    def __init__(self, intent_id: bytes, *, is_same: bool) -> None:
        super().__init__()
        self.intent_id = intent_id
        self.is_same = is_same


class PaymentDraft:
    """The `Draft` of `core.intents.signing`: both methods run in the one transaction that signs."""

    def __init__(self, wish: Wish, principal: Principal, accounts: Accounts) -> None:
        self._wish = wish
        self._principal = principal
        self._accounts = accounts

    def prepare(self, connection: Connection) -> Unsigned:
        wish = self._wish
        row = lock_account(connection, wish.account)
        if (known := _load(connection, wish.account, wish.reference)) is not None:
            if (known.receiver, known.amount) != (wish.receiver, wish.amount):
                raise Conflict(f"The reference {wish.reference} belongs to another payment")
            raise _InTheWay(known.intent, is_same=True)
        if row.open_intent is not None:
            raise _InTheWay(row.open_intent, is_same=False)
        transfer = Transfer(
            sender=wish.account,
            receiver=wish.receiver,
            amount=wish.amount,
            number=row.next_number,
            reference=wish.reference,
        )
        request = SignatureRequest(
            principal=self._principal,
            scope="toy:pay",
            account=wish.account,
            kind="PAYMENT",
            payload_hash=transfer.digest,
            amount_raw=wish.amount,
            destination=wish.receiver,
            facts={"reference": wish.reference},
        )
        key = self._accounts.open_key(connection, row)

        def seal(signature: bytes) -> Signed:
            signed = SignedTransfer(transfer=transfer, signature=signature.hex())
            return Signed(id=signed.id, payload=signed.payload)

        return Unsigned(request=request, slot=transfer.slot, signer=key.sign, seal=seal)

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        columns = tables.account.c
        connection.execute(
            update(tables.account).where(columns.address == intent.account).values(open_intent=intent.id)
        )
        wish = self._wish
        row = {"account": wish.account, "reference": wish.reference, "receiver": wish.receiver}
        connection.execute(tables.payment.insert(), {**row, "amount": wish.amount, "intent": intent.id})


class PaymentEffects:
    """The `Effects` of `core.intents.network`: what an outcome changes in the ledger's own tables."""

    def apply(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending) -> None:
        row = lock_account(connection, intent.account)
        columns = tables.account.c
        number = SignedTransfer.parse(intent.payload).transfer.number
        values: dict[str, Any] = {}
        if row.open_intent == intent.id and not isinstance(verdict, Pending):
            values["open_intent"] = None
        # A number that the chain has taken is gone, by whatever transfer.
        if isinstance(verdict, Accepted):
            values["next_number"] = max(row.next_number, number + 1)
        elif isinstance(verdict, Overtaken):
            values["next_number"] = max(row.next_number, verdict.next_number)
        if values:
            connection.execute(update(tables.account).where(columns.address == intent.account).values(values))

    def applied(self, intent: Intent, verdict: Accepted | Rejected | Pending, effect: None) -> None:
        """Nobody else has to be told."""


def abandon(connection: Connection, intent_id: bytes, audit: Audit, now_ms: int) -> None:
    """The operator's way out: the account pays again, although nobody could prove that the chain never takes the transfer.

    Raises:
        NotFound, Conflict: there is no such transfer, or its outcome is known.
    """
    intent = load_intent(connection, intent_id)
    if intent is None:
        raise NotFound(f"There is no transfer {intent_id.hex()}")
    row = lock_account(connection, intent.account)
    verdict = Rejected(reason="The operator gave it up", stage="abandoned")
    if row.open_intent != intent_id or not reject_all(connection, [intent_id], verdict, now_ms):
        raise Conflict(f"The outcome of {intent_id.hex()} is known")
    columns = tables.account.c
    connection.execute(
        update(tables.account).where(columns.address == intent.account).values(open_intent=None)
    )
    audit.append(connection, OPERATOR, "payment.abandon", intent_id.hex())


class Payments:
    def __init__(
        self,
        *,
        database: Database,
        accounts: Accounts,
        signing: Signing,
        resolver: Resolver[None],
        timeout_s: int,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._signing = signing
        self._resolver = resolver
        self._timeout_s = timeout_s
        self._deadlines = Deadlines()

    async def pay(self, principal: Principal, wish: Wish) -> Intent:
        """The payment with its outcome. The same wish again never pays again: it finds the payment.

        Raises:
            InvalidInput, NotFound, Conflict, Forbidden, Unavailable: nothing was signed.
            OutcomeUnknown: it is signed, or may be, and its outcome was not known in time. Ask again with the same reference.
        """
        principal.require("toy:pay")
        _require_valid(wish)
        draft = PaymentDraft(wish, principal, self._accounts)
        intent_id: bytes | None = None
        try:
            async with self._deadlines.limit(self._timeout_s), self._signing.turn(wish.account):
                while True:
                    try:
                        intent = await self._signing.sign(draft)
                    except _InTheWay as found:
                        intent_id = found.intent_id if found.is_same else None
                        resolved = await self._resolver.wait(found.intent_id)
                        if found.is_same and resolved is not None:
                            return resolved.intent
                    else:
                        intent_id = intent.id
                        return (await asyncio.shield(self._resolver.resolve(intent))).intent
        except TimeoutError:  # a limit that is over during `sign` raises CommitUnclear, an OutcomeUnknown
            if intent_id is None:
                raise Unavailable("Timed out before anything was signed; it is safe to try again") from None
            raise OutcomeUnknown(
                "Timed out: it is signed, and its outcome is open. Ask again with the same reference"
            ) from None

    async def find(self, principal: Principal, account: str, reference: str) -> Intent:
        """Raises: NotFound."""
        principal.require("toy:read")

        def work(connection: Connection) -> Intent | None:
            row = _load(connection, account, reference)
            return None if row is None else load_intent(connection, row.intent)

        found = await self._database.read(work)
        if found is None:
            raise NotFound(f"{account} has no payment {reference}")
        return found

    def end_waits(self) -> None:
        """The process stops: whoever waits is answered now."""
        self._deadlines.end()


def _load(connection: Connection, account: str, reference: str) -> Row[Any] | None:
    columns = tables.payment.c
    query = select(tables.payment).where(columns.account == account, columns.reference == reference)
    return connection.execute(query).first()


def _require_valid(wish: Wish) -> None:
    if not is_address(wish.receiver):
        raise InvalidInput(f"{wish.receiver!r} is no address")
    if not 0 < wish.amount <= MAX_AMOUNT:
        raise InvalidInput(f"The amount is from 1 to {MAX_AMOUNT}")
    if not (0 < len(wish.reference) <= 64 and wish.reference.isascii() and wish.reference.isalnum()):
        raise InvalidInput("A reference has 1 to 64 letters and digits")
