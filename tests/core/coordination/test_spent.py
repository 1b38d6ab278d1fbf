"""A window in its short form holds what a plain table of buckets holds."""

from hypothesis import given
from hypothesis import strategies as st

from strongroom.core.coordination.spent import (
    BUCKETS,
    NOTHING,
    Bucket,
    Spent,
    bucket_width_ms,
    decode_spent,
    encode_spent,
)

NUMBERS = st.integers(min_value=0, max_value=12)
AMOUNTS = st.integers(min_value=0, max_value=2**256 - 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("plus"), NUMBERS, AMOUNTS),
        st.tuples(st.just("minus"), NUMBERS, AMOUNTS),
        st.tuples(st.just("since"), NUMBERS, st.just(0)),
    ),
    max_size=30,
)
Table = dict[int, tuple[int, int]]


def plain(table: Table, what: str, number: int, amount: int) -> Table:
    if what == "since":
        return {one: held for one, held in table.items() if one >= number}
    signatures, before = table.get(number, (0, 0))
    if what == "plus":
        return table | {number: (signatures + 1, before + amount)}
    if number not in table:
        return table
    return table | {number: (max(0, signatures - 1), max(0, before - amount))}


def changed(spent: Spent, what: str, number: int, amount: int) -> Spent:
    if what == "since":
        return spent.since(number)
    return spent.plus(number, amount) if what == "plus" else spent.minus(number, amount)


@given(STEPS)
def test_it_holds_what_a_table_of_buckets_holds(steps: list[tuple[str, int, int]]) -> None:
    table: Table = {}
    spent = NOTHING
    for step in steps:
        table = plain(table, *step)
        spent = decode_spent(encode_spent(changed(spent, *step)))
        assert (spent.signatures, spent.amount) == (
            sum(signatures for signatures, _ in table.values()),
            sum(amount for _, amount in table.values()),
        )
        held = {each.number: (each.signatures, each.amount) for each in spent.buckets()}
        assert {one: each for one, each in held.items() if each != (0, 0)} == {
            one: each for one, each in table.items() if each != (0, 0)
        }
        assert [each.number for each in spent.buckets()] == sorted(held)
        assert spent.oldest == min(held)


def test_it_is_stored_as_the_page_says() -> None:
    spent = NOTHING.plus(27, 40).plus(28, 10).plus(29, 20)
    assert encode_spent(spent) == "3 70|29 1 20|27 1 40|28 1 10|"
    assert spent.newest == Bucket(29, 1, 20)
    assert spent.since(28) == Spent(2, 30, Bucket(29, 1, 20), "28 1 10|")
    assert spent.since(30) is NOTHING


def test_a_window_has_sixty_buckets_and_none_is_too_short() -> None:
    for seconds in (1, 7, 60, 86_400, 366 * 86_400):
        width_ms = bucket_width_ms(seconds)
        assert seconds * 1000 <= BUCKETS * width_ms < seconds * 1000 + BUCKETS
