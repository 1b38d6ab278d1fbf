"""Reads key files of btwallet and of the Python releases before it: JSON, plain or encrypted in one of three ways.

https://github.com/opentensor/btwallet. Fields come in any order, and some may be missing: a key made from a URI has no
phrase and no seed. The fields that are there must belong to one key.
"""

import base64
import enum
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from strongroom.bittensor.protocol.errors import KeyFileError, PasswordNeeded, ProtocolError
from strongroom.bittensor.protocol.keyfiles import ansible_vault, fernet_file, nacl_file
from strongroom.bittensor.protocol.keys import CryptoType, Keypair, mnemonic_seed
from strongroom.bittensor.protocol.ss58 import KEY_BYTES, decode_address, encode_address

MAX_FILE: Final = 65_536
PASSWORD_PREFIX: Final = "BT_PW_"  # noqa: S105 - the start of a name


class Encryption(enum.Enum):
    NONE = "none"
    NACL = "NaCl"
    ANSIBLE_VAULT = "Ansible vault"
    FERNET = "Fernet"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """What a key file tells without its password."""

    public_key: bytes
    crypto_type: CryptoType = CryptoType.SR25519

    @property
    def address(self) -> str:
        return encode_address(self.public_key)


def encryption_of(data: bytes) -> Encryption:
    """Returns how a file is encrypted, which its first bytes tell."""
    if data.startswith(nacl_file.MAGIC):
        return Encryption.NACL
    if data.startswith(ansible_vault.MAGIC):
        return Encryption.ANSIBLE_VAULT
    if data.startswith(fernet_file.MAGIC):
        return Encryption.FERNET
    return Encryption.NONE


def decrypt(data: bytes, password: str | None) -> bytes:
    """Returns the plain JSON of a key file.

    An encrypted file takes seconds, and a `$NACL` file 512 MiB of memory, so callers open one at a time.

    Raises:
        PasswordNeeded: the file is encrypted, and there is no password.
        WrongPassword: the password does not open it.
        KeyFileError: the file is damaged.
    """
    encryption = encryption_of(data)
    if encryption is Encryption.NONE:
        return data
    if password is None:
        raise PasswordNeeded("The key file is encrypted, and no password is given for it (WALLET_PASSWORD)")
    openers = {
        Encryption.NACL: nacl_file.decrypt,
        Encryption.ANSIBLE_VAULT: ansible_vault.decrypt,
        Encryption.FERNET: fernet_file.decrypt,
    }
    return openers[encryption](data, password.encode())


def read_key(data: bytes, password: str | None = None) -> Keypair:
    """Returns the key that a file contains.

    Raises:
        KeyFileError: as `decrypt`; or the file is not JSON, has no secret or one of another scheme than sr25519, or its values
            contradict each other.
    """
    fields = _parse(decrypt(data, password))
    if _crypto_type(fields) is not CryptoType.SR25519:
        raise KeyFileError("The key file holds an ed25519 key; only sr25519 keys can sign here")
    claimed = _claimed_key(fields)
    found = _secrets(fields)
    if not found:
        raise KeyFileError("The key file holds no secret: neither privateKey nor secretSeed nor secretPhrase")
    keypair = found[0]
    if any(other.public_key != keypair.public_key for other in found[1:]):
        raise KeyFileError("The secrets in the key file belong to different keys")
    if claimed is not None and claimed != keypair.public_key:
        raise KeyFileError("The address in the key file is not that of its secret")
    return keypair


def read_public(data: bytes) -> PublicKey:
    """Returns the public key in a plain file: coldkeypub.txt, or a key file that is not encrypted.

    Raises:
        PasswordNeeded: the file is encrypted.
        KeyFileError: it is not JSON, or has no public key.
    """
    if encryption_of(data) is not Encryption.NONE:
        raise PasswordNeeded("The key file is encrypted, and no password is given for it (WALLET_PASSWORD)")
    fields = _parse(data)
    claimed = _claimed_key(fields)
    if claimed is None:
        return PublicKey(public_key=read_key(data).public_key)
    return PublicKey(public_key=claimed, crypto_type=_crypto_type(fields))


def password_variable(path: str) -> str:
    """Returns the name of the variable that may contain the password of the key file at `path`."""
    return PASSWORD_PREFIX + path.replace("/", "_").replace(".", "_").upper()


def reveal_password(variable: str, value: str) -> str:
    """Returns the password in such a variable: base64 of its bytes XOR the variable's name, which protects nothing.

    Raises:
        KeyFileError: the value does not have this form; the message does not contain it.
    """
    try:
        mixed = base64.b64decode(value, validate=True)
        return bytes(byte ^ ord(variable[i % len(variable)]) for i, byte in enumerate(mixed)).decode()
    except ValueError:
        raise KeyFileError(
            f"The variable {variable} does not hold a password as btwallet writes it"
        ) from None


def _parse(plain: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(plain, type=dict[str, Any])  # noqa: TID251 - a protocol is pure
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise KeyFileError("The key file is not JSON") from None
    return {name: value for name, value in fields.items() if value is not None}


def _crypto_type(fields: dict[str, Any]) -> CryptoType:
    try:
        return CryptoType(fields.get("cryptoType", CryptoType.SR25519))
    except ValueError:
        raise KeyFileError("The key file has an unknown cryptoType") from None


def _secrets(fields: dict[str, Any]) -> list[Keypair]:
    found: list[Keypair] = []
    try:
        if "privateKey" in fields:
            found.append(Keypair(_bytes(fields, "privateKey")))
        if "secretSeed" in fields:
            found.append(Keypair.from_seed(_bytes(fields, "secretSeed")))
        if "secretPhrase" in fields:
            found.append(Keypair.from_seed(mnemonic_seed(str(fields["secretPhrase"]))))
    except KeyFileError:
        raise
    except ProtocolError as error:
        raise KeyFileError(f"The key file is damaged: {error}") from None
    return found


def _claimed_key(fields: dict[str, Any]) -> bytes | None:
    """Returns the public key that the file's fields name, which must be one and the same; None if none does."""
    claims = {_bytes(fields, name) for name in ("publicKey", "accountId") if name in fields}
    if "ss58Address" in fields:
        try:
            claims.add(decode_address(str(fields["ss58Address"])))
        except ProtocolError as error:
            raise KeyFileError(f"The key file is damaged: {error}") from None
    if len(claims) > 1:
        raise KeyFileError("The public values in the key file belong to different keys")
    claim = next(iter(claims), None)
    if claim is not None and len(claim) != KEY_BYTES:
        raise KeyFileError(f"The public key in the key file has not {KEY_BYTES} bytes")
    return claim


def _bytes(fields: dict[str, Any], name: str) -> bytes:
    try:
        return bytes.fromhex(str(fields[name]).removeprefix("0x"))
    except ValueError:
        raise KeyFileError(f"The field {name} of the key file is not hex") from None
