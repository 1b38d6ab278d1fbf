"""Waits at start for a database that may come back by itself, but not for one that needs a person.

After a wrong password, an unknown database or a newer schema, the process ends at once, so that the operator sees it. A server
that has not started yet, is full or busy, or has lost its quorum may come back by itself.
"""

import sqlite3
from collections.abc import Awaitable, Callable

from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage.errors import DatabaseUnusable

NO_SPACE = frozenset({1021, 1023, 1026, 1030, 1037, 1038, 1041, 1114, 1598})
SQLITE_NO_SPACE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
"""No space on the disk or in memory. The operator may free some while the process waits."""
SQLITE_PRIMARY = 0xFF
"""The bits of an extended result code that are its primary code."""


async def patiently(work: Callable[[], Awaitable[None]], health: WorkHealth, backoff: Backoff) -> None:
    """Runs `work` until it succeeds, as long as the error may pass. A failed run may have done a part of the work.

    `health` learns of the failures; the caller reports the success.

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
    """Whether the error may pass by itself, judged by the database's error that caused it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DatabaseUnusable):
            return cause.number in NO_SPACE or cause.number & SQLITE_PRIMARY in SQLITE_NO_SPACE
        cause = cause.__cause__
    return True
