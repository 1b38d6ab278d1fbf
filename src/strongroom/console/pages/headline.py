"""The sentence at the top of the overview: how things stand, what needs a person first. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a viewer may know. Names are as people write them."""

    away: Sequence[str] = ()
    """Ledgers whose database does not answer."""
    troubled: Sequence[str] = ()
    """Ledgers of which a part is not up."""
    frozen: Sequence[str] = ()
    stuck: int = 0
    """Payments that are open for longer than a minute."""
    waiting: int = 0
    """Requests that wait for approval."""
    knows_health: bool = True


def headline(standing: Standing) -> str:
    faults = list(_faults(standing))
    calm = [] if faults or not standing.knows_health else ["Everything is running."]
    waits = [_waits(standing.waiting)] if standing.waiting else []
    return " ".join([*waits, *faults, *calm] if faults else [*calm, *waits]) or "Nothing waits for you."


def _faults(standing: Standing) -> Iterator[str]:
    if standing.away:
        plural = len(standing.away) > 1
        yield f"The database{'s' * plural} of {_listed(standing.away)} {'do' if plural else 'does'} not answer."
    if standing.troubled:
        yield f"{_listed(standing.troubled)} need{'s' * (len(standing.troubled) == 1)} attention."
    if standing.frozen:
        yield f"{_listed(standing.frozen)} {'is' if len(standing.frozen) == 1 else 'are'} frozen."
    if standing.stuck:
        yield (
            "One payment is open for longer than a minute."
            if standing.stuck == 1
            else f"{standing.stuck} payments are open for longer than a minute."
        )


def _waits(number: int) -> str:
    return "One request waits for approval." if number == 1 else f"{number} requests wait for approval."


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
