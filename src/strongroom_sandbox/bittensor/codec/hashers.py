"""The chain's hashers of storage keys. Each hasher that a map uses keeps the key itself readable."""

import hashlib
from functools import lru_cache

import xxhash

from strongroom_sandbox.bittensor.codec.scale import ScaleError

PREFIX_SIZE = {"identity": 0, "twox_64_concat": 8, "blake2_128_concat": 16}
"""How many bytes of hash come before the key itself."""


def blake2_256(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


@lru_cache(maxsize=4096)
def twox_128(data: bytes) -> bytes:
    return b"".join(xxhash.xxh64_intdigest(data, seed).to_bytes(8, "little") for seed in (0, 1))


def storage_hash(hasher: str, key: bytes) -> bytes:
    """Returns the key as the storage has it."""
    match hasher:
        case "identity":
            return key
        case "twox_64_concat":
            return xxhash.xxh64_intdigest(key, 0).to_bytes(8, "little") + key
        case "blake2_128_concat":
            return hashlib.blake2b(key, digest_size=16).digest() + key
        case other:
            raise ScaleError(f"{other} is not supported")
