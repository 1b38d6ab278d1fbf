"""Migrations on MySQL that are killed before and after every statement that MySQL commits by itself."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL

from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import Revisions, migrate

DDL = ("ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE")
DML = ("DELETE", "INSERT", "REPLACE", "UPDATE")


class Killed(Exception):
    """The process is gone; the server rolls back what it has not committed."""


class _Kill:
    """Of one run: at the first statement of DDL that it sends."""

    def __init__(self, *, may_be_before: bool) -> None:
        self._may_be_before = may_be_before
        self._has_changed_rows = False
        self.was_before = False

    def before(self, _connection: object, cursor: Any, statement: str, *_: object) -> None:
        is_lease = "strongroom_lease SET" in statement  # which is renewed before every statement of DDL
        self._has_changed_rows |= statement.lstrip().upper().startswith(DML) and not is_lease
        if self._may_be_before and self._has_changed_rows and _is_ddl(statement):
            cursor.execute("COMMIT")
            self.was_before = True
            raise Killed

    def after(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        if _is_ddl(statement):
            raise Killed

    @contextmanager
    def armed(self) -> Iterator[None]:
        event.listen(Engine, "before_cursor_execute", self.before)
        event.listen(Engine, "after_cursor_execute", self.after)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", self.before)
            event.remove(Engine, "after_cursor_execute", self.after)


async def migrate_by_kills(url: URL, components: Sequence[Revisions]) -> int:
    """Migrates as `run_by_kills`."""
    return await run_by_kills(url, partial(migrate, components=components))


async def run_by_kills(url: URL, changing: Callable[[Database], Awaitable[object]]) -> int:
    """Changes a schema in many runs, each of which is killed; returns how many. Every state that a kill can leave comes up.

    MySQL commits the changes of rows before each DDL statement. So where a run has changed rows it dies just before the first such
    statement, with those changes stored; else, and at its next try, just after it. That statement then stands for the runs that follow.
    """
    kills = 0
    kill = _Kill(may_be_before=True)
    while True:
        database = Database(url)
        try:
            with kill.armed():
                await changing(database)
        except Killed:
            kills += 1
            kill = _Kill(may_be_before=not kill.was_before)
        else:
            return kills
        finally:
            await database.close()


def _is_ddl(statement: str) -> bool:
    return statement.lstrip().upper().startswith(DDL)
