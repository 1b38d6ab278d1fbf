"""Encrypts and decrypts files in the age format (age-encryption.org/v1), so that the program `age` opens them too.

A file has one key, which the header holds once for each recipient (X25519) or once for a passphrase (scrypt). The content is
in pieces of 64 KiB, each with its place, so that none can be changed, exchanged or left out at the end.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from hashlib import scrypt
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.core.clock import Entropy
from strongroom.core.storage.transfer.bech32 import decode_bech32

VERSION: Final = b"age-encryption.org/v1"
PIECE: Final = 1 << 16
TAG: Final = 16
WORK: Final = 18
"""The cost of a guess at a passphrase, as a power of two: as `age` has it."""
MAX_WORK: Final = 22
MAX_LINE: Final = 1 << 12
MAX_LINES: Final = 64
KEY_BYTES: Final = 32
NO_NONCE: Final = bytes(12)


class NotAge(Exception):
    """The file is not in the age format, or was changed or cut."""


class WrongKey(Exception):
    """Neither the passphrase nor an identity opens the file."""


class Recipient:
    """Whom a file is encrypted to: `age1...`. Only the identity that belongs to it opens the file."""

    def __init__(self, text: str) -> None:
        """Raises: ValueError: it is none."""
        self._public = decode_bech32("age", text)

    def stanza(self, file_key: bytes, entropy: Entropy) -> bytes:
        """The lines of the header that hold the file's key."""
        ephemeral = X25519PrivateKey.from_private_bytes(entropy.token(KEY_BYTES))
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self._public))
        key = _derived(shared, share + self._public, VERSION + b"/X25519")
        return b"-> X25519 " + _text(share) + b"\n" + _text(_sealed(key, file_key)) + b"\n"


class Identity:
    """The secret that opens what is encrypted to its recipient: `AGE-SECRET-KEY-1...`."""

    def __init__(self, text: str) -> None:
        """Raises: ValueError: it is none."""
        self._secret = X25519PrivateKey.from_private_bytes(decode_bech32("age-secret-key-", text))

    def open(self, kind: str, arguments: Sequence[bytes], body: bytes) -> bytes | None:
        """The file's key, if this part of the header is for this identity."""
        if kind != "X25519" or len(arguments) != 1:
            return None
        share = _bytes(arguments[0])
        try:
            shared = self._secret.exchange(X25519PublicKey.from_public_bytes(share))
        except ValueError as error:
            raise NotAge from error
        own = self._secret.public_key().public_bytes_raw()
        return _opened(_derived(shared, share + own, VERSION + b"/X25519"), body)


class Passphrase:
    """A passphrase, which encrypts and opens."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    def stanza(self, file_key: bytes, entropy: Entropy) -> bytes:
        """As `Recipient.stanza`."""
        salt = entropy.token(16)
        body = _sealed(self._key(salt, WORK), file_key)
        return b"-> scrypt " + _text(salt) + b" %d\n" % WORK + _text(body) + b"\n"

    def open(self, kind: str, arguments: Sequence[bytes], body: bytes) -> bytes | None:
        """As `Identity.open`."""
        if kind != "scrypt" or len(arguments) != 2:  # noqa: PLR2004 - the salt and the cost
            return None
        if not arguments[1].isdigit() or not 0 < (work := int(arguments[1])) <= MAX_WORK:
            raise NotAge
        return _opened(self._key(_bytes(arguments[0]), work), body)

    def _key(self, salt: bytes, work: int) -> bytes:
        salt = VERSION + b"/scrypt" + salt
        return scrypt(self._text, salt=salt, n=1 << work, r=8, p=1, maxmem=1 << (work + 11), dklen=KEY_BYTES)


def encrypt(
    source: BinaryIO, target: BinaryIO, locks: Sequence[Recipient | Passphrase], entropy: Entropy
) -> None:
    """Encrypts all of `source`. A passphrase is alone."""
    file_key = entropy.token(16)
    header = VERSION + b"\n" + b"".join(lock.stanza(file_key, entropy) for lock in locks) + b"---"
    target.write(header + b" " + _text(_mac(file_key, header)) + b"\n")
    nonce = entropy.token(16)
    target.write(nonce)
    cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    target.writelines(cipher.encrypt(place, piece, None) for place, piece in _pieces(source, PIECE))


def decrypt(source: BinaryIO, target: BinaryIO, keys: Sequence[Identity | Passphrase]) -> None:
    """Decrypts all of `source`. What it wrote before an error is part of the content, and not all of it.

    Raises:
        NotAge: the file is no age file, or was changed or cut.
        WrongKey: none of the keys opens it.
    """
    file_key = _file_key(source, keys)
    nonce = source.read(16)
    cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    try:
        target.writelines(cipher.decrypt(place, piece, None) for place, piece in _pieces(source, PIECE + TAG))
    except (InvalidTag, ValueError) as error:
        raise NotAge from error


def _file_key(source: BinaryIO, keys: Sequence[Identity | Passphrase]) -> bytes:
    header = _line(source)
    if header != VERSION + b"\n":
        raise NotAge
    found: bytes | None = None
    line = _line(source)
    for _ in range(MAX_LINES):
        if line.startswith(b"---"):
            break
        arrow, *parts = line.rstrip(b"\n").split(b" ")
        if arrow != b"->" or not parts:
            raise NotAge
        kind, arguments = parts[0], parts[1:]
        header += line
        body = b""
        while True:
            line = _line(source)
            header += line
            body += line.rstrip(b"\n")
            if len(line) <= 64:  # noqa: PLR2004 - a body ends with a line that is not full
                break
        opened = (key.open(kind.decode(errors="replace"), arguments, _bytes(body)) for key in keys)
        found = found or next((one for one in opened if one is not None), None)
        line = _line(source)
    if found is None:
        raise WrongKey
    if not hmac.compare_digest(line, b"--- " + _text(_mac(found, header + b"---")) + b"\n"):
        raise NotAge
    return found


def _pieces(source: BinaryIO, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Each piece with its nonce: its number, and whether it is the last."""
    number, piece = 0, source.read(size)
    while True:
        following = source.read(size) if len(piece) == size else b""
        yield number.to_bytes(11) + (b"\0" if following else b"\1"), piece
        if not following:
            return
        number, piece = number + 1, following


def _line(source: BinaryIO) -> bytes:
    line = source.readline(MAX_LINE)
    if not line.endswith(b"\n"):
        raise NotAge
    return line


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), header, "sha256")


def _derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(secret)


def _sealed(key: bytes, file_key: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(NO_NONCE, file_key, None)


def _opened(key: bytes, body: bytes) -> bytes | None:
    try:
        return ChaCha20Poly1305(key).decrypt(NO_NONCE, body, None)
    except InvalidTag:
        return None


def _text(data: bytes) -> bytes:
    return b64encode(data).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (NotBase64, ValueError) as error:
        raise NotAge from error
