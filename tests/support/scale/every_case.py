"""The cases of each part."""

from collections.abc import Awaitable, Callable
from typing import Final

from strongroom.core.storage.database import Database
from support.scale.cases import Case
from support.scale.core_cases import core_cases
from support.scale.ledger_cases import atto_cases, hathor_cases

_CASES: Final[dict[str, Callable[[Database, int], Awaitable[list[Case]]]]] = {
    "core": core_cases,
    "atto": atto_cases,
    "hathor": hathor_cases,
}


async def cases_of(part: str, database: Database, size: int) -> list[Case]:
    """Those of `part`, on a database that `prepared` filled to `size`."""
    return await _CASES[part](database, size)
