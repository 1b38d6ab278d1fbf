"""The gate in front of every signature.

All signatures are made in `SigningGate.sign`: the gate asks the policy, lets the ledger's signer sign, and writes the audit row in
the caller's transaction. If the policy refuses, nothing is signed.
"""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Connection

from strongroom.core.errors import Forbidden
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.storage.database import Database

T = TypeVar("T")


EXPORT: Final = "EXPORT"
"""The kind of a request that has a secret given out, on every ledger. It takes whatever the secret reaches, so that its amount is not
known, and without a rule that asks for more it needs the approval of one other (`core.guard.approvals.spending`)."""


class Unsaid(enum.Enum):
    """What a signature may concern and does not say. A rule takes the worst: it denies it, and neither allows nor exempts it."""

    ANY = "any"


Term = str | int | tuple[str | int, ...] | Unsaid | None
"""What a signature says of one fact: a value, several of them, each of which a rule looks at, or that it may be any. None and
an empty tuple: the fact does not concern it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What one destination gets. `asset` is empty for the ledger's own coin."""

    destination: str | None
    """None: nobody that could be named."""
    amount_raw: int
    asset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """What is needed of a request that waits for approvals, so that it can be told from others and carried out later."""

    key: str | None = None
    """The client's Idempotency-Key. Requests of one principal with the same key are one request."""
    document: Mapping[str, Any] | None = None
    """The request in the ledger's own words, with which the ledger carries it out; never a secret. None: only whoever asked
    can have it signed, by asking again."""
    approval: str | None = None
    """The id of the approved request that is being carried out; None: somebody asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureRequest:
    """A request for one signature, in terms that all ledgers share."""

    principal: Principal
    scope: str
    """The scope that the principal needs, for example `toy:send`."""
    account: str
    """The address of the signing account."""
    kind: str
    """The ledger's own word for the payload, for example `SEND`."""
    payload_hash: bytes
    wallet: str = ""
    """Name of the wallet that the account is of."""
    amount_raw: int = 0
    """The amount that leaves the account, in the ledger's smallest unit."""
    is_amount_known: bool = True
    """False: the payload does not say what it takes from the account, so that it passes no limit."""
    destination: str | None = None
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    """Further details for the audit trail, in the ledger's words; never a secret."""
    content_hash: bytes | None = None
    """What an approval holds for besides `terms`, `payments` and the names above: the hash of the payload without what changes
    while people decide, such as a nonce. Empty: the rest says everything. None: `payload_hash`, so that an approval holds for
    exactly these bytes."""
    deferral: Deferral = field(default_factory=Deferral)

    @property
    def terms(self) -> Mapping[str, Term]:
        """What rules may ask of it beyond the fields above, by the names of the ledger's vocabulary."""
        return self.facts

    @property
    def payments(self) -> Sequence[Payment]:
        """What leaves the account, by destination. A ledger whose payloads pay several says so in a subclass."""
        if self.destination is None and not self.amount_raw:
            return ()
        return (Payment(destination=self.destination, amount_raw=self.amount_raw),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Why a signature is made, and what it counts."""

    rule: str | None = None
    """The name of the rule that allowed it; None: no rule did, and none had to."""
    counted: str | None = None
    """What it counts in the windows of rules (`core.coordination.windows`); None: nothing."""
    approval: str | None = None
    """The id of the request that people approved, and which is spent by this signature."""

    @property
    def details(self) -> dict[str, str]:
        """For the audit row of the signature."""
        found = {"rule": self.rule, "approval": self.approval, "counted": self.counted}
        return {name: value for name, value in found.items() if value is not None}


class Policy(Protocol):
    """Decides whether a signature is made."""

    def authorize(self, connection: Connection, request: SignatureRequest) -> Allowed:
        """Returns when the signature is allowed.

        It runs in the transaction that signs, and what it counts commits with the signature or not at all.

        Raises:
            Forbidden: it is not; ApprovalNeeded: not before people approve it.
        """

    def ask(self, connection: Connection, request: SignatureRequest) -> Allowed:
        """What `authorize` would say now; nothing is counted.

        Raises:
            Forbidden: it would refuse.
        """


@dataclass(slots=True, kw_only=True)
class Granted:
    """What the gate let through."""

    request: SignatureRequest
    signature: bytes
    """Empty for a payload that its owner signed elsewhere."""
    allowed: Allowed
    payload_id: bytes | None = None
    """The id of the signed payload, which whoever stores it says; None: `request.payload_hash` names it."""

    @property
    def rule(self) -> str | None:
        return self.allowed.rule

    @property
    def counted(self) -> str | None:
        """Whoever stores the payload stores this with it."""
        return self.allowed.counted


class Parking(Protocol):
    """Keeps the requests that wait for approvals."""

    async def write(self, database: Database, work: Callable[[Connection], T]) -> T:
        """Runs a unit of work that signs, as `Database.write`; what it may not sign before people approve it is parked.

        Raises:
            ApprovalNeeded: it is parked, under the error's id; nothing was signed.
        """

    def spent(
        self, connection: Connection, principal: Principal, approval: str, payload_id: bytes | None
    ) -> None:
        """Stores what the principal spent an approval on, in the transaction that signs. None: on no signature."""


Teller = Callable[[Connection, Granted, bytes], None]
"""Hears of a signature whose payload is stored under this id, in its transaction."""


class SigningGate:
    """Policy, signature and audit row as one step inside the caller's transaction.

    Units of work that call `sign` or `admit` run in `write`, so that what needs approvals is parked.
    """

    def __init__(
        self,
        policy: Policy,
        audit: Audit,
        parking: Parking | None = None,
        tell: Teller | None = None,
        refused: Callable[[Forbidden], None] = lambda _error: None,
    ) -> None:
        """Without `parking`, what needs approvals is refused. `tell` hears of what is signed and stored, `refused` of what is not."""
        self._policy = policy
        self._audit = audit
        self._parking = parking
        self._tell = tell
        self._refused = refused
        self._tokens = TokenRows(audit.key)

    async def write(self, database: Database, work: Callable[[Connection], T]) -> T:
        """Runs a unit of work that signs or admits. Raises: what `work` and `Database.write` raise, and what `Parking.write` does."""
        try:
            if self._parking is None:
                return await database.write(work)
            return await self._parking.write(database, work)
        except Forbidden as error:
            self._refused(error)
            raise

    @contextmanager
    def sign(
        self, connection: Connection, request: SignatureRequest, signer: Callable[[bytes], bytes]
    ) -> Iterator[Granted]:
        """Signs `request.payload_hash`; the caller's block stores the signed payload.

            with gate.sign(connection, request, signer) as granted:
                ...

        The audit row is written at the end of the block, because the head of its lane in the trail stays locked from then to the
        commit. If the block raises, no row is written, and the exception undoes the transaction.

        Raises:
            Unauthenticated: the principal's token was revoked after the request began; nothing was signed.
            Forbidden: the policy refused; nothing was signed.
        """
        self._tokens.require_unrevoked(connection, request.principal)
        allowed = self._policy.authorize(connection, request)
        granted = Granted(request=request, signature=signer(request.payload_hash), allowed=allowed)
        yield granted
        self._record(connection, "sign", granted)

    @contextmanager
    def admit(self, connection: Connection, request: SignatureRequest) -> Iterator[Granted]:
        """As `sign`, for a payload that its owner signed elsewhere: policy and audit row, no signature.

        Raises:
            Unauthenticated: the principal's token was revoked after the request began.
            Forbidden: the policy refused.
        """
        granted = self._granted(connection, request)
        yield granted
        self._record(connection, "admit", granted)

    @contextmanager
    def release(self, connection: Connection, request: SignatureRequest) -> Iterator[None]:
        """As `sign`, for a secret that is given out: policy and audit row. The caller's block opens the secret.

        Raises:
            Unauthenticated: the principal's token was revoked after the request began.
            Forbidden: the policy refused, or nobody has approved it yet.
        """
        granted = self._granted(connection, request)
        yield
        self._spend(connection, granted, None)
        details = {"kind": request.kind, **request.facts, **granted.allowed.details}
        self._audit.append(connection, request.principal, "export", request.account, details)

    def _granted(self, connection: Connection, request: SignatureRequest) -> Granted:
        self._tokens.require_unrevoked(connection, request.principal)
        allowed = self._policy.authorize(connection, request)
        return Granted(request=request, signature=b"", allowed=allowed)

    def _record(self, connection: Connection, action: str, granted: Granted) -> None:
        request = granted.request
        self._spend(connection, granted, granted.payload_id or request.payload_hash)
        details = {**details_of(request), **granted.allowed.details}
        if granted.payload_id not in {None, request.payload_hash}:
            details["payment"] = granted.payload_id.hex().upper()
        if granted.payload_id is not None and self._tell is not None:
            self._tell(connection, granted, granted.payload_id)
        self._audit.append(connection, request.principal, action, request.account, details)

    def _spend(self, connection: Connection, granted: Granted, payload_id: bytes | None) -> None:
        """Stores what an approval was spent on, if there is one."""
        approval = granted.allowed.approval
        if approval is not None and self._parking is not None:
            self._parking.spent(connection, granted.request.principal, approval, payload_id)


def details_of(request: SignatureRequest) -> dict[str, Any]:
    """The audit details of a signature."""
    return {
        "kind": request.kind,
        "hash": request.payload_hash.hex().upper(),
        "amountRaw": str(request.amount_raw),
        "destination": request.destination,
        **request.facts,
    }
