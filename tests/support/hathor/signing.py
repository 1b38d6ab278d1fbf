"""The keys of the wallet in the vectors, and transactions that it signs and mines."""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from coincurve import PrivateKey

from strongroom.hathor.protocol.addresses import MAINNET, Network, parse_address
from strongroom.hathor.protocol.hashes import base58check_decode
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.protocol.signatures import sign_input
from strongroom.hathor.protocol.transactions import Input, Output, Transaction
from strongroom.hathor.protocol.work import mine

VECTORS = Path(__file__).parents[2] / "vectors" / "hathor"
PARENTS = (
    bytes.fromhex("0002ad8d1519daaddc8e1a37b14aac0b045129c01832281fb1c02d873c7abbf9"),
    bytes.fromhex("0002d4d2a15def7604688e1878ab681142a7b155cbe52a6b4e031250ae96db0a"),
)
Spent = tuple[str, int]


@cache
def private_key(index: int) -> bytes:
    """Of the wallet's address `index`."""
    payload = base58check_decode(json.loads((VECTORS / "vectors.json").read_text())["wallet"]["acct_xpriv"])
    key, chain = PrivateKey(payload[46:78]), payload[13:45]
    for child in (0, index):
        digest = hmac.digest(chain, key.public_key.format() + child.to_bytes(4), "sha512")
        key, chain = key.add(digest[:32]), digest[32:]
    return key.secret


def draft(
    spent: Sequence[Spent], outputs: Sequence[Output], *, timestamp_s: int, weight: float = 8.0
) -> Transaction:
    return Transaction(
        inputs=tuple(Input(tx_id=bytes.fromhex(tx_id), index=index) for tx_id, index in spent),
        outputs=tuple(outputs),
        timestamp_s=timestamp_s,
        weight=weight,
        parents=PARENTS,
    )


def sign(transaction: Transaction, keys: Mapping[Spent, int]) -> Transaction:
    """Signs and mines; `keys` are the address indexes of what is spent."""
    digest = transaction.signing_digest()
    data = tuple(
        sign_input(digest, private_key(keys[spent.tx_id.hex(), spent.index])) for spent in transaction.inputs
    )
    return mine(transaction.with_input_data(data))


def completed(
    document: Mapping[str, Any], *, timestamp_s: int, network: Network = MAINNET, weight: float = 8.0
) -> Transaction:
    """What a client of the first API makes of the answer to its proposal: signed and mined."""
    tokens = list(dict.fromkeys(each["token"] for each in document["outputs"] if each["token"] != "00"))
    outputs = [
        Output(
            value=each["value"],
            token_data=0 if each["token"] == "00" else tokens.index(each["token"]) + 1,
            script=Payment(
                address=parse_address(each["address"], network), timelock_s=each["timelock"]
            ).encode(),
        )
        for each in document["outputs"]
    ]
    keys = {
        (each["txId"], each["index"]): int(each["addressPath"].rpartition("/")[2])
        for each in document["inputs"]
    }
    unsigned = draft(list(keys), outputs, timestamp_s=timestamp_s, weight=weight)
    return sign(replace(unsigned, token_ids=tuple(map(bytes.fromhex, tokens))), keys)
