"""Searches the proof of work for an account's next block, in advance where possible, and stores it."""

import asyncio
from dataclasses import dataclass

from sqlalchemy import update

from strongroom.atto import tables
from strongroom.atto.protocol import Address
from strongroom.atto.transactions.work_search import WorkSearch
from strongroom.core.runtime.background import Background
from strongroom.core.storage.database import Database

PREPARING_AT_ONCE = 16


@dataclass(slots=True)
class _Search:
    task: asyncio.Task[bytes]
    wanted: bool = False
    """Whether a block waits for the result. That block uses the work up, so it is not stored."""


class WorkCache:
    """Runs at most one search per target, however many callers ask for it."""

    def __init__(self, search: WorkSearch, *, database: Database, background: Background) -> None:
        self._work = search
        self._database = database
        self._background = background
        self._searches: dict[bytes, _Search] = {}
        self._preparing = asyncio.Semaphore(PREPARING_AT_ONCE)

    async def work_for(self, target: bytes, timestamp_ms: int) -> bytes:
        """Searches work for a block with this timestamp until it is found or the caller is cancelled."""
        search = self._search(target, timestamp_ms)
        search.wanted = True
        # Shielded, because other callers may wait for the same search.
        return await asyncio.shield(search.task)

    def prepare(self, address: Address, target: bytes) -> None:
        """Starts a search in the background and stores the work for the account's next block."""
        self._background.start(self._prepare(address, target))

    async def _prepare(self, address: Address, target: bytes) -> None:
        async with self._preparing:
            search = self._search(target, 0)
            work = await asyncio.shield(search.task)
        if search.wanted:
            return  # a block is being built with it
        columns = tables.chain.c
        # The condition on the frontier drops work for an account that moved meanwhile.
        statement = (
            update(tables.chain)
            .where(columns.address == address.path, columns.frontier == target)
            .values(work_target=target, work=work)
        )
        await self._database.write(lambda connection: connection.execute(statement))

    def _search(self, target: bytes, timestamp_ms: int) -> _Search:
        search = self._searches.get(target)
        if search is None:
            search = self._searches[target] = _Search(
                self._background.start(self._work.find(target, timestamp_ms))
            )
            search.task.add_done_callback(lambda _: self._searches.pop(target, None))
        return search
