"""Encodes and decodes the JSON of the node API.

Hex is written in upper case and read in any case. Integers are written as JSON numbers and may be quoted when read. Unknown
keys are ignored. An address field repeats a public key for people; where it is present, it must match the key. Every decoder
raises InvalidBlock, InvalidNetwork, InvalidAddress or InvalidAmount.
"""

from strongroom.atto.protocol.wire.blocks import (
    decode_block,
    decode_transaction,
    encode_block,
    encode_transaction,
)
from strongroom.atto.protocol.wire.records import (
    decode_account_entry,
    decode_account_state,
    decode_account_states,
    decode_receivable,
    encode_account_entry,
    encode_account_state,
    encode_receivable,
)

__all__ = [
    "decode_account_entry",
    "decode_account_state",
    "decode_account_states",
    "decode_block",
    "decode_receivable",
    "decode_transaction",
    "encode_account_entry",
    "encode_account_state",
    "encode_block",
    "encode_receivable",
    "encode_transaction",
]
