"""Makes a unit of work wait until its node has what the other nodes of its cluster committed before.

A node applies what the others commit a moment later. A client whose next request reaches a process at another node would
otherwise be told that what it has just made is not there. Each new connection asks its server once whether it is a node where
that can happen, and sets a variable of the session only there. A connection to any other server stays as it is.

Locks do not rely on this: `docs/decisions/locks.md`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection

from strongroom.core.environment import Environment

MARK = "waits"
"""Of a URL's query: with the value `no` its connections do not wait. The driver never sees it."""
ASKED = (
    "wsrep_on",
    "wsrep_sync_wait",
    "group_replication_single_primary_mode",
    "group_replication_consistency",
)
ASK = f"SHOW VARIABLES WHERE Variable_name IN {ASKED}"
EVERY_STATEMENT = 7
"""Of `wsrep_sync_wait`: reads, updates and inserts wait. A unit waits at its first statement, whichever that is."""
STALE = {"EVENTUAL", "BEFORE_ON_PRIMARY_FAILOVER"}


class _Cursor(Protocol):
    async def execute(self, statement: str, /) -> Any: ...
    async def fetchall(self) -> Any: ...


def read_waiting(environment: Environment) -> bool:
    """Whether the operator wants this."""
    return environment.flag("STRONGROOM_WAIT_FOR_NODES", True)


def marked(url: URL, *, waits: bool) -> URL:
    return url.difference_update_query([MARK]) if waits else url.update_query_dict({MARK: "no"})


def waits(url: URL) -> bool:
    return url.query.get(MARK) != "no"


def statement_of(variables: Mapping[str, str]) -> str | None:
    """The statement after which a session waits; None: nothing has to be said to this server."""
    if variables.get("wsrep_on") == "ON" and "wsrep_sync_wait" in variables:
        wanted = int(variables["wsrep_sync_wait"]) | EVERY_STATEMENT
        return f"SET SESSION wsrep_sync_wait={wanted}"
    # With one primary every process is connected to that one, which is never late.
    if variables.get("group_replication_single_primary_mode") == "OFF":
        return (
            "SET SESSION group_replication_consistency='BEFORE'"
            if variables.get("group_replication_consistency") in STALE
            else None
        )
    return None


async def make_wait(cursor: _Cursor) -> None:
    """Asks the server of a new connection, and tells its session."""
    await cursor.execute(ASK)
    statement = statement_of(_variables(await cursor.fetchall()))
    if statement is not None:
        await cursor.execute(statement)


def on_connect(connection: DBAPIConnection, _record: object) -> None:
    """The same for SQLAlchemy's event `connect`."""
    try:
        cursor = connection.cursor()
        cursor.execute(ASK)
        statement = statement_of(_variables(cursor.fetchall()))
        if statement is not None:
            cursor.execute(statement)
        cursor.close()
    except BaseException:
        connection.close()  # SQLAlchemy forgets it
        raise


def _variables(rows: Iterable[Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in rows}
