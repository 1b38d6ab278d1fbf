"""Addresses and keys, against vectors of btwallet and of Substrate's own tools."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.keys import DEV_PHRASE, CryptoType, Keypair, mnemonic_seed, verify
from strongroom.bittensor.protocol.ss58 import decode_address, encode_address

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "bittensor" / "keyfiles.json").read_text()
)
ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("//Alice", ALICE),
        ("//Bob", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"),
        ("//Alice//hk0", "5DCjgv6LY9JXY1bwJo2pBnPoThnZWsgCoJAuwdV7SJdVabUx"),
        (DEV_PHRASE, "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"),
        (f"{DEV_PHRASE}//Alice", ALICE),
        (f"0x{mnemonic_seed(DEV_PHRASE).hex()}//Alice", ALICE),
    ],
)
def test_a_uri_leads_to_its_key(uri: str, address: str) -> None:
    assert Keypair.from_uri(uri).address == address


def test_a_soft_junction_gives_one_address_and_a_key_that_signs() -> None:
    first, second = Keypair.from_uri("//Alice/soft/7"), Keypair.from_uri("//Alice/soft/7")
    assert first.address == second.address != ALICE
    assert verify(first.public_key, b"m", second.sign(b"m"))


@pytest.mark.parametrize("uri", ["//", "Alice", "0x12//Alice", "//a///b", f"//{'x' * 20_000}", "0xzz"])
def test_a_wrong_uri_is_refused(uri: str) -> None:
    with pytest.raises(ProtocolError):
        Keypair.from_uri(uri)


def test_the_development_phrase() -> None:
    seed = mnemonic_seed(DEV_PHRASE)
    assert seed.hex() == "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e"
    assert (
        Keypair.from_seed(seed).public_key.hex()
        == "46ebddef8cd9bb167dc30878d7113b7e168e6f0646beffd77d69d39bad76b47a"
    )
    assert mnemonic_seed(f"  {DEV_PHRASE.upper()} ") == seed
    assert mnemonic_seed(DEV_PHRASE, "password") != seed


@pytest.mark.parametrize(
    "phrase", ["", "bottom", DEV_PHRASE.replace("walk", "fit"), f"{DEV_PHRASE} walk", "x " * 12]
)
def test_a_wrong_phrase_is_refused_without_its_words(phrase: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        mnemonic_seed(phrase)
    assert "bottom" not in str(raised.value)


@pytest.mark.parametrize("vector", VECTORS["signatures"], ids=lambda vector: vector["message_hex"][:10])
def test_signatures_of_btwallet_verify(vector: dict[str, Any]) -> None:
    public_key = Keypair.from_uri(vector["uri"]).public_key
    message, signature = bytes.fromhex(vector["message_hex"][2:]), bytes.fromhex(vector["signature"][2:])
    assert verify(public_key, message, signature) is vector["valid"] is True
    assert not verify(public_key, message + b"!", signature)
    assert not verify(Keypair.from_uri("//Bob").public_key, message, signature)


@given(st.binary(max_size=80), st.binary(max_size=70), st.binary(max_size=40), st.sampled_from(CryptoType))
def test_nothing_makes_the_verifier_raise(
    message: bytes, signature: bytes, public_key: bytes, crypto_type: CryptoType
) -> None:
    assert not verify(public_key, message, signature, crypto_type)


def test_an_ed25519_signature_verifies_as_that_alone() -> None:
    key = SigningKey(bytes(32))
    signature = key.sign(b"message").signature
    assert verify(bytes(key.verify_key), b"message", signature, CryptoType.ED25519)
    assert not verify(bytes(key.verify_key), b"message", signature)


def test_a_key_is_not_shown() -> None:
    keypair = Keypair.from_uri("//Alice")
    assert keypair.secret().hex()[:16] not in repr(keypair)
    assert repr(keypair) == f"Keypair({ALICE}, hidden)"


@given(st.binary(min_size=32, max_size=32))
def test_an_address_goes_there_and_back(public_key: bytes) -> None:
    assert decode_address(encode_address(public_key)) == public_key


@given(st.binary(min_size=32, max_size=32), st.integers(0, 47), st.sampled_from("123ABCxyz"))
@settings(max_examples=200)
def test_an_altered_address_is_refused(public_key: bytes, place: int, letter: str) -> None:
    address = encode_address(public_key)
    altered = address[:place] + letter + address[place + 1 :]
    if altered != address:
        with pytest.raises(ProtocolError):
            decode_address(altered)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "0OIl",
        ALICE[:-1],
        ALICE + "1",
        "1" + ALICE,
        "ß" * 48,
        "1" * 48,
        "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F",
    ],
)
def test_what_is_no_address_of_this_ledger_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_address(text)
    with pytest.raises(ProtocolError):
        encode_address(text.encode()[:31])
