"""Definitions of tables as the server writes them, and the statements that put a table back to an earlier one.

`SHOW CREATE TABLE` has one column, key or constraint a line. Two texts of one server are compared line by line, so that nothing needs
to be known of types, defaults or collations.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection, TextClause, text

OURS = "strongroom_"
_NAME = re.compile(r"`((?:[^`]|``)+)`")
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
_CHARSET = re.compile(r"CHARACTER SET (\w+)")
_COLLATION = re.compile(r"COLLATE[ =](\w+)")
_TABLE_CHARSET = re.compile(r"CHARSET=(\w+)")
_ROW_FORMAT = re.compile(r"ROW_FORMAT=(\w+)")
_TYPE = re.compile(r"`(?:[^`]|``)+` (\w+)(?:\(([\d,]+)\))?( unsigned)?")
PRIMARY = "PRIMARY"
RANGES = MappingProxyType({"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64})


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A table: each line by the name of what it defines."""

    columns: Mapping[str, str]
    keys: Mapping[str, str]
    constraints: Mapping[str, str]
    options: str

    def charset_of(self, column: str) -> str | None:
        """The column's character set; None where it holds no text, or the server does not say."""
        line = self.columns[column]
        if not is_text(line):
            return None
        found = _CHARSET.search(line) or _TABLE_CHARSET.search(self.options)
        return found and found[1]

    def collation_of(self, column: str) -> str | None:
        """None: the default of its character set."""
        line = self.columns[column]
        found = _COLLATION.search(line)
        if found is None and "CHARACTER SET" not in line:
            found = _COLLATION.search(self.options)
        return found and found[1]

    def is_unique(self, column: str) -> bool:
        """Whether a key makes the values of this one column unique."""
        return any(
            f"(`{column}`)" in line and line.startswith(("PRIMARY", "UNIQUE")) for line in self.keys.values()
        )

    @property
    def row_format(self) -> str:
        found = _ROW_FORMAT.search(self.options)
        return found[1] if found else "DEFAULT"


def is_text(line: str) -> bool:
    found = _TYPE.match(line)
    return found is not None and ("char" in found[1] or "text" in found[1] or found[1] in {"enum", "set"})


def whole_numbers(line: str) -> tuple[int, int] | None:
    """The least and the greatest value of a column of whole numbers; None of any other."""
    found = _TYPE.match(line)
    if found is None or found[1] not in RANGES:
        return None
    bits = RANGES[found[1]]
    return (0, 2**bits - 1) if found[3] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def read_definition(statement: str) -> Definition:
    """Reads what `SHOW CREATE TABLE` answers."""
    _, *lines, last = statement.split("\n")
    columns: dict[str, str] = {}
    keys: dict[str, str] = {}
    constraints: dict[str, str] = {}
    for raw in lines:
        line = raw.strip().removesuffix(",")
        found = _NAME.search(line)
        name = found[1].replace("``", "`") if found else ""
        if line.startswith("`"):
            columns[name] = line
        elif line.startswith("PRIMARY KEY"):
            keys[PRIMARY] = line
        elif line.startswith("CONSTRAINT"):
            constraints[name] = line
        else:
            keys[name] = line
    options = _COUNTER.sub("", last.removeprefix(")")).strip()
    return Definition(columns=columns, keys=keys, constraints=constraints, options=options)


def table_statement(connection: Connection, table: str) -> str:
    """The table as the server writes it."""
    row = connection.execute(text(f"SHOW CREATE TABLE {quoted(table)}")).one()
    return str(row[1])


def table_names(connection: Connection) -> list[str]:
    query = (
        "SELECT TABLE_NAME FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME"
    )
    return [str(name) for name in connection.execute(text(query)).scalars()]


def is_ours(table: str) -> bool:
    return table.startswith(OURS)


def way_back(
    table: str, wanted: Definition, found: Definition, *, staying: Collection[str] = ()
) -> str | None:
    """The statement that makes `found` to `wanted`; None: they are equal. Columns of `staying` stay as they are."""
    changes = [
        *(f"DROP FOREIGN KEY {quoted(name)}" for name in _outdated(wanted.constraints, found.constraints)),
        *(_drop_key(name) for name in _outdated(wanted.keys, found.keys)),
        *(f"DROP COLUMN {quoted(name)}" for name in found.columns if name not in wanted.columns),
    ]
    for name, line in wanted.columns.items():
        if name not in found.columns:
            changes.append(f"ADD COLUMN {line}")
        elif found.columns[name] != line and name not in staying:
            changes.append(f"MODIFY COLUMN {line}")
    changes += [f"ADD {line}" for line in _new(wanted.keys, found.keys)]
    changes += [f"ADD {line}" for line in _new(wanted.constraints, found.constraints)]
    if wanted.row_format != found.row_format and not staying:
        changes.append(f"ROW_FORMAT={wanted.row_format}")
    return f"ALTER TABLE {quoted(table)} {', '.join(changes)}" if changes else None


def changed_columns(wanted: Definition, found: Definition) -> list[str]:
    return [
        name for name, line in wanted.columns.items() if name in found.columns and found.columns[name] != line
    ]


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def as_text(statement: str) -> TextClause:
    """SQLAlchemy would take `:word` for a parameter."""
    return text(statement.replace(":", "\\:"))


def _outdated(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    return [name for name, line in found.items() if wanted.get(name) != line]


def _new(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    return [line for name, line in wanted.items() if found.get(name) != line]


def _drop_key(name: str) -> str:
    return "DROP PRIMARY KEY" if name == PRIMARY else f"DROP INDEX {quoted(name)}"
