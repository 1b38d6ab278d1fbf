"""Extrinsics of version 4: their bytes, their mortality and their signature."""

from dataclasses import dataclass

import sr25519
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from strongroom_sandbox.bittensor.codec.hashers import blake2_256
from strongroom_sandbox.bittensor.codec.runtime import Call, Runtime
from strongroom_sandbox.bittensor.codec.scale import Reader, ScaleError, compact, sized

SIGNED, UNSIGNED = 0x84, 0x04
ADDRESS_ID = 0
SR25519, ED25519 = 1, 0
LONG_PAYLOAD = 256
"""Longer payloads are signed as their hash."""
MIN_PERIOD, MAX_PERIOD = 4, 1 << 16


@dataclass(frozen=True, slots=True)
class Era:
    """When an extrinsic may be included. `period` 0: always."""

    period: int = 0
    phase: int = 0

    def birth(self, block: int) -> int:
        """The first block of the era that `block` lies in; its hash is signed."""
        if not self.period:
            return 0
        return (max(block, self.phase) - self.phase) // self.period * self.period + self.phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrinsic:
    """A signed one. `raw` is all of it, as it is submitted and stands in a block."""

    raw: bytes
    signer: bytes
    scheme: int
    signature: bytes
    extra: bytes
    """What the extensions carry: era, nonce, tip, mode of the metadata hash."""
    era: Era
    nonce: int
    tip: int
    metadata_hash_mode: int
    call_data: bytes
    call: Call

    @property
    def hash(self) -> bytes:
        return blake2_256(self.raw)

    def is_signed_for(self, runtime: Runtime, genesis: bytes, birth: bytes) -> bool:
        """Whether the signature covers this chain, this runtime and this block of birth."""
        payload = (
            self.call_data
            + self.extra
            + runtime.spec_version.to_bytes(4, "little")
            + runtime.transaction_version.to_bytes(4, "little")
            + genesis
            + birth
            + b"\x00"
        )
        if len(payload) > LONG_PAYLOAD:
            payload = blake2_256(payload)
        return _verify(self.scheme, self.signature, payload, self.signer)


def read_extrinsic(raw: bytes, runtime: Runtime) -> Extrinsic:
    """Decodes what a client submits.

    Raises:
        ScaleError: it is not a signed extrinsic of this runtime.
    """
    outer = Reader(raw)
    reader = Reader(outer.sized())
    outer.end()
    if (version := reader.integer(1)) != SIGNED:
        raise ScaleError(f"version byte {version:#04x} is not of a signed extrinsic of version 4")
    if reader.integer(1) != ADDRESS_ID:
        raise ScaleError("the signer's address is no account id")
    signer = reader.take(32)
    scheme = reader.integer(1)
    if scheme not in {SR25519, ED25519}:
        raise ScaleError(f"signature scheme {scheme} is not supported")
    signature = reader.take(64)
    start = reader.offset
    era, nonce, tip, mode = read_era(reader), reader.compact(), reader.compact(), reader.integer(1)
    extra = reader.data[start : reader.offset]
    call_data = reader.rest()
    return Extrinsic(
        raw=raw,
        signer=signer,
        scheme=scheme,
        signature=signature,
        extra=extra,
        era=era,
        nonce=nonce,
        tip=tip,
        metadata_hash_mode=mode,
        call_data=call_data,
        call=runtime.decode_call(call_data),
    )


def read_call(extrinsic: bytes, runtime: Runtime) -> Call:
    """The call of an extrinsic without its length in front, signed or not.

    Raises:
        ScaleError: it is none of this runtime.
    """
    if extrinsic[:1] == bytes([UNSIGNED]):
        return runtime.decode_call(extrinsic[1:])
    return read_extrinsic(sized(extrinsic), runtime).call


def read_era(reader: Reader) -> Era:
    first = reader.integer(1)
    if not first:
        return Era()
    encoded = first | reader.integer(1) << 8
    period = 2 << (encoded & 0xF)
    phase = (encoded >> 4) * max(period >> 12, 1)
    if not MIN_PERIOD <= period <= MAX_PERIOD or phase >= period:
        raise ScaleError(f"era {encoded:#06x} is impossible")
    return Era(period, phase)


def timestamp_inherent(runtime: Runtime, now_ms: int) -> bytes:
    """The unsigned extrinsic that opens every block."""
    call_data = runtime.encode_call(Call("Timestamp", "set", {"now": now_ms}))
    return sized(bytes([UNSIGNED]) + call_data)


def extrinsics_root(extrinsics: list[bytes]) -> bytes:
    """Stands for the root of the trie of the extrinsics: other extrinsics, another root."""
    return blake2_256(compact(len(extrinsics)) + b"".join(extrinsics))


def _verify(scheme: int, signature: bytes, payload: bytes, signer: bytes) -> bool:
    try:
        if scheme == SR25519:
            return bool(sr25519.verify(signature, payload, signer))
        VerifyKey(signer).verify(payload, signature)
    except (BadSignatureError, ValueError):  # ValueError: not even the form of a signature or of a key
        return False
    return True
