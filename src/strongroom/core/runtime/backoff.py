"""Pauses between attempts: exponential with an upper limit, and with jitter, so that many clients do not retry together."""

from strongroom.core.clock import Clock, Entropy


class Backoff:
    """The pauses of one series of attempts. Callers `reset` it after a success."""

    def __init__(self, clock: Clock, entropy: Entropy, *, first_s: float = 0.2, cap_s: float = 10.0) -> None:
        self._clock = clock
        self._entropy = entropy
        self._first_s = first_s
        self._cap_s = cap_s
        self.attempts = 0

    def reset(self) -> None:
        self.attempts = 0

    def next_delay_s(self) -> float:
        """Counts a failed attempt and returns the pause after it, between half of and the full exponential pause."""
        ceiling = min(self._cap_s, self._first_s * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        return self._entropy.uniform(ceiling / 2, ceiling)

    async def wait(self) -> None:
        await self._clock.sleep(self.next_delay_s())
