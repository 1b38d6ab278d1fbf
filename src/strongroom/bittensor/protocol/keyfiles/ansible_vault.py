"""Opens `$ANSIBLE_VAULT;1.1;AES256` key files of old releases: PBKDF2, AES-256-CTR and HMAC-SHA256, hex-encoded twice.

https://docs.ansible.com/ansible/latest/vault_guide/vault_using_encrypted_content.html#ansible-vault-payload-format-1-1-1-2
"""

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from strongroom.bittensor.protocol.errors import KeyFileError, WrongPassword

MAGIC: Final = b"$ANSIBLE_VAULT"
_HEADER: Final = b"$ANSIBLE_VAULT;1.1;AES256"
_ROUNDS: Final = 10_000
_KEY_BYTES: Final = 32
_IV_BYTES: Final = 16
_BLOCK_BITS: Final = 128


def decrypt(data: bytes, password: bytes) -> bytes:
    header, _, body = data.partition(b"\n")
    if header.strip() != _HEADER:
        raise KeyFileError("The key file has a header of Ansible vault that is not 1.1 with AES256")
    try:
        salt, tag, sealed = (bytes.fromhex(part.decode()) for part in _unhex(body).split(b"\n"))
    except ValueError:
        raise KeyFileError("The key file is damaged: no Ansible vault") from None
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, _ROUNDS, 2 * _KEY_BYTES + _IV_BYTES)
    key, tag_key, counter = derived[:_KEY_BYTES], derived[_KEY_BYTES : 2 * _KEY_BYTES], derived[-_IV_BYTES:]
    if not hmac.compare_digest(hmac.digest(tag_key, sealed, "sha256"), tag):
        raise WrongPassword("The password does not open the key file")
    decryptor = Cipher(algorithms.AES(key), modes.CTR(counter)).decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise KeyFileError("The key file is damaged: no Ansible vault") from None


def _unhex(body: bytes) -> bytes:
    return bytes.fromhex(b"".join(body.split()).decode())
