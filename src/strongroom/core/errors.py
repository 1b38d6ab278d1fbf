"""The exceptions of the service, in one tree.

Every class has a stable `code` for programs. Its message is written for the person who gets it, and never contains a secret or
an internal address. Each surface maps the classes to its own status codes and bodies in one place.

    StrongroomError
    ├── InvalidInput          the caller's mistake; nothing happened
    ├── NotFound
    ├── Conflict              the caller's view of the state is out of date; nothing happened
    │   ├── IdempotencyMismatch   the key was used for another request
    │   │   └── IdempotencyTaken      which is still running and has signed nothing: the key may become free
    │   └── IdempotencyRunning    the first request with this key is still running
    ├── Locked                the wallet or account is locked, so its secret is not available
    ├── Unauthenticated
    ├── Forbidden             the caller is known, but the scope or the policy does not allow the request
    │   └── ApprovalNeeded        people must approve the request first; nothing was signed
    ├── RateLimited           too many requests; nothing happened
    ├── LedgerRejected        the ledger refused the payload for good
    ├── Unavailable           a node or a database does not answer; nothing was signed, so it is safe to ask again
    │   ├── Sealed                the keys are not in memory, until an operator unseals the service
    │   ├── KeyBackendAway        what keeps the key-encryption key does not answer; asking again may help
    │   └── CredentialUnclear     whoever answers does not know the credential; somebody who may know it does not answer
    ├── OutcomeUnknown        something was signed or submitted, and its outcome is open: it has not failed
    ├── LeaseLost             another process does the work now
    └── VaultError            a sealed value cannot be opened with this key
"""

from typing import ClassVar


class StrongroomError(Exception):
    """Base of every error that a caller may see."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.instance_code = code or type(self).code


class InvalidInput(StrongroomError):
    code = "invalid_input"


class NotFound(StrongroomError):
    code = "not_found"


class Conflict(StrongroomError):
    code = "conflict"


class IdempotencyMismatch(Conflict):
    code = "idempotency_key_reused"


class IdempotencyTaken(IdempotencyMismatch):
    pass


class IdempotencyRunning(Conflict):
    code = "idempotency_key_in_progress"


class Locked(StrongroomError):
    code = "locked"


class Unauthenticated(StrongroomError):
    code = "unauthenticated"


class CredentialEnded(Unauthenticated):
    """The credential was good, and its time is over, as of every one that is renewed again and again."""


class Forbidden(StrongroomError):
    code = "forbidden"

    def __init__(self, message: str, *, code: str | None = None, rule: str | None = None) -> None:
        """`rule` is the name of the rule that forbids it."""
        super().__init__(message, code=code)
        self.rule = rule


class ApprovalNeeded(Forbidden):
    code = "approval_needed"

    def __init__(self, message: str, *, approval: str | None = None, rule: str | None = None) -> None:
        """`approval` is the id under which the request waits; None: it is not stored, as for a question."""
        super().__init__(message, rule=rule)
        self.approval = approval


class RateLimited(StrongroomError):
    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class LedgerRejected(StrongroomError):
    code = "ledger_rejected"


class Unavailable(StrongroomError):
    code = "unavailable"


class Sealed(Unavailable):
    """The service is sealed. It is safe to ask again, after it is unsealed."""

    code = "sealed"


class KeyBackendAway(Unavailable):
    """Vault, KMS or the HSM that keeps the key-encryption key does not answer, or says that it cannot now."""

    code = "key_backend_unavailable"


class CredentialUnclear(Unavailable):
    """Nobody who answers knows the credential, and somebody who may know it does not answer."""


class OutcomeUnknown(StrongroomError):
    code = "outcome_unknown"


class LeaseLost(StrongroomError):
    code = "lease_lost"


class VaultError(StrongroomError):
    code = "vault"
