"""Keeps what the node says of itself and its network (`version`): for an hour, and for as long as the node is away.

The copy lies in the table `version_data`, as the original's does, so it outlives the process.
"""

import asyncio
import math
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from strongroom.core.clock import Clock
from strongroom.core.errors import StrongroomError
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import Database, upsert
from strongroom.core.storage.statements import Statement, execute
from strongroom.hathor import tables
from strongroom.hathor.gateway import InvalidNodeResponse, NodeUnavailable
from strongroom.hathor.gateway.node import HttpNode

LIFETIME_S = 3600
PATIENCE_S = 2.0
"""Seconds that a node has to refresh a copy which the service has."""
PAUSE_S = 10.0
"""Seconds before a node that could not refresh the copy is asked again."""
FIRST_PAUSE_S = 1.0
"""The same while there is no copy. Requests that waited for the same answer get the failure too."""
ROW = 1
COPY = Statement(
    select(tables.version_data.c.timestamp, tables.version_data.c.data).where(tables.version_data.c.id == ROW)
)
MAX_COPY_BYTES = 60_000
"""Bytes of a TEXT column."""
Number = int | float


class NativeToken(msgspec.Struct, frozen=True):
    name: str = "Hathor"
    symbol: str = "HTR"


class NetworkRules(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the node's `version`. The deposit comes as a fraction, as a float, or both.

    Nodes call some fields deprecated: without `min_weight` it is `min_tx_weight`, which nodes send as the same.
    """

    version: str
    network: str
    nano_contracts_enabled: bool | str | None = None
    """A bool, or in nodes with a bug one of their words."""
    min_weight: Number | None = None
    min_tx_weight: Number
    min_tx_weight_coefficient: Number
    min_tx_weight_k: Number
    token_deposit_percentage: Number | None = None
    token_deposit_percentage_numerator: int | None = None
    token_deposit_percentage_denominator: int | None = None
    reward_spend_min_blocks: int
    max_number_inputs: int
    max_number_outputs: int
    decimal_places: int | None = None
    native_token: NativeToken | None = None
    genesis_block_hash: str | None = None

    def __post_init__(self) -> None:
        fraction = (self.token_deposit_percentage_numerator, self.token_deposit_percentage_denominator)
        if (fraction[0] is None) != (fraction[1] is None):
            raise ValueError("half of the deposit's fraction is missing")
        if fraction[0] is None and self.token_deposit_percentage is None:
            raise ValueError("there is no token deposit")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    rules: NetworkRules
    fetched_at_s: int


class Versions:
    """Asks the node at most once an hour, and one request at a time."""

    def __init__(self, database: Database, node: HttpNode, clock: Clock) -> None:
        self._database = database
        self._node = node
        self._clock = clock
        self._copy: _Copy | None = None
        self._failure: str | None = None
        self._not_before_s = 0.0
        self._turn = asyncio.Lock()

    async def rules(self) -> NetworkRules:
        """Raises: NodeUnavailable, NodeFailed, NodeRefused: the node does not say, and never said before."""
        if self._copy is not None and self._is_fresh(self._copy):
            return self._copy.rules
        async with self._turn:
            copy = self._copy or await self._database.read(_load)
            if copy is None or not self._is_fresh(copy):
                copy = await self._refresh(copy)
            self._copy = copy
            return copy.rules

    async def _refresh(self, copy: _Copy | None) -> _Copy:
        """Returns a new copy, or the old one when the node does not answer."""
        if self._failure is not None and self._clock.monotonic_s() < self._not_before_s:
            if copy is None:
                raise NodeUnavailable(self._failure)
            return copy
        try:
            raw = await self._node.get("version", timeout_s=PATIENCE_S if copy else math.inf)
            rules = _decode(raw)
        except StrongroomError as error:
            self._failure = error.message
            self._not_before_s = self._clock.monotonic_s() + (PAUSE_S if copy else FIRST_PAUSE_S)
            if copy is None:
                raise
            return copy
        self._failure = None
        now_s = self._clock.now_ms() // 1000
        await self._database.write(lambda connection: _store(connection, raw, now_s))
        return _Copy(rules=rules, fetched_at_s=now_s)

    def _is_fresh(self, copy: _Copy) -> bool:
        return self._clock.now_ms() // 1000 - copy.fetched_at_s <= LIFETIME_S


def _load(connection: Connection) -> _Copy | None:
    rows = execute(connection, COPY)
    try:
        return _Copy(rules=_decode(rows[0][1]), fetched_at_s=rows[0][0]) if rows else None
    except InvalidNodeResponse:  # of a version that knew less
        return None


def _store(connection: Connection, raw: bytes, now_s: int) -> None:
    """As the node said it: a later version, and the original, may read more of it. What is too long for that is cut down."""
    said = raw if len(raw) <= MAX_COPY_BYTES else msgspec.json.encode(_decode(raw))
    row = {"id": ROW, "timestamp": now_s, "data": said.decode()}
    upsert(connection, tables.version_data, [row], ["timestamp", "data"])


def _decode(raw: bytes | str) -> NetworkRules:
    try:
        return decode_json(raw, NetworkRules)
    except msgspec.DecodeError as error:
        raise InvalidNodeResponse(f"The node's version is not understood: {error}") from error
