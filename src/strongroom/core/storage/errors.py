"""The meaning of database errors, and the exceptions that they become.

No caller of `core.storage.database` sees a driver's error. Every error of SQLite, MySQL, MariaDB, Galera, TiDB and the proxies
before them has one of six meanings, by its number:

    PASSING     the server undid the transaction because of others; run again, it may succeed
    AWAY        this connection or this server fails now; another connection may succeed
    UNUSABLE    nothing works until a person acts: no space, no permission, no table
    DUPLICATE   a row with this key exists
    UNFIT       the column cannot store the value
    REFUSED     a violated constraint or a wrong statement: a defect of this service

The first three become `Unavailable`: nothing was changed. A failed COMMIT is different, because it may have been done. Only a few
numbers prove that it was not; every other one becomes `CommitUnknown`.
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
"""The log shows this many characters of a refused statement, and none of its values."""


class DatabaseUnavailable(Unavailable):
    """The database fails now; nothing was changed."""

    code = "database_unavailable"
    patience_s = 0.0
    """For this time after its first failure, a unit of work may run again."""


class ConnectionSevered(DatabaseUnavailable):
    """There is no connection, it broke before the commit was sent, or the server cannot serve it now."""

    patience_s = 2.0

    def __init__(self) -> None:
        super().__init__("The database does not answer; nothing was signed or changed")


class Undone(DatabaseUnavailable):
    """The server undid the transaction because of others: a deadlock, a lock, or a conflict between nodes."""

    patience_s = 5.0

    def __init__(self, *, has_waited: bool = False) -> None:
        """With `has_waited` the server itself has already waited its full time, so the unit does not run again."""
        if has_waited:
            self.patience_s = 0.0
        super().__init__(
            "The database is busy: others change the same rows; nothing was signed or changed",
            code="database_busy",
        )


class DatabaseUnusable(DatabaseUnavailable):
    """The database cannot be used until a person acts; trying again does not help."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(
            f"The database cannot be used ({why}); nothing was signed or changed", code="database_unusable"
        )
        self.number = number


class CommitUnknown(OutcomeUnknown):
    """The connection broke, the server was silent or the server failed, while the commit may have been running."""

    code = "database_commit_unknown"

    def __init__(self) -> None:
        super().__init__("The database went away; whether it committed is not known yet")


class Duplicate(StrongroomError):
    """A row with this key exists. A caller that expects this reads that row."""

    code = "already_stored"

    def __init__(self) -> None:
        super().__init__("Another request stored the same first; nothing was changed")


class UnfitValue(InvalidInput):
    """A value is too long or too large for its column, or has characters that the column cannot store."""

    code = "value_not_storable"

    def __init__(self) -> None:
        super().__init__(
            "A value cannot be stored: it is too long, too large, or has characters that the table lacks"
        )


class DatabaseRefused(StrongroomError):
    """The database refused a statement for a violated constraint or an error in it: a defect of this service."""

    code = "database_refused"

    def __init__(self, number: int) -> None:
        super().__init__(f"The database refused a statement (error {number}); nothing was changed")
        self.number = number


PROBES = ("DESCRIBE ", "SHOW CREATE TABLE ")
"""SQLAlchemy's statements that look whether a table exists in MySQL begin with these words."""


def translate_mysql(context: ExceptionContext) -> StrongroomError | None:
    """For SQLAlchemy's event `handle_error`: translates asyncmy's errors to ours, and unwraps ours of a column's type."""
    if isinstance(context.original_exception, StrongroomError):
        return context.original_exception
    if not _is_for_us(context):
        return None
    return mysql_error(context.original_exception, context.statement, severed=context.is_disconnect)


def translate_sqlite(context: ExceptionContext) -> StrongroomError | None:
    """For SQLAlchemy's event `handle_error`: translates sqlite3's errors to ours, and unwraps ours of a column's type."""
    if isinstance(context.original_exception, StrongroomError):
        return context.original_exception
    if not _is_for_us(context):
        return None
    error = context.original_exception
    number: int = getattr(error, "sqlite_errorcode", 0)
    return _error_of(sqlite_meaning(number, str(error)), number, error, context.statement)


def keep_telling(_connection: Connection, options: dict[str, Any]) -> None:
    """For SQLAlchemy's event `set_connection_execution_options`: keeps errors translated after a probe of a table.

    SQLAlchemy sets `skip_user_error_events` to hide the error of its probe, but the option stays on the connection and would
    hide all later errors too.
    """
    options.pop("skip_user_error_events", None)


def _is_for_us(context: ExceptionContext) -> bool:
    """Whether this is a driver's error. A value that a column's type refuses is not, nor is an expected error of a probe.

    A probe expects that there is no table. That its transaction was undone, or its connection broke, it does not expect.
    """
    if not isinstance(context.sqlalchemy_exception, DBAPIError):
        return False
    if not (context.statement or "").lstrip().upper().startswith(PROBES):
        return True
    meaning = mysql_meaning(mysql_number(context.original_exception))
    return context.is_disconnect or meaning in {Meaning.PASSING, Meaning.AWAY}


def mysql_error(
    error: BaseException, statement: str | None = None, *, severed: bool = False
) -> StrongroomError:
    """Our exception for an error of asyncmy. With `severed` the connection is known to be broken."""
    number = mysql_number(error)
    meaning = Meaning.AWAY if severed else mysql_meaning(number, getattr(error, "sqlstate", None))
    return _error_of(meaning, number, error, statement)


def mysql_number(error: BaseException) -> int:
    """The error number of the server or the client library; 0 if there is none."""
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
    """A short description of an error. The server's own text is not used: it may contain addresses and user names."""
    name: str | None = getattr(error, "sqlite_errorname", None)
    return name or f"error {number}"
