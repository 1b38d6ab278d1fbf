"""A network that says what a test wants."""

from collections import deque
from collections.abc import Mapping, Sequence

from strongroom.core.intents.intent import Intent, Verdict


class Scripted:
    """A network that gives the verdicts of a list, and notes what it was asked."""

    def __init__(self, *answers: Verdict | Exception) -> None:
        self.answers = deque(answers)
        self.asked: list[str] = []
        self.batches: list[int] = []

    async def offer(self, intent: Intent) -> Verdict:
        self.asked.append(f"offer {intent.attempts}")
        return self._next()

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        self.asked.append("follow")
        self.batches.append(len(intents))
        return {one.id: self._next() for one in intents}

    def _next(self) -> Verdict:
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer
