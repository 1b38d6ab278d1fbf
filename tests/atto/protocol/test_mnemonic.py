from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st
from mnemonic import Mnemonic as Bip39

from atto.protocol.vectors import VECTORS, unhex, upper_hex
from strongroom.atto.protocol import InvalidMnemonic, Mnemonic

PHRASE: str = VECTORS["commons_keys"]["phrase"]
WORDS: list[str] = Bip39("english").wordlist
entropies = st.binary(min_size=32, max_size=32)


def test_commons_phrase_gives_its_entropy_and_seed() -> None:
    vector = VECTORS["commons_keys"]
    mnemonic = Mnemonic.parse(vector["phrase"])
    assert upper_hex(mnemonic.entropy) == vector["entropy33"]
    assert upper_hex(mnemonic.seed(vector["passphrase"])) == vector["seed"]


@pytest.mark.parametrize("vector", VECTORS["npm_mnemonics"])
def test_npm_mnemonics(vector: dict[str, Any]) -> None:
    mnemonic = Mnemonic.parse(vector["phrase"])
    assert upper_hex(mnemonic.entropy) == vector["entropy"]
    assert upper_hex(mnemonic.seed()) == vector["seed"]
    assert Mnemonic.from_entropy(unhex(vector["entropy"])).phrase == vector["phrase"]


@pytest.mark.parametrize("blob", ["java_blob", "encrypted_entropy"])
def test_entropy_at_rest_of_the_official_server_is_a_mnemonic(blob: str) -> None:
    at_rest = VECTORS["at_rest"]
    sealed = unhex(at_rest[blob])
    entropy = ChaCha20Poly1305(unhex(at_rest["encryptionKey"])).decrypt(sealed[:12], sealed[12:], None)
    assert Mnemonic.from_entropy(entropy).phrase == PHRASE


@given(entropies)
def test_phrase_is_bip39(entropy32: bytes) -> None:
    assert Mnemonic.from_entropy32(entropy32).phrase == Bip39("english").to_mnemonic(entropy32)


@given(entropies)
def test_phrase_and_entropy_round_trip(entropy32: bytes) -> None:
    mnemonic = Mnemonic.from_entropy32(entropy32)
    assert mnemonic.entropy[:32] == entropy32
    assert Mnemonic.parse(mnemonic.phrase) == mnemonic
    assert Mnemonic.from_entropy(mnemonic.entropy) == mnemonic


def test_checksum_byte_of_entropy_is_replaced() -> None:
    mnemonic = Mnemonic.parse(PHRASE)
    assert Mnemonic.from_entropy(mnemonic.entropy[:32] + b"\x00") == mnemonic


@pytest.mark.parametrize("size", [0, 31, 32, 34])
def test_entropy_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidMnemonic):
        Mnemonic.from_entropy(bytes(size))
    if size != 32:
        with pytest.raises(InvalidMnemonic):
            Mnemonic.from_entropy32(bytes(size))


def test_case_and_white_space_are_normalised() -> None:
    assert Mnemonic.parse("\n " + PHRASE.upper().replace(" ", "  \t") + " ").phrase == PHRASE


@given(entropies, st.integers(1, 255))
def test_wrong_checksum_is_refused(entropy32: bytes, flipped: int) -> None:
    words = Mnemonic.from_entropy32(entropy32).phrase.split()
    # The last word ends with the eight bits of the checksum.
    words[-1] = WORDS[WORDS.index(words[-1]) ^ flipped]
    with pytest.raises(InvalidMnemonic, match="checksum"):
        Mnemonic.parse(" ".join(words))


@given(entropies, st.integers(0, 23), st.integers(1, 2047))
def test_another_word_is_never_taken_for_the_same_mnemonic(entropy32: bytes, at: int, flipped: int) -> None:
    mnemonic = Mnemonic.from_entropy32(entropy32)
    words = mnemonic.phrase.split()
    words[at] = WORDS[WORDS.index(words[at]) ^ flipped]
    try:
        other = Mnemonic.parse(" ".join(words))
    except InvalidMnemonic:
        return
    # One in 256 has a right checksum by chance, and is then another mnemonic.
    assert other != mnemonic
    assert other.phrase.split() == words


@pytest.mark.parametrize(
    "phrase",
    [
        "",
        PHRASE.rsplit(" ", 1)[0],
        PHRASE + " occur",
        PHRASE.replace("occur", "secretive"),
        PHRASE.replace("edge", "edgé"),
        " ".join(reversed(PHRASE.split())),
    ],
)
def test_what_is_no_mnemonic_is_refused_without_repeating_it(phrase: str) -> None:
    with pytest.raises(InvalidMnemonic) as refusal:
        Mnemonic.parse(phrase)
    assert not set(str(refusal.value).split()) & (set(phrase.split()) - {"word", "is", "not", "has"})


def test_repr_hides_the_words() -> None:
    assert repr(Mnemonic.parse(PHRASE)) == "Mnemonic(hidden)"
