"""The first block of the sandbox network: the whole supply, on an account whose seed everyone knows."""

import hashlib
from typing import Final

from strongroom.atto.protocol import (
    MAX_SUPPLY_RAW,
    Address,
    Block,
    Network,
    OpenBlock,
    Transaction,
    derive_private_key,
    public_key_of,
    sign,
)

GENESIS_SEED: Final = hashlib.blake2b(b"strongroom sandbox genesis", digest_size=64).digest()
"""Public on purpose: every reader may spend the sandbox's money, which is worth nothing."""
GENESIS_PRIVATE_KEY: Final = derive_private_key(GENESIS_SEED, 0)
GENESIS_PUBLIC_KEY: Final = public_key_of(GENESIS_PRIVATE_KEY)
GENESIS_ADDRESS: Final = Address(public_key=GENESIS_PUBLIC_KEY)
_TIMESTAMP_MS: Final = 1_735_689_600_000  # 2025-01-01T00:00:00Z
_WORK: Final = bytes.fromhex("F225000000000000")


def genesis_transaction() -> Transaction:
    """The same OPEN block every time, so that the journal of one sandbox is readable by the next."""
    block = OpenBlock(
        network=Network.LOCAL,
        version=0,
        public_key=GENESIS_PUBLIC_KEY,
        balance=MAX_SUPPLY_RAW,
        timestamp=_TIMESTAMP_MS,
        send_hash=bytes(32),
        representative_public_key=GENESIS_PUBLIC_KEY,
    )
    return sign_genesis(block, _WORK)


def sign_genesis(block: Block, work: bytes) -> Transaction:
    """A transaction of the genesis account."""
    return Transaction(block=block, signature=sign(GENESIS_PRIVATE_KEY, block.hash), work=work)
