"""Output scripts: who may spend an output, and from when.

Only the forms that wallets use are understood; any other script is `None` here and has no owner.
"""

from dataclasses import dataclass

from strongroom.hathor.protocol.addresses import HASH_SIZE, Address, AddressKind
from strongroom.hathor.protocol.errors import ProtocolError

OP_PUSHDATA1 = 0x4C
OP_DUP = 0x76
OP_EQUAL = 0x87
OP_EQUALVERIFY = 0x88
OP_HASH160 = 0xA9
OP_CHECKSIG = 0xAC
OP_CHECKMULTISIG = 0xAE
OP_GREATERTHAN_TIMESTAMP = 0x6F
OP_0 = 0x50
MAX_DIRECT_PUSH = 75

_P2PKH_HEAD = bytes((OP_DUP, OP_HASH160, HASH_SIZE))
_P2PKH_TAIL = bytes((OP_EQUALVERIFY, OP_CHECKSIG))
_P2SH_HEAD = bytes((OP_HASH160, HASH_SIZE))
_P2SH_TAIL = bytes((OP_EQUAL,))
_TIMELOCK_SIZE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Pays to an address, spendable after `timelock_s` (unix seconds) when there is one."""

    address: Address
    timelock_s: int | None = None

    def encode(self) -> bytes:
        lock = b""
        if self.timelock_s is not None:
            lock = b"\x04" + self.timelock_s.to_bytes(4) + bytes((OP_GREATERTHAN_TIMESTAMP,))
        if self.address.kind is AddressKind.P2PKH:
            return lock + _P2PKH_HEAD + self.address.hash + _P2PKH_TAIL
        return lock + _P2SH_HEAD + self.address.hash + _P2SH_TAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Carries bytes and belongs to nobody."""

    data: bytes

    def encode(self) -> bytes:
        return push(self.data) + bytes((OP_CHECKSIG,))


def parse_script(script: bytes) -> Payment | Data | None:
    """What a script says, or None for one that no wallet makes."""
    timelock_s = None
    body = script
    if len(script) > _TIMELOCK_SIZE and script[0] == 4 and script[5] == OP_GREATERTHAN_TIMESTAMP:  # noqa: PLR2004 - push of 4 bytes, then the opcode
        timelock_s = int.from_bytes(script[1:5])
        body = script[_TIMELOCK_SIZE:]
    if len(body) == 25 and body[:3] == _P2PKH_HEAD and body[23:] == _P2PKH_TAIL:  # noqa: PLR2004 - the form's size
        return Payment(address=Address(kind=AddressKind.P2PKH, hash=body[3:23]), timelock_s=timelock_s)
    if len(body) == 23 and body[:2] == _P2SH_HEAD and body[22:] == _P2SH_TAIL:  # noqa: PLR2004 - the form's size
        return Payment(address=Address(kind=AddressKind.MULTISIG, hash=body[2:22]), timelock_s=timelock_s)
    return _parse_data(script)


def _parse_data(script: bytes) -> Data | None:
    if len(script) < 2 or script[-1] != OP_CHECKSIG:  # noqa: PLR2004 - a push and the opcode
        return None
    try:
        pushed = pushes(script[:-1])
    except ProtocolError:
        return None
    return Data(data=pushed[0]) if len(pushed) == 1 else None


def push(data: bytes) -> bytes:
    """The shortest script that pushes `data` (at most 255 bytes)."""
    if len(data) > 255:  # noqa: PLR2004 - one length byte
        raise ProtocolError("A push has at most 255 bytes")
    head = bytes((len(data),)) if len(data) <= MAX_DIRECT_PUSH else bytes((OP_PUSHDATA1, len(data)))
    return head + data


def pushes(script: bytes) -> list[bytes]:
    """The data that a script of nothing but pushes puts on the stack.

    Raises:
        ProtocolError: it does something else, or ends early.
    """
    found: list[bytes] = []
    position = 0
    while position < len(script):
        size = script[position]
        position += 1
        if size == OP_PUSHDATA1 and position < len(script):
            size = script[position]
            position += 1
        elif not 1 <= size <= MAX_DIRECT_PUSH:
            raise ProtocolError("The script does more than push data")
        if position + size > len(script):
            raise ProtocolError("The script ends inside a push")
        found.append(script[position : position + size])
        position += size
    return found


def redeem_script(required: int, public_keys: list[bytes]) -> bytes:
    """`required` of the keys may spend."""
    keys = b"".join(push(key) for key in public_keys)
    return bytes((OP_0 + required,)) + keys + bytes((OP_0 + len(public_keys), OP_CHECKMULTISIG))
