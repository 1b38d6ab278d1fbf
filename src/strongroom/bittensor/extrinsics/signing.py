"""Signs extrinsics and stores them, in one unit of work of the caller's: whoever submits them, this is the only way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from strongroom.bittensor.authorization.policy import KeyUse
from strongroom.bittensor.extrinsics.store import Extrinsic, State, insert_signed
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.extrinsics import Unsigned, blake2_256
from strongroom.core.clock import Clock
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.policy import SigningGate


class SigningKey(Protocol):
    """An open key."""

    @property
    def public_key(self) -> bytes: ...
    @property
    def address(self) -> str: ...
    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtrinsicDraft:
    """What is to be signed, with a nonce that is free in the unit of work in which it is signed."""

    use: KeyUse
    key: SigningKey
    unsigned: Unsigned
    era: Era
    job: str
    attempts: int
    """1: this service offers it next. 0: others submit it."""
    on_signed: Callable[[Connection, Extrinsic], None]
    """Stores what belongs to the extrinsic, in the same transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedExtrinsic:
    extrinsic: Extrinsic
    raw: bytes
    """The bytes that are submitted: always these and no others."""
    signature: bytes


class ExtrinsicSigner:
    """`wake` is called when there is something new to follow."""

    def __init__(
        self, *, gate: SigningGate, clock: Clock, metrics: Metrics, wake: Callable[[], None]
    ) -> None:
        self.wake = wake
        self._gate = gate
        self._clock = clock
        self._signatures = metrics.signatures

    def sign(self, connection: Connection, draft: ExtrinsicDraft) -> SignedExtrinsic:
        """Raises: Forbidden: the token's limits or the policy; nothing was signed."""
        unsigned, payload = draft.unsigned, draft.unsigned.payload
        with self._gate.sign(connection, draft.use, lambda _hash: draft.key.sign(payload)) as signature:
            raw = unsigned.signed(draft.key.public_key, signature)
            extrinsic = Extrinsic(
                hash=blake2_256(raw),
                job=draft.job,
                public_key=draft.key.public_key,
                nonce=unsigned.nonce,
                call_name=draft.use.kind,
                spec_version=unsigned.spec_version,
                first_block=draft.era.first,
                last_block=draft.era.last,
                state=State.SIGNED,
                attempts=draft.attempts,
                created_at_ms=self._clock.now_ms(),
            )
            draft.on_signed(connection, extrinsic)
            insert_signed(connection, extrinsic, raw)
        return SignedExtrinsic(extrinsic=extrinsic, raw=raw, signature=signature)

    def count(self, call_name: str) -> None:
        """Counts a signature in the metrics, after its commit."""
        self._signatures.labels("bittensor", call_name).inc()
