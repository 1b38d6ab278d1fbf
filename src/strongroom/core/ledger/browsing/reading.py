"""What ledgers share when they read pages of wallets: names by a part of them, places, and bounded parts of many wallets at once."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import CompoundSelect, Select, select, union_all

from strongroom.core.errors import InvalidInput
from strongroom.core.ledger.browsing.records import Page

T = TypeVar("T")
R = TypeVar("R")

LOOK: Final = 2_500
LOOKS: Final = 4
"""A page that searches a part of names looks through so many times `LOOK` names, then says where to go on."""
MAX_DIGITS: Final = 18

ReadNames = Callable[[str, int], Sequence[str]]
"""The names after one (empty: from the first), in their order, at most so many."""


def find_names(read: ReadNames, *, part: str, after: str, limit: int) -> Page[str]:
    """The names that have `part` in them, in large or small letters."""
    if not part:
        return cut(read(after, limit + 1), limit, lambda name: name)
    wanted, found = part.casefold(), list[str]()
    for _ in range(LOOKS):
        names = read(after, LOOK)
        for name in names:
            if wanted in name.casefold():
                if len(found) == limit:
                    return Page(items=found, after=found[-1])
                found.append(name)
        if len(names) < LOOK:
            return Page(items=found, after=None)
        after = names[-1]
    return Page(items=found, after=after)


def cut(found: Sequence[T], limit: int, place: Callable[[T], str]) -> Page[T]:
    """A page of what was read with `limit + 1`."""
    shown = found[:limit]
    return Page(items=shown, after=place(shown[-1]) if len(found) > limit else None)


def with_items(page: Page[T], items: Sequence[R]) -> Page[R]:
    """The same place in the list, with what was made of its items."""
    return Page(items=items, after=page.after)


def read_place(text: str, *forms: type[int] | type[str]) -> tuple[Any, ...]:
    """The parts of a place, which stand between colons; a last one of text may have colons.

    Raises:
        InvalidInput: it has another form.
    """
    parts = text.split(":", len(forms) - 1)
    if len(parts) != len(forms) or not all(
        form is str or _is_number(part) for part, form in zip(parts, forms, strict=True)
    ):
        raise no_place()
    return tuple(form(part) for part, form in zip(parts, forms, strict=True))


def no_place() -> InvalidInput:
    return InvalidInput("The cursor was not given out by this list", code="invalid_cursor")


def each_of(queries: Sequence[Select[Any]]) -> CompoundSelect[Any]:
    """The rows of several queries as one statement, each with an order and a limit of its own."""
    return union_all(*(select(query.subquery()) for query in queries))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
