"""SQLAlchemy Core constructs, compiled once for each dialect and run on the driver's cursor.

For the paths where SQL is the cost: SQLAlchemy's ORM-like handling of each row and parameter costs more there than the
database. A `Statement` names its arguments (`arg`) and takes them by position; a list of any length goes where `listed`
or `paired` stands. Rows are the driver's own: on SQLite an `UnsignedBig` comes as text, on MySQL a sum as Decimal.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import cycle
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Dialect, and_, delete
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter, ClauseElement
from sqlalchemy.sql.schema import Table
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from strongroom.core.chunks import chunks
from strongroom.core.storage.ascii_text import AsciiKey, AsciiText, ascii_key
from strongroom.core.storage.mysql_queries import run_on_driver

T = TypeVar("T")
Values = tuple[Any, ...]
Bind = Callable[[Sequence[Any]], Sequence[Any]]

MAX_IN = 900
"""MariaDB turns a list of 1,000 values into a subquery, and loses the index by it."""
MAX_PAIRS = 150
"""MySQL forgets the index above about 185 pairs."""
ROWS_A_STATEMENT = 5_000
# Dialects of our own, so that a statement is compiled once and not for each engine. That of MySQL knows no server
# version: it writes VALUES(column) in an upsert, whose rows the drivers send in one piece; MySQL 8's alias they do not.
_SQLITE = sqlite.dialect(paramstyle="qmark")
_MYSQL = mysql.dialect(paramstyle="format")
_PREFIX = "arg_"
_OF_LIST = frozenset({"listed", "left", "right"})
_START, _END = "\x01", "\x02"


class _Argument(BindParameter[Any]):
    """A value that callers give. Every other value of a statement is a constant, and stands in its text."""

    inherit_cache = False


@compiles(_Argument)
def _compile_argument(element: _Argument, compiler: SQLCompiler, **options: Any) -> str:
    text: str = compiler.visit_bindparam(element, **{**options, "literal_binds": False})  # type: ignore[no-untyped-call]
    return text


class _Repeated(ColumnElement[Any]):
    """A clause that is written once for each value of a list."""

    inherit_cache = False
    type = NullType()  # not Boolean: SQLAlchemy would append `= 1`, and no index would be used

    def __init__(self, clause: ClauseElement, joint: str) -> None:
        self.clause = clause
        self.joint = joint


@compiles(_Repeated)
def _compile_repeated(element: _Repeated, compiler: SQLCompiler, **options: Any) -> str:
    return f"({_START}{compiler.process(element.clause, **options)}{_START}{element.joint}{_END})"


def arg(name: str, kind: TypeEngine[Any] | None = None) -> BindParameter[Any]:
    """An argument of a statement. Its type is that of what it is compared with, where `kind` is not given."""
    return _Argument(_PREFIX + name, type_=kind)


def listed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """`column IN (...)`: the list is the statement's first argument."""
    return column.bool_op("IN")(_Repeated(arg("listed", column.type), ","))


def paired(left: ColumnElement[Any], right: ColumnElement[Any]) -> ColumnElement[Any]:
    """Both columns equal one of the pairs that are the statement's first argument.

    Alternatives, because SQLite reads the whole table for `(a, b) IN (VALUES ...)`.
    """
    return _Repeated(and_(left == arg("left"), right == arg("right")).self_group(), " OR ")


class _Unindexed(ColumnElement[Any]):
    """A column that SQLite does not look up in an index."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.column = column
        self.type = column.type


@compiles(_Unindexed)
def _compile_unindexed(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.column, **options)


@compiles(_Unindexed, "sqlite")
def _compile_unindexed_sqlite(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.column, **options)}"


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column, by whose index SQLite shall not look: it does not know how many rows a condition finds, and may begin at the wrong end."""
    return _Unindexed(column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """`text` for the driver; `bind` puts arguments in the text's order and in the database's form."""

    text: str
    bind: Bind
    head: str
    repeated: str
    joint: str
    tail: str
    """Around the list, where there is one."""
    leads: bool
    """The list comes before all other parameters in the text."""
    width: int
    """Columns of a value of the list; 0: there is no list."""
    keys: tuple[bool, ...]
    """Which columns of the list are compared with a column that cannot hold every text."""

    def bound(self, arguments: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """The text and the parameters for one execution; a list, which must not be empty, is the first argument."""
        if not self.width:
            return self.text, self.bind(arguments)
        values, more = arguments[0], self.bind(arguments[1:])
        text = f"{self.head}{self.joint.join([self.repeated] * len(values))}{self.tail}"
        flat = values if self.width == 1 else [part for value in values for part in value]
        if any(self.keys):
            flat = [
                ascii_key(one) if is_key else one for one, is_key in zip(flat, cycle(self.keys), strict=False)
            ]
        return text, (*flat, *more) if self.leads else (*more, *flat)

    def bind_rows(self, rows: list[Values]) -> list[Values]:
        """Most rows need nothing, and are not copied: this is the sync's innermost loop."""
        if self.bind is _as_they_come:
            return rows
        return [tuple(self.bind(row)) for row in rows]


class Statement:
    """A construct and the names of its arguments, in the order in which callers give them."""

    __slots__ = ("_checks_text", "_compiled", "_construct", "_names")

    def __init__(self, construct: Executable, *names: str, checks_text: bool = False) -> None:
        """With `checks_text` a text that does not fit into a column of ASCII text is refused on every database."""
        self._construct = construct
        self._names = names
        self._checks_text = checks_text
        self._compiled: dict[str, Compiled] = {}

    @property
    def argument_count(self) -> int:
        """Without the list."""
        return len(self._names)

    def compiled(self, dialect: str) -> Compiled:
        """For `sqlite`, or any other name: MySQL and MariaDB take the same text."""
        found = self._compiled.get(dialect)
        if found is None:
            own = _SQLITE if dialect == "sqlite" else _MYSQL
            found = self._compiled[dialect] = _compile(
                self._construct, self._names, own, checks_text=self._checks_text
            )
        return found


def delete_by_key(table: Table) -> Statement:
    """Deletes one row; the arguments are the columns of the table's primary key, in their order."""
    key = table.primary_key.columns
    return Statement(delete(table).where(*(column == arg(column.name) for column in key)), *key.keys())


def execute(connection: Connection, statement: Statement, *arguments: Any) -> Sequence[Values]:
    """One execution; returns the rows of a SELECT."""
    dialect = connection.dialect.name
    text, parameters = statement.compiled(dialect).bound(arguments)
    if dialect != "sqlite":
        return run_on_driver(connection, text, tuple(parameters)).rows
    result = connection.exec_driver_sql(text, tuple(parameters))
    return result.fetchall() if result.returns_rows else ()


def insert_numbered(connection: Connection, statement: Statement, *arguments: Any) -> int:
    """Inserts one row, and returns the number that the database gives it."""
    dialect = connection.dialect.name
    text, parameters = statement.compiled(dialect).bound(arguments)
    if dialect != "sqlite":
        return run_on_driver(connection, text, tuple(parameters)).last_id
    return int(connection.exec_driver_sql(text, tuple(parameters)).lastrowid)


def insert_of(table: Table) -> Statement:
    """Inserts one row; the arguments are all columns that the database does not fill by itself, in their order.

    A text that an ASCII column cannot store is refused before the database sees it, as SQLAlchemy does: SQLite would store it.
    """
    columns = [column for column in table.columns if column is not table.autoincrement_column]
    values = {column.name: arg(column.name) for column in columns}
    return Statement(table.insert().values(values), *values, checks_text=True)


def select_value(connection: Connection, statement: Statement, *arguments: Any) -> Any | None:
    """Returns the first column of the first row; None where there is no row, or the column is NULL."""
    rows = execute(connection, statement, *arguments)
    return rows[0][0] if rows else None


def execute_many(connection: Connection, statement: Statement, rows: Iterable[Values]) -> None:
    """One execution for each row of arguments."""
    listed_rows = list(rows)
    if listed_rows:
        compiled = statement.compiled(connection.dialect.name)
        connection.exec_driver_sql(compiled.text, compiled.bind_rows(listed_rows))


def select_in(
    connection: Connection, statement: Statement, values: Iterable[str | int | bytes], *more: Any
) -> Iterator[Values]:
    """The rows for all of `values`, asked for in chunks; `more` are the other arguments."""
    for chunk in chunks(values, MAX_IN):
        yield from execute(connection, statement, chunk, *more)


def select_pairs(
    connection: Connection, statement: Statement, pairs: Iterable[tuple[str, str | int]]
) -> Iterator[Values]:
    """As `select_in`, for pairs of values."""
    for chunk in chunks(pairs, MAX_PAIRS):
        yield from execute(connection, statement, chunk)


def delete_in(connection: Connection, statement: Statement, values: Iterable[str | int]) -> None:
    """A statement that returns no rows, for chunks of `values`."""
    for chunk in chunks(values, MAX_IN):
        execute(connection, statement, chunk)


def upsert_rows(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Iterable[Values],
    update: Sequence[str],
) -> None:
    """Inserts rows; where the primary key exists, the columns `update` take the new values."""
    compiled = _upsert(table, tuple(columns), tuple(update), connection.dialect.name == "sqlite")
    for chunk in chunks(rows, ROWS_A_STATEMENT):
        if len(chunk) == 1 and connection.dialect.name != "sqlite":  # as the window of a signature
            run_on_driver(connection, compiled.text, tuple(compiled.bind(chunk[0])))
            continue
        connection.exec_driver_sql(compiled.text, compiled.bind_rows(chunk))


@lru_cache(maxsize=128)
def _upsert(table: Table, columns: tuple[str, ...], update: tuple[str, ...], is_sqlite: bool) -> Compiled:
    values = {name: arg(name) for name in columns}
    if is_sqlite:
        lite = sqlite.insert(table).values(values)
        keys = list(table.primary_key.columns)
        changes = {name: lite.excluded[name] for name in update}
        construct: Executable = lite.on_conflict_do_update(index_elements=keys, set_=changes)
    else:
        my = mysql.insert(table).values(values)
        construct = my.on_duplicate_key_update({name: my.inserted[name] for name in update})
    return _compile(construct, columns, _SQLITE if is_sqlite else _MYSQL)


def _compile(
    construct: Executable, names: Sequence[str], dialect: Dialect, *, checks_text: bool = False
) -> Compiled:
    compiler = construct.compile(dialect=dialect, compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
    text = compiler.string
    order = [name.removeprefix(_PREFIX) for name in compiler.positiontup or ()]
    kinds = {name.removeprefix(_PREFIX): bind.type for name, bind in compiler.binds.items()}
    of_list = [place for place, name in enumerate(order) if name in _OF_LIST]
    single = [name for name in order if name not in _OF_LIST]
    if set(single) != set(names):
        raise ValueError(f"The statement has the arguments {single}, and {list(names)} are named: {text!r}")
    if of_list and of_list[0] > 0 and of_list[-1] < len(order) - 1:
        raise ValueError(f"The list stands between other arguments: {text!r}")
    listed_kinds = [kinds[name] for name in order if name in _OF_LIST]
    keys = [isinstance(kind, AsciiKey | AsciiText) and dialect is _MYSQL for kind in listed_kinds]
    converts = [
        _converter(kind, dialect) for kind, is_key in zip(listed_kinds, keys, strict=True) if not is_key
    ]
    if any(converts):
        raise ValueError(f"The database has a form of its own for the values of this list: {text!r}")
    head, repeated, joint, tail = text, "", "", ""
    if of_list:
        head, repeated, rest = text.split(_START)
        joint, tail = rest.split(_END)
    steps = [
        _Step(place=names.index(name), convert=_converter(kinds[name], dialect, checks_text=checks_text))
        for name in single
    ]
    return Compiled(
        text=text,
        bind=_binder(steps, len(names)),
        head=head,
        repeated=repeated,
        joint=joint,
        tail=tail,
        leads=bool(of_list) and of_list[0] == 0,
        width=len(of_list),
        keys=tuple(keys),
    )


class _Step(NamedTuple):
    """One parameter of the text: which argument it takes, and what makes the database's form of it."""

    place: int
    convert: Callable[[Any], Any] | None


def _converter(
    kind: TypeEngine[Any], dialect: Dialect, *, checks_text: bool = False
) -> Callable[[Any], Any] | None:
    """SQLite has its own forms of large numbers; MySQL takes every value as it is, except for what it cannot compare."""
    if isinstance(kind, AsciiKey):
        return ascii_key if dialect is _MYSQL else None
    if isinstance(kind, AsciiText):
        # Otherwise the database refuses it as `UnfitValue`: a function for each value would slow the sync.
        return partial(kind.process_bind_param, dialect=dialect) if checks_text else None
    if isinstance(kind, TypeDecorator) and dialect.name == "sqlite":
        return partial(kind.process_bind_param, dialect=dialect)
    return None


def _binder(steps: Sequence[_Step], count: int) -> Bind:
    """The cheapest function that does it: most statements take their arguments as they come."""
    places = [step.place for step in steps]
    converts = [(place, step.convert) for place, step in enumerate(steps) if step.convert is not None]
    if converts:
        return partial(_convert, places, converts)
    if places == list(range(count)):
        return _as_they_come
    return partial(_in_order, places)


def _as_they_come(arguments: Sequence[Any]) -> Sequence[Any]:
    return arguments


def _in_order(places: Sequence[int], arguments: Sequence[Any]) -> Sequence[Any]:
    return [arguments[place] for place in places]


def _convert(
    places: Sequence[int], converts: Sequence[tuple[int, Callable[[Any], Any]]], arguments: Sequence[Any]
) -> Sequence[Any]:
    values = [arguments[place] for place in places]
    for place, convert in converts:
        values[place] = convert(values[place])
    return values
