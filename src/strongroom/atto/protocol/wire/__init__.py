"""JSON of the node API, both ways.

Hex is upper case on output and any case on input; integers are JSON numbers and may be quoted on input. Unknown
keys are ignored. Address fields only repeat keys: they are written for people and, where present, must agree.
Every decoder raises InvalidBlock, InvalidNetwork, InvalidAddress or InvalidAmount.
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
