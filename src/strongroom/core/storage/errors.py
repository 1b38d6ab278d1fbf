"""What the errors of a database mean, and the classes of the house's tree that they become.

No caller of `core.database` sees an error of a driver. Every error of SQLite, MySQL, MariaDB, Galera, TiDB and the
proxies before them has one of six meanings, by its number:

    PASSING     the transaction was undone because of others; run again it may go through
    AWAY        this connection or this server cannot now; another connection may do better
    UNUSABLE    nothing works until a person acts: no space, no right, no table
    DUPLICATE   a row with this key exists
    UNFIT       a value that the column cannot hold
    REFUSED     a broken constraint or a wrong statement: a fault of ours

The first three are `Unavailable`: nothing was changed. That needs one exception. A COMMIT that fails may have been
done, so after it only a few numbers say surely that it was not; every other one is `CommitUnknown`.
"""

from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from strongroom.core.errors import InvalidInput, OutcomeUnknown, StrongroomError, Unavailable
from strongroom.core.storage.numbers import WAITED, Meaning, mysql_meaning, sqlite_meaning

log = structlog.get_logger(__name__)

MAX_STATEMENT = 300
"""How much of a refused statement is logged; its values are not."""


class DatabaseUnavailable(Unavailable):
    """The database cannot do it now; nothing was changed."""

    code = "database_unavailable"
    patience_s = 0.0
    """For how long after its first failure a unit of work may be run again."""


class ConnectionSevered(DatabaseUnavailable):
    """No connection, or one that broke before the commit was asked for, or a server that cannot now."""

    patience_s = 2.0

    def __init__(self) -> None:
        super().__init__("The database does not answer; nothing was signed or changed")


class Undone(DatabaseUnavailable):
    """The server undid the transaction because of what others did: a deadlock, a lock, a conflict between nodes."""

    patience_s = 5.0

    def __init__(self, *, has_waited: bool = False) -> None:
        """`has_waited`: the server itself waited as long as it may."""
        if has_waited:
            self.patience_s = 0.0
        super().__init__(
            "The database is busy: others change the same rows; nothing was signed or changed",
            code="database_busy",
        )


class DatabaseUnusable(DatabaseUnavailable):
    """The database cannot be used before a person has acted; trying again does not help."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(
            f"The database cannot be used ({why}); nothing was signed or changed", code="database_unusable"
        )
        self.number = number


class CommitUnknown(OutcomeUnknown):
    """The connection broke, or all was silent, or the server failed, while the commit may have been under way."""

    code = "database_commit_unknown"

    def __init__(self) -> None:
        super().__init__("The database went away; whether it committed is not known yet")


class Duplicate(StrongroomError):
    """A row with this key exists. Who expects it reads that row."""

    code = "already_stored"

    def __init__(self) -> None:
        super().__init__("Another request stored the same first; nothing was changed")


class UnfitValue(InvalidInput):
    """A value is too long or too large for its column, or has characters that the column has not."""

    code = "value_not_storable"

    def __init__(self) -> None:
        super().__init__(
            "A value cannot be stored: it is too long, too large, or has characters that the table lacks"
        )


class DatabaseRefused(StrongroomError):
    """A constraint, or a statement that makes no sense: a fault of ours."""

    code = "database_refused"

    def __init__(self, number: int) -> None:
        super().__init__(f"The database refused a statement (error {number}); nothing was changed")
        self.number = number


PROBES = ("DESCRIBE ", "SHOW CREATE TABLE ")
"""How the statements begin by which SQLAlchemy looks at a table of MySQL that may be missing."""


def translate_mysql(context: ExceptionContext) -> StrongroomError | None:
    """For SQLAlchemy's `handle_error`: whatever asyncmy raises becomes one of ours."""
    if not _is_for_us(context):
        return None
    return mysql_error(context.original_exception, context.statement, severed=context.is_disconnect)


def translate_sqlite(context: ExceptionContext) -> StrongroomError | None:
    """For SQLAlchemy's `handle_error`: whatever sqlite3 raises becomes one of ours."""
    if not _is_for_us(context):
        return None
    error = context.original_exception
    number: int = getattr(error, "sqlite_errorcode", 0)
    return _error_of(sqlite_meaning(number, str(error)), number, error, context.statement)


def keep_telling(_connection: Connection, options: dict[str, Any]) -> None:
    """For SQLAlchemy's `set_connection_execution_options`: every later error of the connection is translated too.

    By this option SQLAlchemy keeps the error of a probe to itself, and it stays on the connection.
    """
    options.pop("skip_user_error_events", None)


def _is_for_us(context: ExceptionContext) -> bool:
    """An error of the driver; neither a value that a column's type refuses, nor what SQLAlchemy provokes to see its tables."""
    is_probe = (context.statement or "").lstrip().upper().startswith(PROBES)
    return isinstance(context.sqlalchemy_exception, DBAPIError) and not is_probe


def mysql_error(
    error: BaseException, statement: str | None = None, *, severed: bool = False
) -> StrongroomError:
    """Ours for an error of asyncmy. `severed`: the connection is known to be broken."""
    number = mysql_number(error)
    meaning = Meaning.AWAY if severed else mysql_meaning(number, getattr(error, "sqlstate", None))
    return _error_of(meaning, number, error, statement)


def mysql_number(error: BaseException) -> int:
    """The server's or the client library's number; 0 where there is none."""
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) else 0


def _error_of(meaning: Meaning, number: int, error: BaseException, statement: str | None) -> StrongroomError:
    match meaning:
        case Meaning.PASSING:
            return Undone(has_waited=number in WAITED)
        case Meaning.AWAY:
            return ConnectionSevered()
        case Meaning.DUPLICATE:
            return Duplicate()
        case Meaning.UNUSABLE:
            log.warning("the database cannot be used", number=number, error=type(error).__name__)
            return DatabaseUnusable(number, _why(number, error))
    log.error("the database refused a statement", number=number, statement=(statement or "")[:MAX_STATEMENT])
    return UnfitValue() if meaning is Meaning.UNFIT else DatabaseRefused(number)


def _why(number: int, error: BaseException) -> str:
    """Describes an error in a few words. The server's own words may hold addresses and names of users."""
    name: str | None = getattr(error, "sqlite_errorname", None)
    return name or f"error {number}"
