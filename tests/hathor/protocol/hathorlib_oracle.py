"""Runs in the environment of hathorlib: for each line of transaction hex, says what hathorlib makes of it."""

import json
import sys

from hathorlib.base_transaction import tx_or_block_from_bytes
from hathorlib.daa import minimum_tx_weight
from hathorlib.headers import NanoHeader

for line in sys.stdin:
    transaction = tx_or_block_from_bytes(bytes.fromhex(line))
    transaction.update_hash()
    sighash = transaction.get_sighash_all()
    for header in transaction.headers:
        if isinstance(header, NanoHeader):
            # hathorlib 0.15.0 leaves the header's id out of the signed bytes; the node and wallets put it in
            part = header.get_sighash_bytes()
            sighash = sighash.replace(part, b"\x10" + part)
    answer = {
        "hash": transaction.hash.hex(),
        "bytes": bytes(transaction).hex(),
        "sighash": sighash.hex(),
        "weight": minimum_tx_weight(transaction),
        "tokens": [token.hex() for token in transaction.tokens],
        "outputs": [[output.value, output.token_data, output.script.hex()] for output in transaction.outputs],
    }
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
