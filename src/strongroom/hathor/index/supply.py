"""Sums up how much of a token there is: its unspent outputs, without what was burnt."""

import asyncio

from sqlalchemy import Connection, Integer, String, cast, false, func, select, type_coerce

from strongroom.core.clock import Clock
from strongroom.core.errors import NotFound
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement, arg, execute, select_value
from strongroom.hathor import tables
from strongroom.hathor.protocol.addresses import MAINNET, Network, parse_address

BURNT = parse_address("HDeadDeadDeadDeadDeadDeadDeagTPgmn", MAINNET)
"""Nobody has its key; on every network it is the same one under another version byte."""
LIFETIME_S = 60.0
MAX_KEPT = 1_000
_output, _token = tables.tx_output.c, tables.token.c
_UNSPENT = (
    _output.token_id == arg("token_id"),
    _output.spent_by.is_(None),
    _output.voided == false(),
    _output.authorities == 0,
    _output.mode == 0,
    _output.address != arg("burnt"),
)
# SQLite keeps 20 digits of text, and its SUM of whole numbers is exact below 2^63: two halves are summed.
_DIGITS = type_coerce(_output.value, String)
HALVES = Statement(
    select(
        func.sum(cast(func.substr(_DIGITS, 1, 10), Integer)),
        func.sum(cast(func.substr(_DIGITS, 11), Integer)),
    ).where(*_UNSPENT),
    "token_id",
    "burnt",
)
WHOLE = Statement(select(func.sum(_output.value)).where(*_UNSPENT), "token_id", "burnt")
"""MySQL sums BIGINT as DECIMAL(41): exact."""
KNOWN = Statement(select(_token.id).where(_token.id == arg("token_id")), "token_id")
HALF = 10**10


class Supplies:
    """Sums for the API. A sum reads the whole table of outputs, so one runs at a time, and each is kept for a minute."""

    def __init__(self, database: Database, clock: Clock, network: Network) -> None:
        self._database = database
        self._burnt = BURNT.encode(network)
        self._clock = clock
        self._turn = asyncio.Lock()
        self._kept: dict[str, tuple[int, float]] = {}

    async def total(self, token_id: str) -> int:
        """Returns the sum in the token's smallest unit. Raises: NotFound."""
        if (kept := self._fresh(token_id)) is not None:
            return kept
        async with self._turn:
            if (kept := self._fresh(token_id)) is not None:
                return kept
            total = await self._database.read(lambda c: total_supply(c, token_id, self._burnt))
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[token_id] = (total, self._clock.monotonic_s())
            return total

    def _fresh(self, token_id: str) -> int | None:
        total, since_s = self._kept.get(token_id, (None, 0.0))
        return total if self._clock.monotonic_s() - since_s < LIFETIME_S else None


def total_supply(connection: Connection, token_id: str, burnt: str) -> int:
    """Sums up a token. Raises: NotFound: there is no such token."""
    if not execute(connection, KNOWN, token_id):
        raise NotFound("There is no such token")
    if connection.dialect.name == "sqlite":
        high, low = execute(connection, HALVES, token_id, burnt)[0]
        return int(high or 0) * HALF + int(low or 0)
    return int(select_value(connection, WHOLE, token_id, burnt) or 0)
