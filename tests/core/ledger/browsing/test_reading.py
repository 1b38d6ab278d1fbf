"""Names that are searched by a part of them, a bounded number of them a page."""

import pytest

from strongroom.core.errors import InvalidInput
from strongroom.core.ledger.browsing.reading import LOOK, LOOKS, find_names, read_place

NAMES = sorted(f"wallet-{number:05}" for number in range(3 * LOOK * LOOKS))


class Store:
    def __init__(self) -> None:
        self.read = 0

    def names(self, after: str, count: int) -> list[str]:
        found = [name for name in NAMES if name > after][:count]
        self.read += len(found)
        return found


def test_a_page_reads_no_more_than_it_shows() -> None:
    store = Store()
    page = find_names(store.names, part="", after="", limit=10)
    assert (list(page.items), page.after, store.read) == (NAMES[:10], NAMES[9], 11)


def test_a_search_looks_at_a_bounded_part_and_goes_on_where_it_stopped() -> None:
    found, after, pages = list[str](), "", 0
    while True:
        store = Store()
        page = find_names(store.names, part="ET-29999", after=after, limit=5)
        found, pages = [*found, *page.items], pages + 1
        assert store.read <= LOOK * LOOKS
        if page.after is None:
            break
        after = page.after
    assert (found, pages) == (["wallet-29999"], len(NAMES) // (LOOK * LOOKS) + 1)


def test_a_search_neither_repeats_nor_misses_a_name() -> None:
    found, after = list[str](), ""
    while True:
        page = find_names(Store().names, part="77", after=after, limit=7)
        found += page.items
        if page.after is None:
            break
        after = page.after
    assert found == [name for name in NAMES if "77" in name]


@pytest.mark.parametrize("text", ["", "1", "x:abc", "-1:abc", "1" * 19 + ":abc", "\u0661:abc"])
def test_a_place_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_place(text, int, str)
    assert refused.value.instance_code == "invalid_cursor"


def test_a_place_has_its_parts() -> None:
    assert read_place("7:coldkey:a:b", int, str, str) == (7, "coldkey", "a:b")
