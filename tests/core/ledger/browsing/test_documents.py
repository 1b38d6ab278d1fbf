"""Amounts as people read them."""

import pytest

from strongroom.core.ledger.browsing.documents import amount_text


@pytest.mark.parametrize(
    ("raw", "decimals", "text"),
    [
        (0, 9, "0"),
        (-1, 9, "-0.000000001"),
        (5_000_000_000, 9, "5"),
        (150, 2, "1.5"),
        (7, 0, "7"),
        (-20, 0, "-20"),
    ],
)
def test_amounts_have_all_their_digits(raw: int, decimals: int, text: str) -> None:
    assert amount_text(raw, decimals) == text
