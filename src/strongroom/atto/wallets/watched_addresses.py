"""The addresses that the streams watch: all accounts, also those of locked wallets, so that no deposit is missed."""

import asyncio
from collections.abc import Iterable

from sqlalchemy import func, select

from strongroom.atto import tables
from strongroom.atto.protocol import Address
from strongroom.core.storage.database import Database

POLL_S = 3.0


class MonitoredAddresses:
    """The set of watched addresses, which only grows.

    Accounts that this process creates appear at once, those of other replicas within seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._addresses: dict[Address, None] = {}
        self._changed: set[asyncio.Event] = set()

    def snapshot(self) -> list[Address]:
        return list(self._addresses)

    def __contains__(self, address: Address) -> bool:
        return address in self._addresses

    def add(self, addresses: Iterable[Address]) -> None:
        before = len(self._addresses)
        self._addresses.update(dict.fromkeys(addresses))
        if len(self._addresses) != before:
            for event in self._changed:
                event.set()

    def watch(self) -> asyncio.Event:
        """An event that is set after every growth; the watcher clears it."""
        event = asyncio.Event()
        self._changed.add(event)
        return event

    def unwatch(self, event: asyncio.Event) -> None:
        self._changed.discard(event)

    async def load(self) -> None:
        rows = await self._database.fetch_all(select(tables.chain.c.public_key))
        self.add(Address(public_key=row.public_key) for row in rows)

    async def look(self) -> None:
        """Loads the addresses again if other replicas have created accounts."""
        row = await self._database.fetch_one(select(func.count()).select_from(tables.chain))
        if row is not None and row[0] != len(self._addresses):
            await self.load()
