"""How much of a token there is: the sum of its unspent outputs, without what was burnt."""

import asyncio

from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.errors import NotFound
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import execute
from strongroom.hathor.protocol.addresses import MAINNET, Network, parse_address

BURNT = parse_address("HDeadDeadDeadDeadDeadDeadDeagTPgmn", MAINNET)
"""Nobody has its key; on every network it is the same one under another version byte."""
LIFETIME_S = 60.0
MAX_KEPT = 1_000
UNSPENT = (
    " FROM tx_output WHERE token_id = {} AND spent_by IS NULL AND voided = 0 AND authorities = 0 AND mode = 0"
    " AND address <> {}"
)
# SQLite keeps 20 digits of text, and its SUM of whole numbers is exact below 2^63: two halves are summed.
HALVES = (
    "SELECT SUM(CAST(SUBSTR(value, 1, 10) AS INTEGER)), SUM(CAST(SUBSTR(value, 11) AS INTEGER))" + UNSPENT
)
WHOLE = "SELECT SUM(value)" + UNSPENT  # MySQL sums BIGINT as DECIMAL(41): exact
HALF = 10**10


class Supplies:
    """The sum reads the whole table of outputs: one at a time, and each is good for a minute."""

    def __init__(self, database: Database, clock: Clock, network: Network) -> None:
        self._database = database
        self._burnt = BURNT.encode(network)
        self._clock = clock
        self._turn = asyncio.Lock()
        self._kept: dict[str, tuple[int, float]] = {}

    async def total(self, token_id: str) -> int:
        """In the token's smallest unit. Raises: NotFound."""
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
    """Raises: NotFound: nobody knows the token."""
    if not execute(connection, "SELECT 1 FROM token WHERE id = {}", token_id):
        raise NotFound("There is no such token")
    if connection.dialect.name == "sqlite":
        high, low = execute(connection, HALVES, token_id, burnt)[0]
        return int(high or 0) * HALF + int(low or 0)
    return int(execute(connection, WHOLE, token_id, burnt)[0][0] or 0)
