"""What lists over several ledgers have in common: their parameters, and how each ledger is asked for its part."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, TypeVar

from litestar.params import QueryParameter

from strongroom.admin.estate import Authority, Estate
from strongroom.core.clock import parse_instant
from strongroom.core.errors import InvalidInput, StrongroomError, Unavailable

T = TypeVar("T")
Cursor = Annotated[str | None, QueryParameter(required=False, description="`cursor` of the page before")]
OneLedger = Annotated[str | None, QueryParameter(required=False, description="Of this ledger alone")]


async def ask_each(
    estate: Estate, authority: Authority, ledger: str | None, ask: Callable[[str], Awaitable[T]]
) -> tuple[Mapping[str, T], Mapping[str, StrongroomError]]:
    """Asks every ledger over which the caller has authority, or `ledger` alone; returns their answers, and why others gave none.

    Raises:
        NotFound, Forbidden: `ledger` is not served here, or the caller has no authority over it.
        Unavailable: no ledger answers.
    """
    names, away = asked(estate, authority, ledger)

    async def answer(name: str) -> T | StrongroomError:
        try:
            return await ask(name)
        except Unavailable as error:
            return error

    told = dict(zip(names, await asyncio.gather(*map(answer, names)), strict=True))
    away |= {name: one for name, one in told.items() if isinstance(one, StrongroomError)}
    answers = {name: one for name, one in told.items() if not isinstance(one, StrongroomError)}
    if not answers:
        raise next(iter(away.values()))
    return answers, away


def asked(
    estate: Estate, authority: Authority, ledger: str | None
) -> tuple[list[str], dict[str, StrongroomError]]:
    """The ledgers of a list, in their order, and those that could not even say who the caller is. Raises as `ask_each`."""
    if ledger is None:
        return list(authority.principals), dict(authority.away)
    estate.find(ledger)
    authority.on(ledger)
    return [ledger], {}


def moment(name: str, text: str) -> int:
    """Milliseconds. Raises: InvalidInput: the parameter is no moment."""
    try:
        return parse_instant(text)
    except ValueError as error:
        raise InvalidInput(f"{name} {error}", code="invalid_moment") from None
