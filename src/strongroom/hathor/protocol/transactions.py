"""Transactions: what moves tokens (version 1) and what creates one (version 2), in their bytes.

Hash and weight are those of the node; ids are hex, the hash in the byte order that people see.
"""

import hashlib
import struct
from dataclasses import dataclass, replace
from functools import cached_property

from strongroom.hathor.protocol.cursor import Cursor, encode_sized, encode_value
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.hashes import sha256d
from strongroom.hathor.protocol.headers import Header, parse_header

HATHOR_TOKEN = "00"  # noqa: S105 - the native token's id, no secret
TRANSACTION = 1
TOKEN_CREATION = 2
AUTHORITY_FLAG = 0x80
INDEX_MASK = 0x7F
MINT = 1
MELT = 2
HASH_SIZE = 32
MAX_NAME_SIZE = 30
MAX_SYMBOL_SIZE = 5
MAX_COUNT = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    tx_id: bytes
    index: int
    data: bytes = b""
    """The unlocking script: signature and key, or signatures and redeem script."""

    def encode(self, *, signed: bool = True) -> bytes:
        return self.tx_id + bytes((self.index,)) + encode_sized(self.data if signed else b"", 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    value: int
    """An amount, or for an authority its bits (1 mint, 2 melt)."""
    token_data: int
    script: bytes

    @property
    def is_authority(self) -> bool:
        return bool(self.token_data & AUTHORITY_FLAG)

    @property
    def token_index(self) -> int:
        """0 is the native token, i is the i-th of the transaction's tokens."""
        return self.token_data & INDEX_MASK

    def encode(self) -> bytes:
        return encode_value(self.value) + bytes((self.token_data,)) + encode_sized(self.script, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """The token that a creation transaction creates; its id is the transaction's."""

    version: int
    """1: a deposit backs it, 2: fees are paid for it."""
    name: str
    symbol: str

    def encode(self) -> bytes:
        return (
            bytes((self.version,))
            + encode_sized(self.name.encode(), 1)
            + encode_sized(self.symbol.encode(), 1)
        )


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """Not slotted, so that its hash is computed once."""

    signal_bits: int = 0
    token_ids: tuple[bytes, ...] = ()
    """Empty for a creation."""
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    token_info: TokenInfo | None = None
    weight: float = 0.0
    timestamp_s: int = 0
    parents: tuple[bytes, ...] = ()
    nonce: int = 0
    headers: tuple[Header, ...] = ()

    @property
    def version(self) -> int:
        return TRANSACTION if self.token_info is None else TOKEN_CREATION

    @cached_property
    def hash(self) -> bytes:
        """32 bytes, most significant first: what the proof of work makes small."""
        return sha256d(self.mining_base() + self.nonce.to_bytes(16))[::-1]

    @property
    def id(self) -> str:
        return self.hash.hex()

    def token_id(self, token_data: int) -> str:
        """The token that an output's `token_data` means.

        Raises:
            ProtocolError: the transaction has no such token.
        """
        index = token_data & INDEX_MASK
        if index == 0:
            return HATHOR_TOKEN
        tokens = self.token_ids if self.token_info is None else (self.hash,)
        if index > len(tokens):
            raise ProtocolError(f"There is no token {index}")
        return tokens[index - 1].hex()

    def encode(self) -> bytes:
        return self._funds(signed=True) + self._graph() + self.nonce.to_bytes(4) + self._headers(signed=True)

    def mining_base(self) -> bytes:
        """64 bytes that stay the same whatever the nonce is."""
        funds = hashlib.sha256(self._funds(signed=True)).digest()
        return funds + hashlib.sha256(self._graph() + self._headers(signed=True)).digest()

    def signing_digest(self) -> bytes:
        """What every input's signature covers: all but input data, graph, nonce and header signatures."""
        return sha256d(self._funds(signed=False) + self._headers(signed=False))

    def with_input_data(self, data: tuple[bytes, ...]) -> "Transaction":
        """The same transaction, signed: one unlocking script for each input."""
        signed = tuple(replace(spent, data=script) for spent, script in zip(self.inputs, data, strict=True))
        return replace(self, inputs=signed)

    def _funds(self, *, signed: bool) -> bytes:
        counts = bytes((len(self.inputs), len(self.outputs)))
        if self.token_info is None:
            counts = bytes((len(self.token_ids),)) + counts
        inputs = b"".join(spent.encode(signed=signed) for spent in self.inputs)
        outputs = b"".join(output.encode() for output in self.outputs)
        head = bytes((self.signal_bits, self.version)) + counts + b"".join(self.token_ids)
        return head + inputs + outputs + (self.token_info.encode() if self.token_info else b"")

    def _graph(self) -> bytes:
        return struct.pack(">dIB", self.weight, self.timestamp_s, len(self.parents)) + b"".join(self.parents)

    def _headers(self, *, signed: bool) -> bytes:
        return b"".join(header.encode(signed=signed) for header in self.headers)


def parse_transaction(data: bytes) -> Transaction:
    """Reads the bytes of a transaction of version 1 or 2.

    Raises:
        ProtocolError: it is malformed, of another version, or bytes are left over.
    """
    cursor = Cursor(data)
    signal_bits, version = cursor.number(1), cursor.number(1)
    if version not in {TRANSACTION, TOKEN_CREATION}:
        raise ProtocolError(f"Version {version} is not a transaction")
    token_count = cursor.number(1) if version == TRANSACTION else 0
    input_count, output_count = cursor.number(1), cursor.number(1)
    token_ids = tuple(cursor.take(HASH_SIZE) for _ in range(token_count))
    inputs = tuple(
        Input(tx_id=cursor.take(HASH_SIZE), index=cursor.number(1), data=cursor.sized(2))
        for _ in range(input_count)
    )
    outputs = tuple(
        Output(value=cursor.value(), token_data=cursor.number(1), script=cursor.sized(2))
        for _ in range(output_count)
    )
    token_info = _parse_token_info(cursor) if version == TOKEN_CREATION else None
    weight, timestamp_s, parent_count = struct.unpack(">dIB", cursor.take(13))
    parents = tuple(cursor.take(HASH_SIZE) for _ in range(parent_count))
    nonce = cursor.number(4)
    headers: list[Header] = []
    while not cursor.at_end:
        headers.append(parse_header(cursor))
    return Transaction(
        signal_bits=signal_bits,
        token_ids=token_ids,
        inputs=inputs,
        outputs=outputs,
        token_info=token_info,
        weight=weight,
        timestamp_s=timestamp_s,
        parents=parents,
        nonce=nonce,
        headers=tuple(headers),
    )


def _parse_token_info(cursor: Cursor) -> TokenInfo:
    version, name, symbol = cursor.number(1), cursor.sized(1), cursor.sized(1)
    try:
        info = TokenInfo(version=version, name=name.decode(), symbol=symbol.decode())
    except UnicodeDecodeError as error:
        raise ProtocolError("The token's name is not UTF-8") from error
    if not 0 < len(info.name) <= MAX_NAME_SIZE or not 0 < len(info.symbol) <= MAX_SYMBOL_SIZE:
        raise ProtocolError("The token's name has 1 to 30 letters, its symbol 1 to 5")
    return info
