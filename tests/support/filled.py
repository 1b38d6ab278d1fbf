"""Rows with the largest, the smallest and the oddest values that each column of a MySQL database takes."""

import re
from typing import Any

from sqlalchemy import Connection, column, insert, table, text
from sqlalchemy.engine import URL

from strongroom.core.storage.transfer.connections import filling, run

ROWS = 5
ASCII = ("", "a'b\\\"%s?:x", "tab\t", "line\n", "\x00end")
WORDS = ("", "a'b\\\"%s?:x", "é€𝄞😀", "Straße ", "line\n\x00\t")
ODD_BYTES = (b"", bytes(range(256)), b"\x00" * 4, b"'\\\xff", b"\xc3")
BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
LENGTH = re.compile(r"\((\d+)")
COLUMNS = text("""
SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, EXTRA, CHARACTER_SET_NAME, IS_NULLABLE FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME NOT LIKE 'strongroom\\_version%'
""")


async def fill_mysql(url: URL) -> None:
    """Every table of a migrated database gets `ROWS` rows, and a last one without what may be missing."""

    def work() -> None:
        with filling(url) as connection:
            _fill(connection)

    await run(work)


def _fill(connection: Connection) -> None:
    tables: dict[str, list[Any]] = {}
    for row in connection.execute(COLUMNS):
        tables.setdefault(row.TABLE_NAME, []).append(row)
    for name, columns in tables.items():
        target = table(name, *(column(one.COLUMN_NAME) for one in columns))
        connection.execute(target.delete())
        connection.execute(insert(target), [_row(columns, row) for row in range(ROWS)])
    connection.commit()


def _row(columns: list[Any], row: int) -> dict[str, Any]:
    is_last = row == ROWS - 1
    return {
        one.COLUMN_NAME: None if is_last and one.IS_NULLABLE == "YES" else _value(one, row) for one in columns
    }


def _value(one: Any, row: int) -> Any:  # noqa: PLR0911 - one for each kind
    """Two rows have two values in what may be a key."""
    kind = one.COLUMN_TYPE
    found = LENGTH.search(kind)
    length = int(found[1]) if found else 1 << 15
    if "auto_increment" in one.EXTRA:
        return row + 1
    if kind.startswith("enum"):
        words = re.findall(r"'([^']*)'", kind)
        return words[row % len(words)]
    if kind.startswith("tinyint(1)"):
        return row % 2
    if kind.startswith(tuple(BITS)):
        # These counters are signed on SQLite, and never come near the limit.
        bits = BITS[kind.partition("(")[0].partition(" ")[0]]
        low, high = (0, 2**bits - 1) if "unsigned" in kind else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if one.TABLE_NAME in {"notification_state", "miner", "version_data"}:
            high //= 2
        return (high, low, 1, 2, high - 1)[row]
    if kind.startswith("timestamp"):
        return f"20{20 + row}-03-28 02:30:00{'.00000' if '(6' in kind else '+'}{row}".partition("+")[0]
    if kind.startswith("decimal"):
        return (10**40 - 1, -(10**40) + 1, 0, 1, -1)[row]
    if kind.startswith("float"):
        return (3.4e38, 1 / 3, -0.1, 0.0, 16777217.0)[row]
    if "bin" in kind or "blob" in kind:
        return ODD_BYTES[row][: length - 1] + bytes([row])
    return (ASCII if one.CHARACTER_SET_NAME == "ascii" else WORDS)[row][: max(0, length - 1)] + str(row)
