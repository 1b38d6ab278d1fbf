"""Opens and writes `$NACL` key files: a nonce (24 bytes) and a secretbox, whose key Argon2i derives from the password and a fixed salt."""

from typing import Final

from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.exceptions import RuntimeError as SodiumError
from nacl.secret import SecretBox

from strongroom.bittensor.protocol.errors import KeyFileError, WrongPassword

MAGIC: Final = b"$NACL"
_SALT: Final = bytes.fromhex("137183dff15a09bc9c90b5518739e9b1")
_OVERHEAD: Final = SecretBox.NONCE_SIZE + SecretBox.MACBYTES


def decrypt(data: bytes, password: bytes) -> bytes:
    """Returns the plain JSON. It takes 512 MiB of memory and about two seconds. Raises: WrongPassword, KeyFileError."""
    box = data[len(MAGIC) :]
    if len(box) < _OVERHEAD:
        raise KeyFileError("The key file is damaged: it is too short")
    try:
        return SecretBox(_key(password)).decrypt(box)
    except CryptoError:
        raise WrongPassword("The password does not open the key file") from None


def encrypt(plain: bytes, password: bytes, nonce: bytes) -> bytes:
    """What `decrypt` opens, at the same cost. `nonce` has 24 bytes, and no other file has it. Raises: KeyFileError."""
    return MAGIC + SecretBox(_key(password)).encrypt(plain, nonce)


def _key(password: bytes) -> bytes:
    try:
        return pwhash.argon2i.kdf(
            SecretBox.KEY_SIZE,
            password,
            _SALT,
            opslimit=pwhash.argon2i.OPSLIMIT_SENSITIVE,
            memlimit=pwhash.argon2i.MEMLIMIT_SENSITIVE,
        )
    except (SodiumError, MemoryError):
        raise KeyFileError("512 MiB of memory are needed to open the key file, and are not there") from None
