"""JSON that others wrote is decoded up to a depth, and whatever is wrong with it is one kind of error."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core.json_decoder import MAX_DEPTH, JsonDecoder, check_depth, decode_json
from support.nested import NESTED, arrays, objects

STRINGS = st.text(alphabet='[]{}"\\a/é\n', max_size=6)
DOCUMENTS = st.recursive(
    st.none() | st.integers(0, 9) | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=60,
)


class Known(msgspec.Struct):
    name: str = ""


def depth_of(value: Any) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0


@given(DOCUMENTS, st.integers(0, 80), st.booleans())
def test_the_depth_is_that_of_the_document(document: Any, around: int, ascii_only: bool) -> None:
    """Whatever brackets, quotes and backslashes its strings hold."""
    for _ in range(around):
        document = [document, "]}"]
    text = json.dumps(document, ensure_ascii=ascii_only)
    if depth_of(document) <= MAX_DEPTH:
        assert decode_json(text) == decode_json(text.encode()) == document
    else:
        for data in (text, text.encode()):
            with pytest.raises(msgspec.DecodeError, match="nested deeper than 64 levels"):
                decode_json(data)


@pytest.mark.parametrize("data", NESTED)
def test_what_is_too_deep_is_refused_by_every_kind_of_decoder(data: bytes) -> None:
    for decode in (decode_json, JsonDecoder(Known).decode, JsonDecoder(dict[str, msgspec.Raw]).decode):
        for form in (data, data.decode()):
            with pytest.raises(msgspec.DecodeError):
                decode(form)


def test_many_brackets_are_not_deep() -> None:
    wide = b"[" + b",".join([b'{"a":[{"b":"[[[["}]}'] * 10_000) + b"]"
    assert len(decode_json(wide)) == 10_000
    check_depth(arrays(MAX_DEPTH))
    check_depth(objects(MAX_DEPTH))


@pytest.mark.parametrize("data", [b'"\xff"', b"\xff\xfe", "\ud800", '"\ud800"', b"[1,", b"", b"nothing"])
def test_what_is_no_json_is_the_same_error(data: bytes | str) -> None:
    for decode in (decode_json, JsonDecoder(Known).decode):
        with pytest.raises(msgspec.DecodeError):
            decode(data)


def test_a_part_that_was_read_raw_is_decoded_later() -> None:
    raw = JsonDecoder(dict[str, msgspec.Raw]).decode(b'{"a": {"name": "x"}}')["a"]
    assert JsonDecoder(Known).decode(raw) == Known(name="x")
    assert decode_json('{"name": "y"}', Known) == Known(name="y")
    with pytest.raises(msgspec.ValidationError):
        decode_json("[]", Known)


@pytest.mark.parametrize("text", ['"\\ud800"', '{"name":"\\uDBFFx"}', '["\\ud800"]'])
def test_half_of_a_surrogate_pair_is_not_said_to_be_a_truncated_document(text: str) -> None:
    for decode in (decode_json, JsonDecoder(Any).decode):
        for data in (text, text.encode()):
            with pytest.raises(msgspec.DecodeError, match="half of an escaped surrogate pair"):
                decode(data)


def test_a_truncated_document_is_said_to_be_truncated() -> None:
    for data in ('{"name":"a', '"\\ud83d\\ude00', ""):
        with pytest.raises(msgspec.DecodeError, match="truncated"):
            decode_json(data)
