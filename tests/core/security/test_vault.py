"""Sealed values open with their own key alone, and only untouched."""

import hmac
import json
from pathlib import Path

import pytest

from strongroom.core.errors import Sealed, VaultError
from strongroom.core.security.keys.ring import ring_of
from strongroom.core.security.vault import KEY_BYTES, KeyEncryptionKey, Vault, open_sealed, seal
from support.clock import SeededEntropy

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/atto/vectors.json").read_text())["at_rest"]
VECTOR = {name: bytes.fromhex(value) for name, value in VECTORS.items() if name != "scheme"}

KEY = bytes(range(KEY_BYTES))
NONCE = bytes(12)
PLAINTEXT = b"the quick brown fox"


def test_a_blob_of_the_original_service_is_opened() -> None:
    assert open_sealed(VECTOR["encryptionKey"], VECTOR["java_blob"]) == VECTOR["entropy33"]
    assert open_sealed(VECTOR["encryptionKey"], VECTOR["encrypted_entropy"]) == VECTOR["entropy33"]
    assert open_sealed(VECTOR["kek"], VECTOR["encrypted_encryption_key"]) == VECTOR["encryptionKey"]


def test_the_same_bytes_are_sealed_as_by_the_original_service() -> None:
    sealed_entropy = seal(VECTOR["encryptionKey"], VECTOR["entropy33"], VECTOR["fixed_nonce"])
    assert sealed_entropy == VECTOR["encrypted_entropy"]
    sealed_key = seal(VECTOR["kek"], VECTOR["encryptionKey"], VECTOR["encrypted_encryption_key_nonce"])
    assert sealed_key == VECTOR["encrypted_encryption_key"]


def test_another_key_does_not_open() -> None:
    blob = seal(KEY, PLAINTEXT, NONCE)
    with pytest.raises(VaultError, match="cannot be opened with this key"):
        open_sealed(KEY[::-1], blob)


def test_no_flipped_bit_goes_unseen() -> None:
    blob = seal(KEY, PLAINTEXT, NONCE)
    for bit in range(8 * len(blob)):
        altered = bytearray(blob)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VaultError, match="cannot be opened with this key"):
            open_sealed(KEY, bytes(altered))


def test_no_shortened_or_lengthened_blob_opens() -> None:
    blob = seal(KEY, PLAINTEXT, NONCE)
    for altered in [*(blob[:length] for length in range(len(blob))), blob + b"\0"]:
        with pytest.raises(VaultError, match="cannot be opened with this key"):
            open_sealed(KEY, altered)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(VaultError, match="32 bytes"):
        KeyEncryptionKey(bytes(length))
    with pytest.raises(VaultError, match="cannot be opened with this key"):
        open_sealed(bytes(length), seal(KEY, PLAINTEXT, NONCE))


def test_the_vault_opens_what_it_sealed_and_never_repeats_a_nonce() -> None:
    vault = Vault(ring_of(KeyEncryptionKey(KEY)), SeededEntropy())
    blobs = [vault.seal(PLAINTEXT) for _ in range(50)]
    assert len({blob[:12] for blob in blobs}) == len(blobs)
    assert {vault.open(blob) for blob in blobs} == {PLAINTEXT}
    assert vault.open(vault.seal(b"")) == b""


def test_the_vault_seals_under_a_wallet_s_own_key() -> None:
    vault = Vault(ring_of(KeyEncryptionKey(KEY)), SeededEntropy())
    wallet_key = vault.new_key()
    assert len(wallet_key) == KEY_BYTES
    assert vault.new_key() != wallet_key
    blob = vault.seal_under(wallet_key, PLAINTEXT)
    assert open_sealed(wallet_key, blob) == PLAINTEXT
    with pytest.raises(VaultError):
        vault.open(blob)


def test_what_is_derived_from_a_key_stays_the_same_over_versions() -> None:
    """HKDF-SHA256 (RFC 5869) with no salt, one block; databases keep values that were made with it."""
    key = KeyEncryptionKey(KEY)
    pseudorandom = hmac.digest(bytes(32), KEY, "sha256")
    assert key.derive(b"a purpose") == hmac.digest(pseudorandom, b"a purpose\x01", "sha256")
    bound = hmac.digest(pseudorandom, b"strongroom binding v1\x01", "sha256")
    assert key.check() == hmac.digest(bound, b"key check", "sha256")


def test_the_vault_says_whether_it_is_open() -> None:
    ring = ring_of(KeyEncryptionKey(KEY))
    vault = Vault(ring, SeededEntropy())
    vault.require_open()
    was_open = [vault.is_open]
    ring.close()
    assert [*was_open, vault.is_open] == [True, False]
    for use in (vault.require_open, lambda: vault.seal(PLAINTEXT), lambda: vault.open(bytes(60))):
        with pytest.raises(Sealed):
            use()


def test_the_key_encryption_key_is_never_shown() -> None:
    key = KeyEncryptionKey(KEY)
    shown = f"{key!r} {key} {Vault(ring_of(key), SeededEntropy())!r}"
    assert "hidden" in shown
    assert KEY.hex() not in shown
    assert repr(KEY) not in shown
