"""One change of several ledgers: each is tried, whatever happens with another. One that is away must not keep the others open."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.core.errors import StrongroomError

ALREADY_FROZEN: Final = "already_frozen"
NOT_FROZEN: Final = "not_frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one ledger."""

    ledger: str
    error: StrongroomError | None = None
    """None: it is changed."""
    was_so: bool = False
    """The error says that nothing was left to do."""

    @property
    def is_done(self) -> bool:
        return self.error is None or self.was_so


async def change_each(
    ledgers: Iterable[str], change: Callable[[str], Awaitable[None]], *, done_code: str
) -> Sequence[Outcome]:
    """Changes each of the ledgers. `done_code`: of the error that says that nothing is left to do."""
    outcomes = list[Outcome]()
    for ledger in ledgers:
        try:
            await change(ledger)
        except StrongroomError as error:
            was_so = error.instance_code == done_code
            outcomes.append(Outcome(ledger=ledger, error=error, was_so=was_so))
        else:
            outcomes.append(Outcome(ledger=ledger))
    return outcomes
