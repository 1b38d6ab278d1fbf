"""Columns of ASCII text, which take any text from a client without an error of the database.

MySQL refuses a comparison of an ASCII column with other characters (error 1267). Here such a text matches no row, and an INSERT
or UPDATE with it is refused as `UnfitValue` before it reaches the database, on SQLite too.
"""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Dialect, String, type_coerce
from sqlalchemy.dialects import mysql
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from strongroom.core.storage.errors import UnfitValue

NO_ROW: Final = "\x7f"
"""Compared instead of a text that the column cannot hold. No column has it: it is a control character."""


def ascii_key(value: Any) -> Any:
    """What is compared with the column."""
    return NO_ROW if isinstance(value, str) and not value.isascii() else value


class AsciiKey(TypeDecorator[str]):
    """The type of what is compared with a column of `AsciiText`."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        found: str | None = ascii_key(value)
        return found


class _Compared(TypeDecorator.Comparator[str], String.Comparator[str]):
    """Gives the bound parameters of comparisons the type `AsciiKey`; SQLAlchemy would give them the column's."""

    def operate(self, op: OperatorType, *other: Any, **options: Any) -> Any:
        keys = [type_coerce(one, AsciiKey()) if _is_untyped(one) else one for one in other]
        return super().operate(op, *keys, **options)


def _is_untyped(value: Any) -> bool:
    return isinstance(value, BindParameter) and isinstance(value.type, NullType) and not value.expanding


class AsciiText(TypeDecorator[str]):
    """A column of at most `length` ASCII characters, compared byte for byte."""

    impl = String
    cache_ok = True
    comparator_factory: Callable[..., Any] = _Compared

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(self.length))
        return dialect.type_descriptor(mysql.VARCHAR(self.length, charset="ascii", collation="ascii_bin"))

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        del op, value
        return AsciiKey()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        if value is not None and (not value.isascii() or len(value) > self.length):
            raise UnfitValue
        return value
