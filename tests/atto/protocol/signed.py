"""One valid transaction of each kind on LOCAL."""

from typing import Final

from strongroom.atto.protocol import (
    Block,
    ChangeBlock,
    Network,
    OpenBlock,
    ReceiveBlock,
    SendBlock,
    Transaction,
    is_work_valid,
    public_key_of,
    sign,
)

NOW_MS: Final = 1_782_864_000_000
PRIVATE_KEY: Final = bytes(range(32))
PUBLIC_KEY: Final = public_key_of(PRIVATE_KEY)
OTHER_KEY: Final = public_key_of(bytes(32))


def signed(block: Block) -> Transaction:
    """The block with its signature and work, which LOCAL makes easy enough to find here."""
    nonce = 0
    while not is_work_valid(block.network, block.timestamp, block.work_target, nonce.to_bytes(8, "little")):
        nonce += 1
    return Transaction(block=block, signature=sign(PRIVATE_KEY, block.hash), work=nonce.to_bytes(8, "little"))


TRANSACTIONS: Final = tuple(
    signed(block)
    for block in (
        OpenBlock(
            network=Network.LOCAL,
            version=0,
            public_key=PUBLIC_KEY,
            balance=5,
            timestamp=NOW_MS,
            send_hash=b"\x01" * 32,
            representative_public_key=OTHER_KEY,
        ),
        ReceiveBlock(
            network=Network.LOCAL,
            version=0,
            public_key=PUBLIC_KEY,
            height=2,
            balance=7,
            timestamp=NOW_MS,
            previous=b"\x02" * 32,
            send_hash=b"\x03" * 32,
        ),
        SendBlock(
            network=Network.LOCAL,
            version=0,
            public_key=PUBLIC_KEY,
            height=3,
            balance=0,
            timestamp=NOW_MS,
            previous=b"\x02" * 32,
            receiver_public_key=OTHER_KEY,
            amount=7,
        ),
        ChangeBlock(
            network=Network.LOCAL,
            version=0,
            public_key=PUBLIC_KEY,
            height=4,
            balance=0,
            timestamp=NOW_MS,
            previous=b"\x02" * 32,
            representative_public_key=OTHER_KEY,
        ),
    )
)
