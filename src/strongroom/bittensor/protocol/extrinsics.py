"""Builds signed extrinsics of version 4: the bytes that are signed, and the bytes that are submitted.

    payload    call | era | compact nonce | compact tip | mode 00 | spec u32 | transaction version u32
               | genesis hash | hash of the era's first block | 00 (no metadata hash)
    extrinsic  compact length | 84 | 00 public key | 01 signature | era | compact nonce | compact tip | mode 00 | call

A payload longer than 256 bytes is signed as its BLAKE2b-256. Source: polkadot-sdk, `SignedPayload` and `Preamble`.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

HASH_BYTES: Final = 32
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
MAX_SIGNED: Final = 256
_SIGNED_V4: Final = b"\x84"
_ACCOUNT_ID: Final = b"\x00"
_SR25519: Final = b"\x01"
_NO_METADATA_HASH: Final = b"\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """Everything that a signature covers.

    `first_hash` is the hash of the era's first block, or the genesis hash for an extrinsic without an era.
    """

    call: bytes
    era: bytes
    nonce: int
    spec_version: int
    transaction_version: int
    genesis_hash: bytes
    first_hash: bytes
    tip: int = 0

    @property
    def payload(self) -> bytes:
        """The bytes to sign: the payload, or its hash if it is longer than 256 bytes."""
        raw = b"".join(
            (
                self.call,
                self._extra,
                self.spec_version.to_bytes(4, "little"),
                self.transaction_version.to_bytes(4, "little"),
                self.genesis_hash,
                self.first_hash,
                _NO_METADATA_HASH,
            )
        )
        return blake2_256(raw) if len(raw) > MAX_SIGNED else raw

    def signed(self, public_key: bytes, signature: bytes) -> bytes:
        """Returns the extrinsic as it is submitted, for an sr25519 public key (32 bytes) and its signature (64 bytes)."""
        if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
            raise ValueError("a public key has 32 bytes, a signature 64")
        signer = _ACCOUNT_ID + public_key
        body = _SIGNED_V4 + signer + _SR25519 + signature + self._extra + self.call
        return compact(len(body)) + body

    @property
    def _extra(self) -> bytes:
        return self.era + compact(self.nonce) + compact(self.tip) + _NO_METADATA_HASH


def signature_of(extrinsic: bytes) -> bytes:
    """Returns the signature (64 bytes) in an extrinsic that `Unsigned.signed` made."""
    length_bytes = {0: 1, 1: 2, 2: 4}[extrinsic[0] & 0b11]
    before = len(_SIGNED_V4) + len(_ACCOUNT_ID) + KEY_BYTES + len(_SR25519)
    return extrinsic[length_bytes + before :][:SIGNATURE_BYTES]


def blake2_256(data: bytes) -> bytes:
    """Returns the BLAKE2b-256 of data. That of an extrinsic with its length in front is the extrinsic's hash."""
    return hashlib.blake2b(data, digest_size=HASH_BYTES).digest()


def compact(number: int) -> bytes:
    """Returns the compact SCALE encoding of an unsigned number."""
    if number < 0:
        raise ValueError(f"{number} is negative")
    if number < 1 << 6:
        return bytes([number << 2])
    if number < 1 << 14:
        return (number << 2 | 1).to_bytes(2, "little")
    if number < 1 << 30:
        return (number << 2 | 2).to_bytes(4, "little")
    size = (number.bit_length() + 7) // 8
    return bytes([(size - 4) << 2 | 3]) + number.to_bytes(size, "little")
