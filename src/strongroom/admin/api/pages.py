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
    names, away = list(authority.principals), dict(authority.away)
    if ledger is not None:
        estate.find(ledger)
        authority.on(ledger)
        names, away = [ledger], {}

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


def moment(name: str, text: str) -> int:
    """Milliseconds. Raises: InvalidInput: the parameter is no moment."""
    try:
        return parse_instant(text)
    except ValueError as error:
        raise InvalidInput(f"{name} {error}", code="invalid_moment") from None
