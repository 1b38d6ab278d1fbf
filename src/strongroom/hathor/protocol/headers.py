"""What may follow a transaction's nonce: the call of a nano contract, and the fees that are paid."""

from dataclasses import dataclass

from strongroom.hathor.protocol.cursor import Cursor, encode_leb128, encode_sized, encode_value
from strongroom.hathor.protocol.errors import ProtocolError

NANO_HEADER = 0x10
FEE_HEADER = 0x11
ADDRESS_SIZE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class NanoAction:
    """A deposit (1), withdrawal (2), or the grant or use of an authority, by the contract."""

    kind: int
    token_index: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NanoHeader:
    """Calls `method` of a contract (or creates one from a blueprint) in the name of `address`."""

    contract_id: bytes
    seqnum: int
    method: str
    arguments: bytes
    actions: tuple[NanoAction, ...]
    address: bytes
    """25 bytes: version byte, hash, checksum."""
    script: bytes
    """Signature and key of the caller, in the form of a P2PKH input."""

    def encode(self, *, signed: bool = True) -> bytes:
        """The header; with an empty script it is what the signatures cover."""
        actions = b"".join(
            bytes((action.kind, action.token_index)) + encode_value(action.value) for action in self.actions
        )
        unsigned = b"".join(
            (
                bytes((NANO_HEADER,)),
                self.contract_id,
                encode_leb128(self.seqnum),
                encode_sized(self.method.encode("ascii"), 1),
                encode_sized(self.arguments, 2),
                bytes((len(self.actions),)),
                actions,
                self.address,
            )
        )
        script = self.script if signed else b""
        return unsigned + encode_leb128(len(script)) + script


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    token_index: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeHeader:
    fees: tuple[Fee, ...]

    def encode(self, *, signed: bool = True) -> bytes:
        del signed  # it holds no signature
        return bytes((FEE_HEADER, len(self.fees))) + b"".join(
            bytes((fee.token_index,)) + encode_value(fee.value) for fee in self.fees
        )


Header = NanoHeader | FeeHeader


def parse_header(cursor: Cursor) -> Header:
    kind = cursor.number(1)
    if kind == NANO_HEADER:
        return _parse_nano(cursor)
    if kind == FEE_HEADER:
        count = cursor.number(1)
        return FeeHeader(
            fees=tuple(Fee(token_index=cursor.number(1), value=cursor.value()) for _ in range(count))
        )
    raise ProtocolError(f"Unknown header {kind:#04x}")


def _parse_nano(cursor: Cursor) -> NanoHeader:
    contract_id = cursor.take(32)
    seqnum = cursor.leb128()
    try:
        method = cursor.sized(1).decode("ascii")
    except UnicodeDecodeError as error:
        raise ProtocolError("The method's name is not ASCII") from error
    arguments = cursor.sized(2)
    actions = tuple(
        NanoAction(kind=cursor.number(1), token_index=cursor.number(1), value=cursor.value())
        for _ in range(cursor.number(1))
    )
    return NanoHeader(
        contract_id=contract_id,
        seqnum=seqnum,
        method=method,
        arguments=arguments,
        actions=actions,
        address=cursor.take(ADDRESS_SIZE),
        script=cursor.take(cursor.leb128()),
    )
