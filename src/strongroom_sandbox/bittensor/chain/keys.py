"""Development keys, which everybody knows."""

from functools import cache

import sr25519

from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom_sandbox.bittensor.codec.scale import sized

DEVELOPMENT_SEED = bytes.fromhex("fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e")


@cache
def development_pair(uri: str) -> tuple[bytes, bytes]:
    """(public, secret) of `//Alice//hk0` and the like: hard junctions under the known seed.

    Raises:
        ValueError: the URI has something else.
    """
    if not uri.startswith("//"):
        raise ValueError(f"{uri!r} is no development URI, such as //Alice")
    public, secret = sr25519.pair_from_seed(DEVELOPMENT_SEED)
    for junction in uri[2:].split("//"):
        if not junction or "/" in junction or junction.isdigit():
            raise ValueError(f"{uri!r}: junctions are names behind //")
        code = sized(junction.encode()).ljust(32, b"\0")
        _code, public, secret = sr25519.hard_derive_keypair((code, public, secret), b"")
    return public, secret


def read_account(text: str) -> bytes:
    """An account by its address or its development URI.

    Raises:
        ValueError, ProtocolError: it is neither.
    """
    if text.startswith("//"):
        return development_pair(text)[0]
    return decode_address(text)
