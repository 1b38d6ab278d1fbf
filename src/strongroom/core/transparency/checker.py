"""Checks receipts and proofs offline. This file depends on nothing but Python and `cryptography`: it may be copied and run alone.

    python checker.py RECEIPT --key KEY [--payment ID]

docs/audit.md describes the formats, so that anybody can write another one.
"""

import argparse
import base64
import hashlib
import json
import operator
import struct
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CONTEXT: Final = b"strongroom checkpoint v1\n"
FIXED: Final = struct.Struct(">QQQI32s32s32s")
"""What is signed after the context and the ledger: number, milliseconds, rows, rows of the batch, root of the batch, root of the log,
hash of the checkpoint before."""
ENTRY: Final = struct.Struct(">hQQ32s32s")
"""A row as a leaf of the batch: lane (-1: the rows of before there were lanes), number, milliseconds, payment, hash of the row."""
MAGIC: Final = b"SRR1"
HEAD: Final = struct.Struct(">QQQI32s32s64s")
"""A receipt after the magic and the ledger: number, milliseconds, rows, rows of the batch, root of the log, hash of the checkpoint
before, signature. Then come the leaf, its index in the batch (4 bytes), and its path."""
INDEX: Final = struct.Struct(">I")
HASH_BYTES: Final = 32
HASHES: Final = ("batchRoot", "root", "previous")
"""The hashes of a checkpoint as a document, in the order in which they are signed."""
EMPTY_ROOT: Final = hashlib.sha256().digest()
NO_RECEIPT: Final = "This is no receipt of an audit trail"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NotProven(Exception):
    """It does not prove what it should. The text says why."""


def leaf_hash(entry: bytes) -> bytes:
    """RFC 9162, section 2.1.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to, by section 2.1.3.2; None: no tree of this size has such a path."""
    if not 0 <= index < size:
        return None
    number, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if number & 1 or number == last:
            found = node_hash(sibling, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        number, last = number >> 1, last >> 1
    return found if last == 0 else None


def is_consistent(earlier: tuple[int, bytes], later: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """Whether a path proves that a later tree, as (size, root), begins with an earlier one, by section 2.1.4.2."""
    (first_size, first_root), (second_size, second_root) = earlier, later
    if not 0 < first_size < second_size:
        same = first_size == second_size and first_root == second_root
        return not path and (same or (first_size == 0 and first_root == EMPTY_ROOT))
    steps = [first_root, *path] if first_size & (first_size - 1) == 0 else list(path)
    if not steps:
        return False
    number, last = first_size - 1, second_size - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            second = node_hash(second, step)
        number, last = number >> 1, last >> 1
    return last == 0 and first == first_root and second == second_root


def message_of(ledger: str, *fixed: Any) -> bytes:
    """What a checkpoint signs."""
    name = ledger.encode()
    return CONTEXT + bytes([len(name)]) + name + FIXED.pack(*fixed)


class Receipt(NamedTuple):
    """What a receipt has, as it stands in it."""

    ledger: str
    head: tuple[Any, ...]
    entry: bytes
    leaf_index: int
    path: Sequence[bytes]


def parse_receipt(text: str) -> Receipt:
    """Raises: NotProven: it is none."""
    text = text.strip()
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        end = 5 + raw[4]
        ledger, head = raw[5:end].decode("ascii"), HEAD.unpack_from(raw, end)
        place = end + HEAD.size
        entry = raw[place : place + ENTRY.size]
        (index,) = INDEX.unpack_from(raw, place + ENTRY.size)
    except (ValueError, IndexError, struct.error):
        raise NotProven(NO_RECEIPT) from None
    path = raw[place + ENTRY.size + INDEX.size :]
    if raw[:4] != MAGIC or len(path) % HASH_BYTES:
        raise NotProven(NO_RECEIPT)
    steps = [path[at : at + HASH_BYTES] for at in range(0, len(path), HASH_BYTES)]
    return Receipt(ledger, head, entry, index, steps)


def check_receipt(text: str, public_key: bytes, payment: bytes | None = None) -> dict[str, Any]:
    """What a receipt proves: that the ledger's trail had the row of this payment when the checkpoint was signed.

    Raises:
        NotProven: it is none, it is not of this payment, or it was not signed with the key.
    """
    found = parse_receipt(text)
    number, at_ms, rows, batch_rows, root, previous, signature = found.head
    lane, row, row_at_ms, named, row_hash = ENTRY.unpack(found.entry)
    if payment is not None and named != payment:
        raise NotProven(f"The receipt is of the payment {named.hex()}")
    batch_root = root_of(leaf_hash(found.entry), found.leaf_index, batch_rows, found.path)
    if batch_root is None:
        raise NotProven("The receipt's path fits no checkpoint of this size")
    message = message_of(found.ledger, number, at_ms, rows, batch_rows, batch_root, root, previous)
    _require_signature(public_key, signature, message)
    return {
        "ledger": found.ledger,
        "payment": named.hex(),
        "at": _instant(row_at_ms),
        "lane": lane,
        "number": row,
        "rowHash": row_hash.hex(),
        "checkpoint": number,
        "checkpointAt": _instant(at_ms),
        "rows": rows,
    }


def check_checkpoint(document: Mapping[str, Any], public_key: bytes) -> dict[str, Any]:
    """What a checkpoint says, without what its signature does not cover.

    Raises:
        NotProven: it is none, or it was not signed with the key.
    """
    try:
        signature = bytes.fromhex(document["signature"])
        numbers = [operator.index(document[name]) for name in ("checkpoint", "rows", "batchRows")]
        at_ms, hashes = _milliseconds(document["at"]), [_hash(document[name]) for name in HASHES]
        ledger = str(document["ledger"])
        message = message_of(ledger, numbers[0], at_ms, numbers[1], numbers[2], *hashes)
    except (KeyError, TypeError, ValueError, OverflowError, struct.error):
        raise NotProven("This is no checkpoint of an audit trail") from None
    _require_signature(public_key, signature, message)
    return {
        "ledger": ledger,
        "checkpoint": numbers[0],
        "at": _instant(at_ms),
        "rows": numbers[1],
        "batchRows": numbers[2],
        **{name: found.hex() for name, found in zip(HASHES, hashes, strict=True)},
        "signature": signature.hex(),
    }


def check_consistency(document: Mapping[str, Any], public_key: bytes) -> dict[str, Any]:
    """What a proof of two checkpoints proves: that the log of the later one begins with all of the earlier one.

    Raises:
        NotProven: it does not, it is none, or one was not signed with the key.
    """
    try:
        earlier, later = document["earlier"], document["later"]
        path = [_hash(node) for node in document["path"]]
    except (KeyError, TypeError, ValueError):
        raise NotProven("This is no proof of an audit trail") from None
    earlier, later = check_checkpoint(earlier, public_key), check_checkpoint(later, public_key)
    sizes = [(one["checkpoint"], bytes.fromhex(one["root"])) for one in (earlier, later)]
    if earlier["ledger"] != later["ledger"] or not is_consistent(sizes[0], sizes[1], path):
        raise NotProven("The later checkpoint does not continue the earlier one: the trail was rewritten")
    return {"ledger": later["ledger"], "earlier": earlier["checkpoint"], "later": later["checkpoint"]}


def check(text: str, public_key: bytes, payment: bytes | None = None) -> dict[str, Any]:
    """What a receipt, a proof of two checkpoints, or one checkpoint proves. Of a payment only a receipt proves anything. Raises: NotProven."""
    if not text.lstrip().startswith("{"):
        return check_receipt(text, public_key, payment)
    try:
        document = json.loads(text)  # noqa: TID251 - this file stands alone; what is nested deeply is refused
    except (ValueError, RecursionError):
        raise NotProven("This is neither a receipt nor a proof of an audit trail") from None
    if payment is not None:
        raise NotProven("This is no receipt: it says nothing of the payment")
    if "path" in document:
        return check_consistency(document, public_key)
    return check_checkpoint(document, public_key)


def _require_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise NotProven("It was not signed with this key, or it was changed") from None


def _instant(at_ms: int) -> str:
    try:
        moment = EPOCH + timedelta(milliseconds=at_ms)
    except OverflowError:
        return str(at_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _hash(text: str) -> bytes:
    """Raises: ValueError: it has another length, which packing would cut or fill."""
    found = bytes.fromhex(text)
    if len(found) != HASH_BYTES:
        raise ValueError("this is no hash")
    return found


def _milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Checks a receipt or a proof of an audit trail, offline.")
    parser.add_argument("receipt", help="the receipt or proof itself, or a file that has it")
    parser.add_argument("--key", required=True, help="the public key, as `strongroom audit key` prints it")
    parser.add_argument("--payment", help="the payment that the receipt must be of")
    given = parser.parse_args()
    try:
        text = Path(given.receipt).read_text()
    except OSError:
        text = given.receipt
    try:
        key = bytes.fromhex(given.key)
        payment = bytes.fromhex(given.payment.removeprefix("0x")) if given.payment else None
        sys.stdout.write(json.dumps(check(text, key, payment)) + "\n")
    except (NotProven, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
