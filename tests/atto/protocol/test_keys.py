import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atto.protocol.strategies import keys
from atto.protocol.vectors import VECTORS, unhex, upper_hex
from strongroom.atto.protocol import (
    MAX_KEY_INDEX,
    AccountKeys,
    InvalidKey,
    InvalidSignature,
    derive_private_key,
    public_key_of,
    sign,
    verify,
)

ACCOUNTS = [VECTORS["commons_keys"], *(account for account in VECTORS["npm_accounts"] if "seed" in account)]
SEED = bytes(range(64))


@pytest.mark.parametrize("vector", ACCOUNTS, ids=lambda vector: f"{vector['index']}-{vector['passphrase']}")
def test_keys_of_a_seed(vector: dict[str, Any]) -> None:
    seed, index = unhex(vector["seed"]), vector["index"]
    account_keys = AccountKeys(seed)
    assert upper_hex(account_keys.private_key(index)) == vector["privateKey"]
    assert upper_hex(account_keys.public_key(index)) == vector["publicKey"]
    assert upper_hex(derive_private_key(seed, index)) == vector["privateKey"]


@pytest.mark.parametrize("index", [-1, MAX_KEY_INDEX + 1, 2**32])
def test_index_outside_hardened_range_is_refused(index: int) -> None:
    with pytest.raises(InvalidKey):
        AccountKeys(SEED).private_key(index)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(InvalidKey):
        AccountKeys(SEED[:-1])
    with pytest.raises(InvalidKey):
        public_key_of(bytes(33))
    with pytest.raises(InvalidKey):
        sign(bytes(31), b"")


def test_repr_hides_the_keys() -> None:
    assert repr(AccountKeys(SEED)) == "AccountKeys(hidden)"


def test_signature_vector() -> None:
    vector = VECTORS["signature"]
    private_key, digest = unhex(vector["privateKey"]), unhex(vector["hash"])
    assert upper_hex(public_key_of(private_key)) == vector["publicKey"]
    assert upper_hex(sign(private_key, digest)) == vector["signature"]
    verify(unhex(vector["publicKey"]), digest, unhex(vector["signature"]))


def test_npm_message_signature() -> None:
    vector = VECTORS["npm_message"]
    public_key, text = unhex(vector["publicKey"]), vector["text"].encode()
    envelope = b"ATTO Signed Message v1" + public_key + len(text).to_bytes(8, "little") + text
    verify(public_key, hashlib.blake2b(envelope).digest(), unhex(vector["signature"]))


@pytest.mark.parametrize("vector", VECTORS["blake2b"])
def test_digests(vector: dict[str, Any]) -> None:
    digest = hashlib.blake2b(unhex(vector["input"]), digest_size=vector["size"]).digest()
    assert upper_hex(digest) == vector["hash"]


@given(keys, st.binary(max_size=64))
def test_signature_is_accepted(private_key: bytes, message: bytes) -> None:
    verify(public_key_of(private_key), message, sign(private_key, message))


@given(keys, st.binary(min_size=1, max_size=64), st.data())
def test_flipped_bit_is_refused(private_key: bytes, message: bytes, data: st.DataObject) -> None:
    parts = [public_key_of(private_key), message, sign(private_key, message)]
    part = data.draw(st.integers(0, 2))
    bit = data.draw(st.integers(0, len(parts[part]) * 8 - 1))
    flipped = int.from_bytes(parts[part], "big") ^ 1 << bit
    parts[part] = flipped.to_bytes(len(parts[part]), "big")
    with pytest.raises(InvalidSignature):
        verify(*parts)


@pytest.mark.parametrize(("key_size", "signature_size"), [(31, 64), (32, 63), (32, 65), (0, 0)])
def test_wrong_sizes_are_no_signature(key_size: int, signature_size: int) -> None:
    with pytest.raises(InvalidSignature):
        verify(bytes(key_size), b"", bytes(signature_size))
