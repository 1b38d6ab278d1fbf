"""The deposits whose last receive failed: the reason, and when each is tried again."""

from collections.abc import Container
from dataclasses import dataclass

from strongroom.core.clock import Clock, Entropy
from strongroom.core.runtime.backoff import Backoff

MAX_RETRY_S = 60.0


@dataclass(slots=True)
class _Trouble:
    backoff: Backoff
    path: str
    """The account's address."""
    not_before_s: float = 0.0
    why: str = ""


class Troubles:
    """The failed deposits, in the memory of the receiving process. The pause before the next try grows with each failure."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._found: dict[bytes, _Trouble] = {}

    def note(self, receivable_hash: bytes, path: str, why: str) -> None:
        trouble = self._found.get(receivable_hash)
        if trouble is None:
            backoff = Backoff(self._clock, self._entropy, first_s=1.0, cap_s=MAX_RETRY_S)
            trouble = self._found[receivable_hash] = _Trouble(backoff, path)
        trouble.why = why
        trouble.not_before_s = self._clock.monotonic_s() + trouble.backoff.next_delay_s()

    def is_ready(self, receivable_hash: bytes) -> bool:
        """Whether the deposit may be tried now; true for one that has not failed yet."""
        trouble = self._found.get(receivable_hash)
        return trouble is None or self._clock.monotonic_s() >= trouble.not_before_s

    def end(self, receivable_hash: bytes) -> None:
        self._found.pop(receivable_hash, None)

    def clear(self) -> None:
        self._found.clear()

    def reasons(self) -> list[tuple[str, str]]:
        """Pairs of the account's path and the reason, oldest failure first."""
        return [(trouble.path, trouble.why) for trouble in self._found.values()]

    def keep_accounts(self, paths: Container[str]) -> None:
        """Keeps only the failures of these accounts."""
        self._found = {one: trouble for one, trouble in self._found.items() if trouble.path in paths}

    def keep_of(self, path: str, receivables: Container[bytes]) -> None:
        """Keeps, of this account's failures, only those of these receivables; another process has received the others."""
        self._found = {
            one: trouble for one, trouble in self._found.items() if trouble.path != path or one in receivables
        }
