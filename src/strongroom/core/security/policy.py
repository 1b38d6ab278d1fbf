"""The one gate in front of every signature.

A signature that does not pass through `SigningGate.sign` does not exist: the gate asks the policy, lets the
ledger's signer sign, and writes the audit row in the caller's transaction. A refusal leaves no signature.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureRequest:
    """What is about to be signed, in terms that every ledger shares."""

    principal: Principal
    scope: str
    """The right that the principal needs, for example `toy:send`."""
    account: str
    """Address of the signing account."""
    kind: str
    """The ledger's own word for the payload, for example `SEND`."""
    payload_hash: bytes
    amount_raw: int = 0
    """What leaves the account, in the ledger's smallest unit."""
    destination: str | None = None
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    """What else the audit trail shall say, in the ledger's words; never a secret."""


class Policy:
    """Decides; for now it allows what the principal's scope allows."""

    def authorize(self, request: SignatureRequest) -> None:
        """Returns when the signature is allowed.

        Raises:
            Forbidden: it is not.
        """
        request.principal.require(request.scope)


class SigningGate:
    """Policy, signature and audit row as one step inside the caller's transaction."""

    def __init__(self, policy: Policy, audit: Audit) -> None:
        self._policy = policy
        self._audit = audit

    @contextmanager
    def sign(
        self, connection: Connection, request: SignatureRequest, signer: Callable[[bytes], bytes]
    ) -> Iterator[bytes]:
        """Signs `request.payload_hash`; the block under it stores what was signed.

            with gate.sign(connection, request, signer) as signature:
                ...

        The audit row is written at the end of the block, because the head of its chain is locked from there to the commit. A
        block that raises leaves no row, and its caller lets the transaction fail.

        Raises:
            Forbidden: the policy refused; nothing was signed.
        """
        self._policy.authorize(request)
        yield signer(request.payload_hash)
        self._audit.append(connection, request.principal, "sign", request.account, details_of(request))


def details_of(request: SignatureRequest) -> dict[str, Any]:
    """What the audit trail says of a signature."""
    return {
        "kind": request.kind,
        "hash": request.payload_hash.hex().upper(),
        "amountRaw": str(request.amount_raw),
        "destination": request.destination,
        **request.facts,
    }
