"""What a ledger provides so that the outcome of its intents is found out, and what it gets to know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection

from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected, Verdict

R = TypeVar("R")


class Network(Protocol):
    """A ledger's network. An exception counts as `Unknown`, and the resolver's health shows it."""

    async def offer(self, intent: Intent) -> Verdict:
        """Submits the payload, and waits for the answer as long as that makes sense."""

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        """Asks about all these intents at once, without submitting any. Those missing in the answer are asked about again.

        The resolver makes as many calls at a time as `Pace.questions_at_once` says.
        """


class Effects(Protocol[R]):
    """What a verdict changes besides the intent's own row."""

    def apply(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending) -> R:
        """Changes the ledger's tables in the transaction that stores the verdict, before the intent's row is changed.

        It locks the account's row first, as `Draft.prepare` does: the same order of locks avoids deadlocks. If it raises, or
        the verdict changes nothing, the whole transaction is undone. After an exception the intent stays OPEN and the network
        is asked again.
        """

    def applied(self, intent: Intent, verdict: Accepted | Rejected | Pending, effect: R) -> None:
        """Runs after the commit, in the process that stored the verdict. `effect` is what `apply` returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution(Generic[R]):
    """A resolved intent. `effect` is what `Effects.apply` returned, or None if another process stored the verdict."""

    intent: Intent
    effect: R | None
