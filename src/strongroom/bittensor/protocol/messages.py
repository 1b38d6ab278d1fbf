"""Decides which messages a key may sign, so that no signature of a message is valid on the chain.

What a transaction's signature covers is either the payload itself or, above 256 bytes, its BLAKE2b-256: 32 bytes. So:

* A payload ends in the versions of the runtime and the chain's hashes; the versions are small numbers of four bytes, so
  every payload has bytes 00. A message here has no control characters but line ends and tabs, hence no such byte.
* A limit order, which any holder may execute, is signed as SCALE that begins with its version, byte 00, and holds the
  32 bytes of accounts: no text either (subtensor, `pallet-limit-orders`).
* No message here has 32 bytes, except one wrapped in `<Bytes>`, whose 15 fixed bytes a digest has once in 2^120.

Beyond that only messages of known forms are signed, in the signer's own name, unless the caller may sign any text: what a
signature means to another service is not for the holder of a token to choose.
"""

import enum
import re
from dataclasses import dataclass
from typing import Final

from strongroom.bittensor.protocol.errors import RefusedMessage

WRAP_START: Final = "<Bytes>"
WRAP_END: Final = "</Bytes>"
MAX_MESSAGE: Final = 65_536
DIGEST_BYTES: Final = 32
_ADDRESS: Final = r"[1-9A-HJ-NP-Za-km-z]{46,48}"
_UUID: Final = r"[0-9a-fA-F-]{1,64}"
_TIMESTAMP: Final = re.compile(r"[0-9]{10,20}")
_DENDRITE: Final = re.compile(
    rf"[0-9]{{1,20}}\.(?P<own>{_ADDRESS})\.({_ADDRESS}|None)\.{_UUID}\.[0-9a-f]{{0,128}}"
)
_AXON: Final = re.compile(rf"[0-9]{{1,20}}\.({_ADDRESS}|None)\.(?P<own>{_ADDRESS})\.{_UUID}")
_REQUEST: Final = re.compile(
    r"btauth/1\nsr25519\n[A-Z]{1,16}\n/[\x21-\x7e]{0,8192}\n[0-9a-f]{64}\n[0-9]{1,20}\n"
    rf"(?P<own>{_ADDRESS})\n({_ADDRESS}|-)"
)
_LINE_ENDS: Final = "\n\r\t"


class MessageKind(enum.StrEnum):
    WRAPPED = "wrapped"
    """`<Bytes>...</Bytes>`, as wallets in browsers sign."""
    TIMESTAMP = "timestamp"
    """A login: digits that are a time in milliseconds."""
    DENDRITE = "dendrite"
    """nonce.caller.callee.uuid.hash-of-the-body, signed by the caller."""
    AXON = "axon"
    """nonce.caller.callee.uuid, signed by the callee."""
    REQUEST = "request"
    """A `btauth/1` request in eight lines, signed by the sender."""
    TEXT = "text"
    """Any other text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that may be signed."""

    kind: MessageKind
    payload: bytes


def parse_message(text: str, signer: str, *, any_text: bool = False) -> Message:
    """Returns the message if the key of the address `signer` may sign it.

    Raises:
        RefusedMessage: it is too long, could be a transaction, names another signer, or has no known form.
    """
    payload = _encode(text)
    kind = _kind(text, signer)
    if kind is MessageKind.TEXT:
        _check_text(text, payload, any_text=any_text)
    return Message(kind=kind, payload=payload)


def _encode(text: str) -> bytes:
    try:
        payload = text.encode()
    except UnicodeEncodeError:
        raise RefusedMessage("The message is not text") from None
    if not text or len(payload) > MAX_MESSAGE:
        raise RefusedMessage(f"A message has 1 to {MAX_MESSAGE} bytes")
    if any(ord(letter) < ord(" ") and letter not in _LINE_ENDS for letter in text):
        raise RefusedMessage("A message with control characters could be a transaction")
    return payload


def _kind(text: str, signer: str) -> MessageKind:
    if text.startswith(WRAP_START) and text.endswith(WRAP_END) and len(text) >= len(WRAP_START + WRAP_END):
        return MessageKind.WRAPPED
    if _TIMESTAMP.fullmatch(text):
        return MessageKind.TIMESTAMP
    forms = {MessageKind.DENDRITE: _DENDRITE, MessageKind.AXON: _AXON, MessageKind.REQUEST: _REQUEST}
    for kind, form in forms.items():
        found = form.fullmatch(text)
        if found:
            if found["own"] != signer:
                raise RefusedMessage(
                    f"The message is in the name of {found['own']}, not of the key that would sign it"
                )
            return kind
    return MessageKind.TEXT


def _check_text(text: str, payload: bytes, *, any_text: bool) -> None:
    if not any_text:
        raise RefusedMessage(
            "Only messages of known forms are signed: <Bytes>...</Bytes>, a timestamp in digits, those of dendrites and"
            " axons, btauth/1 requests. A token may be allowed any text"
        )
    if len(payload) == DIGEST_BYTES:
        raise RefusedMessage("A message of 32 bytes could be the digest of a transaction")
    if text.startswith("0x"):
        raise RefusedMessage("A message that begins with 0x is bytes to those who verify it, not text")
