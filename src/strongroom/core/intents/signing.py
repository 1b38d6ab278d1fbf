"""Signs a draft: checks, policy, signature, intent and audit row are one transaction.

Until the commit nothing has happened: after any failure it is safe to ask again. After the commit the signed payload exists,
and the resolver finds out its outcome.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakValueDictionary

import msgspec
from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.errors import OutcomeUnknown
from strongroom.core.intents.intent import APPROVAL, Intent
from strongroom.core.intents.steps import log_requested, log_signed
from strongroom.core.intents.store import adopt
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.policy import Granted, Payment, SignatureRequest, SigningGate, details_of
from strongroom.core.storage.database import Database

_encoder = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A payload with its signature, as the network takes it, and the 32 bytes that name it on the network."""

    id: bytes
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """A payload that is checked and complete except for its signature."""

    request: SignatureRequest
    """What the policy decides about and the audit trail records."""
    slot: bytes
    signer: Callable[[bytes], bytes]
    """Makes the signature from `request.payload_hash`."""
    seal: Callable[[bytes], Signed]
    """Adds the signature to the payload. If it raises, nothing is stored."""
    stage: str = "signed"
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the ledger wants to find in `Intent.notes` later: values that JSON can represent, never a secret."""
    attempts: int = 1
    """0: the client gets the signature and submits the payload itself."""


class Draft(Protocol):
    """A request to sign. Each ledger has one class for each way in which it signs."""

    def prepare(self, connection: Connection) -> Unsigned:
        """Locks the account's row, checks the request against the stored state, and builds the payload.

        An exception undoes the transaction and reaches the caller of `Signing.sign`. A ledger also uses exceptions to say
        that another intent is in the way or that proof of work is missing. The database may run this more than once, so it
        has no effect outside the transaction.
        """

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        """Stores the ledger's own data about the intent, in the same transaction."""


class CommitUnclear(OutcomeUnknown):
    """It is not known whether the intent is stored. If it is, the sweep resolves it."""

    def __init__(self, intent_id: bytes | None, why: str) -> None:
        """`intent_id` is None if the signing had not come so far; it may have gone on since."""
        super().__init__(f"{why}; whether anything was signed is not known")
        self.intent_id = intent_id


@dataclass(slots=True)
class _Progress:
    intent_id: bytes | None = None
    """The intent that is committed or may be committed soon; None if nothing is."""
    request: SignatureRequest | None = None
    """What is asked for, once it was checked."""


class Signing:
    """Signs drafts and stores them as intents. `ledger` is the label of its metric."""

    def __init__(
        self, ledger: str, *, database: Database, gate: SigningGate, clock: Clock, metrics: Metrics
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._gate = gate
        self._clock = clock
        self._signatures = metrics.signatures
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, account: str) -> asyncio.Lock:
        """The account's turn in this process. The caller holds it from before `sign` until the account may sign again.

        It serves this process's requests in order, without conflicts. It is not what keeps two intents from one slot: that
        is done by the lock on the account's row and the unique slot, which hold across processes.
        """
        turn = self._turns.get(account)
        if turn is None:
            turn = self._turns[account] = asyncio.Lock()
        return turn

    async def sign(self, draft: Draft) -> Intent:
        """Signs and stores in one transaction.

        If the caller is cancelled, the transaction goes on and may commit. A limit of `core.runtime.deadlines` that is over
        meanwhile therefore raises CommitUnclear in its caller, and not TimeoutError.

        Raises:
            Forbidden, and what `draft.prepare` raises: nothing was signed.
            ApprovalNeeded: the request is parked until people approve it; nothing was signed.
            Duplicate: another process took the slot first; nothing was stored.
            Unavailable: the database failed; nothing was stored.
            CommitUnclear: the database does not say whether the intent is stored.
        """
        progress = _Progress()

        def unit(connection: Connection) -> Intent:
            progress.intent_id = None  # the database may run this unit again, after an attempt that it undid
            unsigned = draft.prepare(connection)
            progress.request = unsigned.request
            with self._gate.sign(connection, unsigned.request, unsigned.signer) as granted:
                intent = adopt(connection, self._intent(unsigned, unsigned.seal(granted.signature), granted))
                granted.payload_id = intent.id
                draft.on_signed(connection, intent)
                progress.intent_id = intent.id
            return intent

        try:
            intent = await self._gate.write(self._database, unit)
        except OutcomeUnknown as error:
            raise CommitUnclear(progress.intent_id, "The database does not answer") from error
        except asyncio.CancelledError as cancelled:
            raise cancelled from CommitUnclear(progress.intent_id, "The time was over during the signing")
        finally:
            if progress.request is not None:
                log_requested(self._ledger, progress.request)
        log_signed(self._ledger, intent)
        self._signatures.labels(self._ledger, intent.kind).inc()
        return intent

    def _intent(self, unsigned: Unsigned, signed: Signed, granted: Granted) -> Intent:
        request = unsigned.request
        return Intent(
            id=signed.id,
            account=request.account,
            slot=unsigned.slot,
            kind=request.kind,
            payload=signed.payload,
            principal=request.principal.name,
            request=request_of(granted, unsigned.notes),
            wallet=request.wallet,
            token=request.principal.token,
            request_id=request.principal.request_id,
            client_key=request.deferral.key or "",
            rule=granted.rule,
            stage=unsigned.stage,
            attempts=unsigned.attempts,
            counted=granted.counted,
            created_at_ms=self._clock.now_ms(),
        )


def request_of(granted: Granted, notes: Mapping[str, Any]) -> str:
    """The JSON for `Intent.request`: what was asked for, and the ledger's own notes."""
    request = granted.request
    several = len(request.payments) > 1 or any(one.asset for one in request.payments)
    payments = {"payments": [_payment(one) for one in request.payments]} if several else {}
    unknown = {} if request.is_amount_known else {"amountRaw": None}
    approval = granted.allowed.approval
    approved = {} if approval is None else {APPROVAL: approval}
    return encode_notes({**details_of(request), **unknown, **payments, **approved, **notes})


def _payment(payment: Payment) -> dict[str, str | None]:
    return {
        "destination": payment.destination,
        "amountRaw": str(payment.amount_raw),
        "asset": payment.asset,
    }


def encode_notes(notes: Mapping[str, Any]) -> str:
    return _encoder.encode(notes).decode()
