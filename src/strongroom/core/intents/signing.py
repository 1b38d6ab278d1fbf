"""The guarded write: check, policy, signature, intent, audit row and commit as one unit of work.

Until the commit nothing has happened and any failure is clean: `Unavailable`, ask again. After it the signed payload
exists, and its outcome belongs to the resolver.
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
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import adopt
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.policy import SignatureRequest, SigningGate, details_of
from strongroom.core.storage.database import Database

_encoder = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A payload with its signature in it, as the network takes it, and the 32 bytes that name it there."""

    id: bytes
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """A payload that was checked and lacks its signature alone."""

    request: SignatureRequest
    """What the policy is asked and the audit trail says."""
    slot: bytes
    signer: Callable[[bytes], bytes]
    """Makes the signature; it is given `request.payload_hash`."""
    seal: Callable[[bytes], Signed]
    """Puts the signature in. It may raise: then nothing is stored."""
    stage: str = "signed"
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What else the ledger wants to find in `Intent.notes`: whatever JSON can hold, never a secret."""
    attempts: int = 1
    """0: the signature leaves the house, and others submit the payload."""


class Draft(Protocol):
    """What should be signed. The ledger writes one class for each way in which it signs."""

    def prepare(self, connection: Connection) -> Unsigned:
        """Locks the account's row, then checks and builds, all against what is stored.

        Whatever it raises undoes the unit of work and reaches the caller of `Signing.sign`: also that another intent is in
        the way, or that proof of work is missing. It may run more than once, so it has no other effect.
        """

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        """Stores what belongs to the intent in the ledger's own tables, in the same transaction."""


@dataclass(slots=True)
class SigningAttempt:
    """How far a `sign` has come, for a caller that cannot wait for its end."""

    intent_id: bytes | None = None
    """What is about to be committed, or was; None: nothing is."""


class CommitUnclear(OutcomeUnknown):
    """The database does not say whether it stored the intent. If it did, the sweep takes it up."""

    def __init__(self, intent_id: bytes | None) -> None:
        super().__init__("The database does not answer; whether anything was signed is not known")
        self.intent_id = intent_id


class Signing:
    """Makes intents of drafts. `ledger` is the label of its metric."""

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
        """Hold it from before `sign` until the next intent of the account may be signed.

        It only spares this process's requests from disturbing each other, and serves them in order. That no two
        intents take one slot rests on the account's row lock and on the unique slot, which hold for every process.
        """
        turn = self._turns.get(account)
        if turn is None:
            turn = self._turns[account] = asyncio.Lock()
        return turn

    async def sign(self, draft: Draft, attempt: SigningAttempt | None = None) -> Intent:
        """Signs and stores, in one transaction. Cancelled, it may commit all the same: `attempt` knows what.

        Raises:
            Forbidden, and whatever `draft.prepare` raises: nothing was signed.
            Duplicate: another process was quicker with this slot; nothing was stored.
            Unavailable: the database does not do it; nothing was stored.
            CommitUnclear: it does not say whether it was stored.
        """
        progress = attempt or SigningAttempt()

        def unit(connection: Connection) -> Intent:
            progress.intent_id = None
            unsigned = draft.prepare(connection)
            with self._gate.sign(connection, unsigned.request, unsigned.signer) as signature:
                intent = adopt(connection, self._intent(unsigned, unsigned.seal(signature)))
                draft.on_signed(connection, intent)
                progress.intent_id = intent.id
            return intent

        try:
            intent = await self._database.write(unit)
        except OutcomeUnknown as error:
            raise CommitUnclear(progress.intent_id) from error
        self._signatures.labels(self._ledger, intent.kind).inc()
        return intent

    def _intent(self, unsigned: Unsigned, signed: Signed) -> Intent:
        request = unsigned.request
        return Intent(
            id=signed.id,
            account=request.account,
            slot=unsigned.slot,
            kind=request.kind,
            payload=signed.payload,
            principal=request.principal.name,
            request=encode_notes({**details_of(request), **unsigned.notes}),
            stage=unsigned.stage,
            attempts=unsigned.attempts,
            created_at_ms=self._clock.now_ms(),
        )


def encode_notes(notes: Mapping[str, Any]) -> str:
    """The JSON of `Intent.request`, for a payload that is adopted."""
    return _encoder.encode(notes).decode()
