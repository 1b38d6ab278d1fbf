"""Signs extrinsics with development keys, by the rules alone: no client library has a part in it."""

from hashlib import blake2b

import sr25519

from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.codec.runtime import Call
from strongroom_sandbox.bittensor.codec.scale import compact, sized
from strongroom_sandbox.bittensor.node.node import Node


def era_bytes(period: int, current: int) -> tuple[bytes, int]:
    """(as it stands in the extrinsic, number of the birth block)."""
    phase = current % period
    encoded = min(15, max(1, period.bit_length() - 2)) | (phase // max(period >> 12, 1)) << 4
    return encoded.to_bytes(2, "little"), current


def signed(
    node: Node,
    uri: str,
    call: Call | bytes,
    *,
    nonce: int | None = None,
    tip: int = 0,
    period: int = 0,
    born: int | None = None,
) -> bytes:
    """An extrinsic for the node's chain as it stands. `period` 0 is immortal; `born` is the era's first block."""
    chain = node.chain
    public, secret = development_pair(uri)
    data = call if isinstance(call, bytes) else chain.runtime.encode_call(call)
    birth, era = chain.genesis_hash, b"\x00"
    if period:
        era, number = era_bytes(period, chain.head.number if born is None else born)
        birth = chain.best.known(number).hash
    extra = era + compact(node.next_index(public) if nonce is None else nonce) + compact(tip) + b"\x00"
    versions = b"".join(
        version.to_bytes(4, "little")
        for version in (chain.runtime.spec_version, chain.runtime.transaction_version)
    )
    payload = data + extra + versions + chain.genesis_hash + birth + b"\x00"
    if len(payload) > 256:
        payload = blake2b(payload, digest_size=32).digest()
    signature = sr25519.sign((public, secret), payload)
    return sized(b"\x84\x00" + public + b"\x01" + signature + extra + data)
