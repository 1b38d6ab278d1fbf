import pytest
from hypothesis import given
from hypothesis import strategies as st

from atto.protocol.strategies import keys
from atto.protocol.vectors import VECTORS, unhex
from strongroom.atto.protocol import Address, InvalidAddress

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
PAIRS = [
    (vector["publicKey"], vector["address"])
    for vector in (
        VECTORS["address"],
        VECTORS["docs_address"],
        VECTORS["commons_keys"],
        *(account for account in VECTORS["npm_accounts"] if "seed" in account),
    )
]
ADDRESS = Address.parse(VECTORS["address"]["address"])


@pytest.mark.parametrize(("public_key", "uri"), PAIRS)
def test_vectors(public_key: str, uri: str) -> None:
    address = Address(public_key=unhex(public_key))
    assert (address.uri, address.path, str(address)) == (uri, uri[7:], uri[7:])
    assert Address.parse(uri) == Address.parse(uri[7:]) == address


@pytest.mark.parametrize(
    "text",
    [
        VECTORS["address"]["bad_checksum"],
        VECTORS["address"]["bad_schema"],
        "",
        "atto://",
        ADDRESS.path.upper(),
        ADDRESS.uri.upper(),
        "atto://" + ADDRESS.uri,
        ADDRESS.path + "\n",
        ADDRESS.path + "a",
        ADDRESS.path[:-1],
        " " + ADDRESS.path,
        ADDRESS.path.replace("a", "á"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        Address.parse(text)


def test_key_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidAddress):
        Address(public_key=bytes(31))


@given(keys)
def test_round_trip(public_key: bytes) -> None:
    address = Address(public_key=public_key)
    assert Address.parse(address.path) == Address.parse(address.uri) == address


@given(keys, st.integers(0, 60), st.integers(1, 31))
def test_another_character_is_refused(public_key: bytes, at: int, by: int) -> None:
    path = Address(public_key=public_key).path
    other = ALPHABET[ALPHABET.index(path[at]) ^ by]
    with pytest.raises(InvalidAddress):
        Address.parse(path[:at] + other + path[at + 1 :])


@given(keys)
def test_second_spelling_of_an_address_is_refused(public_key: bytes) -> None:
    path = Address(public_key=public_key).path
    # 38 bytes fill 304 of the 305 bits: the last bit says nothing.
    spelling = path[:-1] + ALPHABET[ALPHABET.index(path[-1]) ^ 1]
    with pytest.raises(InvalidAddress):
        Address.parse(spelling)


@given(st.text(max_size=70))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        Address.parse(text)
