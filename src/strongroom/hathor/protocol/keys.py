"""BIP-32 public derivation, and the id that a wallet has by its extended public key.

Private keys of wallets never reach this service; `Xpub` derives public children only.
"""

import hmac
from dataclasses import dataclass
from functools import cached_property

from coincurve import PublicKey

from strongroom.hathor.protocol.addresses import Address, Network, public_key_address
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.hashes import base58check_decode, base58check_encode, hash160, sha256d

XPUB_VERSION = bytes.fromhex("0488b21e")
XPUB_SIZE = 78
KEY_SIZE = 33
HARDENED = 0x8000_0000
CHANGE_INDEX = 0
"""Hathor wallets have one chain of addresses, `xpub/0/i`, and none apart for change."""


@dataclass(frozen=True, kw_only=True)
class Xpub:
    """An extended public key. Not slotted: the parsed point is cached, it is most of a derivation's cost."""

    depth: int
    parent_fingerprint: bytes
    child_number: int
    chain_code: bytes
    public_key: bytes
    """Compressed, 33 bytes."""

    @cached_property
    def _point(self) -> PublicKey:
        return PublicKey(self.public_key)

    def child(self, index: int) -> "Xpub":
        """The non-hardened child `index`.

        Raises:
            ProtocolError: the index is hardened, or (about 1 in 2^127) has no key.
        """
        if not 0 <= index < HARDENED:
            raise ProtocolError("Only a private key has hardened children")
        left, right = self._derive(index)
        try:
            point = self._point.add(left)
        except ValueError as error:
            raise ProtocolError(f"Child {index} has no key") from error
        return Xpub(
            depth=self.depth + 1,
            parent_fingerprint=hash160(self.public_key)[:4],
            child_number=index,
            chain_code=right,
            public_key=point.format(),
        )

    def child_address(self, index: int) -> Address:
        """The address of the child `index`, without the rest of its node."""
        try:
            return public_key_address(self._point.add(self._derive(index)[0]).format())
        except ValueError as error:
            raise ProtocolError(f"Child {index} has no key") from error

    def address(self) -> Address:
        """The address of this very key; it signs the authentication messages."""
        return public_key_address(self.public_key)

    def encode(self) -> str:
        return base58check_encode(
            XPUB_VERSION
            + self.depth.to_bytes(1)
            + self.parent_fingerprint
            + self.child_number.to_bytes(4)
            + self.chain_code
            + self.public_key
        )

    def _derive(self, index: int) -> tuple[bytes, bytes]:
        digest = hmac.digest(self.chain_code, self.public_key + index.to_bytes(4), "sha512")
        return digest[:32], digest[32:]


def parse_xpub(text: str) -> Xpub:
    """Reads a base58 extended public key (`xpub...`, the same on every Hathor network).

    Raises:
        ProtocolError: it is malformed, or not a public key.
    """
    payload = base58check_decode(text)
    if len(payload) != XPUB_SIZE:
        raise ProtocolError("An extended key has 78 bytes")
    if payload[:4] != XPUB_VERSION:
        raise ProtocolError("Invalid network version")
    key = Xpub(
        depth=payload[4],
        parent_fingerprint=payload[5:9],
        child_number=int.from_bytes(payload[9:13]),
        chain_code=payload[13:45],
        public_key=payload[45:],
    )
    try:
        _ = key._point  # noqa: SLF001 - parsing it is the check that it lies on the curve
    except ValueError as error:
        raise ProtocolError("The public key is not on the curve") from error
    return key


def address_chain(xpub: str) -> Xpub:
    """The node whose children are the wallet's addresses: `xpub/0`, whatever depth the xpub has."""
    return parse_xpub(xpub).child(CHANGE_INDEX)


def wallet_id(xpub: str) -> str:
    """Hex of the double SHA-256 of the xpub's letters (not of its bytes), not reversed."""
    return sha256d(xpub.encode()).hex()


def first_address(xpub: str, network: Network) -> str:
    return address_chain(xpub).child_address(0).encode(network)
