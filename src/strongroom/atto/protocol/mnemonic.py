"""Mnemonics: BIP-39 phrases of exactly 24 English words.

https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki
"""

import hashlib
from functools import cache
from typing import Final, Self

from mnemonic import Mnemonic as Bip39

from strongroom.atto.protocol.errors import InvalidMnemonic

WORD_COUNT: Final = 24
_BITS_PER_WORD: Final = 11
_ENTROPY32_SIZE: Final = 32
_ENTROPY_SIZE: Final = 33
_SEED_ROUNDS: Final = 2048


@cache
def _words() -> tuple[str, ...]:
    return tuple(Bip39("english").wordlist)


@cache
def _positions() -> dict[str, int]:
    return {word: position for position, word in enumerate(_words())}


def _with_checksum(entropy32: bytes) -> bytes:
    return entropy32 + hashlib.sha256(entropy32).digest()[:1]


class Mnemonic:
    """A valid mnemonic. The repr hides the words."""

    __slots__ = ("_entropy",)

    def __init__(self, entropy32: bytes) -> None:
        """Takes 32 bytes of entropy.

        Raises:
            InvalidMnemonic: the entropy has the wrong size.
        """
        if len(entropy32) != _ENTROPY32_SIZE:
            raise InvalidMnemonic(f"Entropy must have {_ENTROPY32_SIZE} bytes")
        self._entropy = _with_checksum(entropy32)

    @classmethod
    def from_entropy32(cls, entropy32: bytes) -> Self:
        """From the 32 random bytes, without the checksum byte."""
        return cls(entropy32)

    @classmethod
    def from_entropy(cls, entropy: bytes) -> Self:
        """From the stored 33 bytes. The last byte, the checksum, is computed anew and not compared, as in Atto's library."""
        if len(entropy) != _ENTROPY_SIZE:
            raise InvalidMnemonic(f"Entropy must have {_ENTROPY_SIZE} bytes")
        return cls(entropy[:_ENTROPY32_SIZE])

    @classmethod
    def parse(cls, phrase: str) -> Self:
        """From 24 words, in any case and with any white space between them.

        Raises:
            InvalidMnemonic: the number of words, a word or the checksum is wrong. The message contains no word of the phrase.
        """
        words = phrase.lower().split()
        if len(words) != WORD_COUNT:
            raise InvalidMnemonic(f"A mnemonic has {WORD_COUNT} words, not {len(words)}")
        bits = 0
        for number, word in enumerate(words, start=1):
            position = _positions().get(word)
            if position is None:
                raise InvalidMnemonic(f"Word {number} of the mnemonic is not in the English list")
            bits = bits << _BITS_PER_WORD | position
        entropy = bits.to_bytes(_ENTROPY_SIZE, "big")
        mnemonic = cls(entropy[:_ENTROPY32_SIZE])
        if mnemonic.entropy != entropy:
            raise InvalidMnemonic("The checksum of the mnemonic is wrong")
        return mnemonic

    @property
    def entropy(self) -> bytes:
        """32 bytes of entropy and the checksum byte: the form that Atto's library stores."""
        return self._entropy

    @property
    def phrase(self) -> str:
        """The words, in lower case and separated by single spaces."""
        bits = int.from_bytes(self._entropy, "big")
        shifts = range((WORD_COUNT - 1) * _BITS_PER_WORD, -1, -_BITS_PER_WORD)
        return " ".join(_words()[bits >> shift & 2**_BITS_PER_WORD - 1] for shift in shifts)

    def seed(self, passphrase: str = "") -> bytes:
        """The seed, 64 bytes. Deriving it takes about a millisecond, so callers keep the result."""
        salt = b"mnemonic" + passphrase.encode()
        return hashlib.pbkdf2_hmac("sha512", self.phrase.encode(), salt, _SEED_ROUNDS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mnemonic) and other.entropy == self._entropy

    def __hash__(self) -> int:
        return hash(self._entropy)

    def __repr__(self) -> str:
        return "Mnemonic(hidden)"
