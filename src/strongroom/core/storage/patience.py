"""Waits for a database that is away when a process starts, but not for one that needs a person.

A wrong password, an unknown database, a schema of a later version: the operator learns of them at once, because the
process ends. A server that is not there yet, is full or busy, or lost its quorum may come back by itself.
"""

import sqlite3
from collections.abc import Awaitable, Callable

from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage.errors import DatabaseUnusable

NO_SPACE = frozenset({1021, 1023, 1026, 1030, 1037, 1038, 1041, 1114, 1598})
SQLITE_NO_SPACE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
"""No room on a disk or in memory, which may be made while the process waits."""
SQLITE_PRIMARY = 0xFF
"""The part of an extended result code that is the code."""


async def patiently(work: Callable[[], Awaitable[None]], health: WorkHealth, backoff: Backoff) -> None:
    """Runs `work`, again and again while the database is away. It may have done a part of it before.

    `health` is told of failures; it is well when the caller says so.

    Raises:
        Unavailable: waiting does not help.
    """
    while True:
        try:
            await work()
        except (Unavailable, OutcomeUnknown) as error:
            if not may_pass(error):
                raise
            health.failed(error)
        else:
            return
        await backoff.wait()


def may_pass(error: BaseException) -> bool:
    """Whether the reason may go away by itself: by the error of the database that is its cause."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DatabaseUnusable):
            return cause.number in NO_SPACE or cause.number & SQLITE_PRIMARY in SQLITE_NO_SPACE
        cause = cause.__cause__
    return True
