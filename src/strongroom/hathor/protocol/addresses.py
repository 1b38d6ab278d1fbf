"""Addresses: a version byte, the hash of a public key or script, a checksum, in base58 (34 letters)."""

import enum
from dataclasses import dataclass

from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.hashes import base58check_decode, base58check_encode, hash160

HASH_SIZE = 20


class AddressKind(enum.StrEnum):
    P2PKH = "P2PKH"
    MULTISIG = "MultiSig"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The version bytes that one network puts in front of its addresses."""

    name: str
    p2pkh: int
    p2sh: int
    xpriv: bytes


MAINNET = Network(name="mainnet", p2pkh=0x28, p2sh=0x64, xpriv=bytes.fromhex("03523b05"))
TESTNET = Network(name="testnet", p2pkh=0x49, p2sh=0x87, xpriv=bytes.fromhex("0434c8c4"))
PRIVATENET = Network(name="privatenet", p2pkh=0x49, p2sh=0x87, xpriv=bytes.fromhex("0434c8c4"))
NETWORKS = {network.name: network for network in (MAINNET, TESTNET, PRIVATENET)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    kind: AddressKind
    hash: bytes
    """20 bytes: hash160 of the public key, or of the redeem script."""

    def encode(self, network: Network) -> str:
        version = network.p2pkh if self.kind is AddressKind.P2PKH else network.p2sh
        return base58check_encode(bytes((version,)) + self.hash)


def public_key_address(public_key: bytes) -> Address:
    """The address of a compressed public key (33 bytes)."""
    return Address(kind=AddressKind.P2PKH, hash=hash160(public_key))


def script_address(redeem_script: bytes) -> Address:
    return Address(kind=AddressKind.MULTISIG, hash=hash160(redeem_script))


def parse_address(text: str, network: Network) -> Address:
    """Reads an address of `network`.

    Raises:
        ProtocolError: it is malformed, or belongs to another network.
    """
    payload = base58check_decode(text)
    kinds = {network.p2pkh: AddressKind.P2PKH, network.p2sh: AddressKind.MULTISIG}
    if len(payload) != 1 + HASH_SIZE:
        raise ProtocolError("An address has 25 bytes")
    if (kind := kinds.get(payload[0])) is None:
        raise ProtocolError(f"The address is not of {network.name}")
    return Address(kind=kind, hash=payload[1:])
