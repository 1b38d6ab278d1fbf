"""The processes that hold a ledger's keys, as they report themselves in its database."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from strongroom.core.clock import Clock
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, upsert

BEAT_S = 2.0
LIVE_MS = 15_000
"""A process that has not reported itself for so long is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A process that holds keys, or would if the service were not sealed."""

    holder: str
    name: str
    """Its machine and process id, for people."""
    versions: frozenset[int]
    """The versions of the key that it has."""
    version: int | None
    """The version under which it seals; None: it is sealed."""


def live_replicas(connection: Connection, now_ms: int) -> list[Replica]:
    query = select(tables.replica).where(tables.replica.c.seen_at_ms > now_ms - LIVE_MS)
    return [
        Replica(
            holder=row.holder,
            name=row.name,
            versions=frozenset(int(one) for one in row.versions.split(",") if one),
            version=row.version,
        )
        for row in connection.execute(query.order_by(tables.replica.c.name))
    ]


def names_of(replicas: Sequence[Replica]) -> str:
    return ", ".join(one.name for one in replicas)


class Presence:
    """Reports this process, at once when what it holds has changed, else every `BEAT_S`."""

    def __init__(self, holder: str, ring: KeyRing, database: Database, clock: Clock) -> None:
        self._holder = holder
        self._name = f"{socket.gethostname()[:128]}:{os.getpid()}"
        self._ring = ring
        self._database = database
        self._clock = clock
        self._told: tuple[frozenset[int], int | None] | None = None
        self._told_s = 0.0

    async def report(self) -> None:
        versions = self._ring.versions
        held = versions, self._ring.version if versions else None
        now_s = self._clock.monotonic_s()
        if held == self._told and now_s - self._told_s < BEAT_S:
            return
        row = {
            "holder": self._holder,
            "name": self._name,
            "versions": ",".join(map(str, sorted(versions))),
            "version": held[1],
            "seen_at_ms": self._clock.now_ms(),
        }

        def work(connection: Connection) -> None:
            upsert(connection, tables.replica, [row], ["name", "versions", "version", "seen_at_ms"])

        await self._database.write(work)
        self._told, self._told_s = held, now_s

    async def leave(self) -> None:
        """Removes this process, and those that are gone for long."""
        if self._told is None:
            return
        columns, gone_ms = tables.replica.c, self._clock.now_ms() - 10 * LIVE_MS
        leaving = delete(tables.replica).where(
            (columns.holder == self._holder) | (columns.seen_at_ms < gone_ms)
        )
        await self._database.write(lambda connection: connection.execute(leaving))
        self._told = None
