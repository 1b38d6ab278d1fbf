"""The gate in front of every signature.

All signatures are made in `SigningGate.sign`: the gate asks the policy, lets the ledger's signer sign, and writes the audit row in
the caller's transaction. If the policy refuses, nothing is signed.
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
    """A request for one signature, in terms that all ledgers share."""

    principal: Principal
    scope: str
    """The scope that the principal needs, for example `toy:send`."""
    account: str
    """The address of the signing account."""
    kind: str
    """The ledger's own word for the payload, for example `SEND`."""
    payload_hash: bytes
    amount_raw: int = 0
    """The amount that leaves the account, in the ledger's smallest unit."""
    destination: str | None = None
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    """Further details for the audit trail, in the ledger's words; never a secret."""


class Policy:
    """Decides whether a signature is allowed; for now it asks only for the principal's scope."""

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
        """Signs `request.payload_hash`; the caller's block stores the signed payload.

            with gate.sign(connection, request, signer) as signature:
                ...

        The audit row is written at the end of the block, because the head of the audit trail stays locked from then to the
        commit. If the block raises, no row is written, and the exception undoes the transaction.

        Raises:
            Forbidden: the policy refused; nothing was signed.
        """
        self._policy.authorize(request)
        yield signer(request.payload_hash)
        self._audit.append(connection, request.principal, "sign", request.account, details_of(request))


def details_of(request: SignatureRequest) -> dict[str, Any]:
    """The audit details of a signature."""
    return {
        "kind": request.kind,
        "hash": request.payload_hash.hex().upper(),
        "amountRaw": str(request.amount_raw),
        "destination": request.destination,
        **request.facts,
    }
