"""Deletes stored receivables that the node does not have: the node lied about them, or its history was replaced.

This loses no real deposit. The node sends all receivables again whenever a stream is opened, and new ones at once. So a
deleted receivable comes back as soon as the node has it again.
"""

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Row, delete, select

from strongroom.atto import tables
from strongroom.atto.gateway import Node, NodeUnavailable
from strongroom.atto.gateway.node_network import NodeNetwork
from strongroom.atto.gateway.proof import require_signature
from strongroom.atto.protocol import Address, Network, SendBlock
from strongroom.atto.records import load_account
from strongroom.core.clock import Clock
from strongroom.core.coordination.loops import Incomplete
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

CHECK_S = 10.0
AT_ONCE = 100
"""How many receivables one pass checks; the next pass continues with the following ones."""
CERTAIN_S = 8.0
"""The node must deny a receivable at least twice, this many seconds apart, before it is deleted."""


@dataclass(slots=True)
class _Denied:
    since_s: float


class ReceivableCheck:
    """Asks the node for the transaction of each stored receivable, including those of locked and disabled accounts."""

    def __init__(
        self, *, node: Node, database: Database, network: Network, node_network: NodeNetwork, clock: Clock
    ) -> None:
        self._node = node
        self._database = database
        self._network = network
        self._node_network = node_network
        self._clock = clock
        self._denied: dict[bytes, _Denied] = {}
        self._after = b""

    async def check(self) -> None:
        """Checks the next `AT_ONCE` receivables.

        Raises:
            Unavailable: the node does not answer, or belongs to another network; nothing is deleted.
            Incomplete: some receivables could not be checked.
        """
        await self._node_network.require()
        columns = tables.receivable.c
        query = select(tables.receivable).order_by(columns.hash).limit(AT_ONCE)
        rows = await self._database.fetch_all(query.where(columns.hash > self._after))
        self._after = rows[-1].hash if len(rows) == AT_ONCE else b""
        why = ""
        for row in rows:
            try:
                await self._check(row)
            except NodeUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - one bad receivable must not stop the check of the others
                why = fault_text(error)
                log.warning("a receivable was not checked", hash=row.hash.hex().upper(), why=why)
        if why:
            raise Incomplete(f"some receivables could not be checked: {why}")

    async def _check(self, row: Row[Any]) -> None:
        if await self._is_true(row):
            self._denied.pop(row.hash, None)
        elif await self._is_certain(row):
            await self._drop(row)

    async def _is_true(self, row: Row[Any]) -> bool:
        """Whether the node has the send, and the send is for this account."""
        transaction = await self._node.transaction(row.hash)
        if transaction is None:
            return False
        require_signature(transaction, "the transaction of a receivable")
        block = transaction.block
        receiver = Address.parse(row.address).public_key
        return (
            isinstance(block, SendBlock)
            and block.network is self._network
            and block.receiver_public_key == receiver
        )

    async def _is_certain(self, row: Row[Any]) -> bool:
        """Whether the node has denied the receivable long enough, and is not merely behind."""
        now_s = self._clock.monotonic_s()
        denied = self._denied.setdefault(row.hash, _Denied(since_s=now_s))
        if now_s - denied.since_s < CERTAIN_S:
            return False
        address = Address.parse(row.address)
        account = await self._database.read(
            lambda connection: load_account(connection, address, self._network)
        )
        state = await self._node.account(address)
        # A node that has fewer blocks of the account than we know is behind, and may still learn of the send.
        return (state.height if state else 0) >= account.height

    async def _drop(self, row: Row[Any]) -> None:
        self._denied.pop(row.hash, None)
        statement = delete(tables.receivable).where(tables.receivable.c.hash == row.hash)
        await self._database.write(lambda connection: connection.execute(statement))
        shown = row.hash.hex().upper()
        log.warning("dropped a receivable that the node does not know", hash=shown, address=row.address)
