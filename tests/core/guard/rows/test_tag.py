"""The tag of a row covers all of it."""

from strongroom.core.security.rows.tag import as_bytes, encoded, row_tag


def test_a_tag_covers_every_part() -> None:
    key, columns = bytes(32), {"a": "1", "b": None}
    first = row_tag(key, "t", "n", 1, columns)
    assert first == row_tag(key, "t", "n", 1, dict(columns))
    others = [
        row_tag(b"\1" * 32, "t", "n", 1, columns),
        row_tag(key, "u", "n", 1, columns),
        row_tag(key, "t", "m", 1, columns),
        row_tag(key, "t", "n", 2, columns),
        row_tag(key, "t", "n", 1, {"a": "1", "b": ""}),
        row_tag(key, "t", "n", 1, {"a": "1", "c": None}),
        row_tag(key, "t", "n", 1, {"a": "2", "b": None}),
        row_tag(key, "tn", "", 1, columns),
    ]
    assert len({first, *others}) == len(others) + 1
    assert [as_bytes(one) for one in (True, 10, "é", b"x", None)] == [b"1", b"10", "é".encode(), b"x", None]
    assert encoded([b"ab", None, b""]) == b"\0\0\0\2ab" + b"\xff" * 4 + b"\0\0\0\0"
