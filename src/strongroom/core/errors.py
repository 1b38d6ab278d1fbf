"""One exception tree for the house.

Every class has a stable machine `code`; its message is written for the person who gets it and never holds
a secret or an internal address. Each surface maps the classes to its own statuses and bodies in one place.

    StrongroomError
    ├── InvalidInput          the caller's mistake; nothing happened
    ├── NotFound
    ├── Conflict              the caller's view of the state is out of date; nothing happened
    │   ├── IdempotencyMismatch   the key was used for another request
    │   └── IdempotencyRunning    the first request with this key has not ended
    ├── Locked                the secret needed is not open
    ├── Unauthenticated
    ├── Forbidden             authenticated, but the scope or the policy says no
    ├── RateLimited           too many requests; nothing happened
    ├── LedgerRejected        the ledger refused what was submitted, for good
    ├── Unavailable           something outside is away; nothing was signed, so it is safe to ask again
    ├── OutcomeUnknown        it was submitted and no answer came: not failed, to be resolved
    ├── LeaseLost             another process owns the work now
    └── VaultError            a sealed value cannot be opened with this key
"""

from typing import ClassVar


class StrongroomError(Exception):
    """Base of every error that is meant to be shown to a caller."""

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


class IdempotencyRunning(Conflict):
    code = "idempotency_key_in_progress"


class Locked(StrongroomError):
    code = "locked"


class Unauthenticated(StrongroomError):
    code = "unauthenticated"


class Forbidden(StrongroomError):
    code = "forbidden"


class RateLimited(StrongroomError):
    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LedgerRejected(StrongroomError):
    code = "ledger_rejected"


class Unavailable(StrongroomError):
    code = "unavailable"


class OutcomeUnknown(StrongroomError):
    code = "outcome_unknown"


class LeaseLost(StrongroomError):
    code = "lease_lost"


class VaultError(StrongroomError):
    code = "vault"
