"""Writes key files as btwallet does: JSON, plain or encrypted with NaCl."""

import json

from strongroom.bittensor.protocol.keyfiles import nacl_file
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.ss58 import encode_address


def public_file(public_key: bytes) -> bytes:
    """The content of `coldkeypub.txt` or of a hotkey's public file."""
    return json.dumps(_public(public_key)).encode()


def key_file(keypair: Keypair, password: str | None, nonce: bytes) -> bytes:
    """The content of a key file; None as the password leaves it plain. `nonce` has 24 random bytes, used once."""
    plain = json.dumps(_public(keypair.public_key) | {"privateKey": f"0x{keypair.secret().hex()}"}).encode()
    return plain if password is None else nacl_file.encrypt(plain, password.encode(), nonce)


def _public(public_key: bytes) -> dict[str, str]:
    value = f"0x{public_key.hex()}"
    return {"accountId": value, "publicKey": value, "ss58Address": encode_address(public_key)}
