"""Chooses the nonces of our accounts, in the transaction that signs.

Three rules hold while the account's row is locked. No extrinsic gets the nonce of one that is open or final. Only one
extrinsic of an account waits for a pool's first answer: if it never arrives, the pool would not include those behind it. And no
extrinsic is signed behind one whose era is over: the chain would wait for a nonce that it never gets.
"""

from typing import Final, NamedTuple

from sqlalchemy import Connection, select, update

from strongroom.bittensor import tables
from strongroom.bittensor.extrinsics.extrinsic import State, extrinsic_of
from strongroom.bittensor.gateway import Head
from strongroom.core.coordination.locks import take_one_of
from strongroom.core.errors import Unavailable
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import free_slots, load_open_slots
from strongroom.core.storage.database import insert_ignore, locking
from strongroom.core.storage.statements import Statement, arg, execute

NONCE_BYTES: Final = 8
MAX_NONCE: Final = (1 << 8 * NONCE_BYTES) - 1
ACCOUNT = tables.account.c
LOCK: Final = "bittensor:account"


class ChainBehind(Unavailable):
    """The node knows less of an account than final blocks have said, so its other answers may be old too."""

    code = "chain_behind"


class AccountBusy(Exception):
    """The account can sign as soon as more is known about one of its extrinsics."""

    def __init__(self, intent: Intent, why: str) -> None:
        super().__init__(f"Extrinsic 0x{intent.id.hex()} {why}")
        self.intent = intent


class AwaitingPool(AccountBusy):
    """An extrinsic of the account waits for a pool's first answer."""

    def __init__(self, intent: Intent) -> None:
        super().__init__(intent, "waits for a pool's first answer")


class AwaitingOutcome(AccountBusy):
    """No block will include an extrinsic of the account any more, and this is not stored yet."""

    def __init__(self, intent: Intent) -> None:
        super().__init__(intent, "has the account's next nonce until it is stored that its era is over")


class _Locked(NamedTuple):
    lowest_nonce: int
    final_number: int | None


_LOCKED: Final = Statement(
    locking(select(ACCOUNT.lowest_nonce, ACCOUNT.final_number).where(ACCOUNT.public_key == arg("key"))), "key"
)
_NEWEST: Final = (
    select(ACCOUNT.final_number, ACCOUNT.final_hash)
    .where(ACCOUNT.final_number.is_not(None))
    .order_by(ACCOUNT.final_number.desc())
    .limit(1)
)


def slot_of(public_key: bytes, nonce: int) -> bytes:
    """Returns the slot of the account's extrinsic with this nonce. Slots sort in the order of nonces."""
    return public_key + nonce.to_bytes(NONCE_BYTES, "big")


def free_nonce(connection: Connection, public_key: bytes, chain_says: int, final_number: int) -> int:
    """Returns the account's next nonce. The account stays locked until the commit.

    `final_number` is the number of the chain's final block.

    Raises:
        AwaitingPool: one of its extrinsics waits for a pool's first answer.
        AwaitingOutcome: the era of one is over, and the chain still waits for its nonce or a lower one.
        ChainBehind: the node knows less of the account than final blocks did.
    """
    nonce, lowest = chain_says, lock_account(connection, public_key)
    if nonce < lowest:
        raise ChainBehind(
            f"The node's next nonce of this account is {nonce}, and nonce {lowest - 1} was in a final block: the node"
            " lags behind, or its chain was started anew and needs a new database here"
        )
    taken: set[int] = set()
    # By their slots: those of a proxy are of the accounts for which it calls.
    first, last = slot_of(public_key, lowest), slot_of(public_key, MAX_NONCE)
    for intent in load_open_slots(connection, first, last):
        extrinsic = extrinsic_of(intent)
        if extrinsic.state is State.SIGNED:
            raise AwaitingPool(intent)
        # One with a lower nonce is in a block: it is in the way of nothing, even if its block cannot be read.
        if extrinsic.last_block <= final_number and extrinsic.nonce >= chain_says:
            raise AwaitingOutcome(intent)
        taken.add(extrinsic.nonce)
    while nonce in taken:
        nonce += 1
    return nonce


def lock_account(connection: Connection, public_key: bytes) -> int:
    """Locks the account until the commit. Returns the lowest nonce that may be free."""
    return _lock(connection, public_key).lowest_nonce


def note_final(connection: Connection, public_key: bytes, nonce: int, block: Head) -> None:
    """Stores that a final block holds the account's extrinsic with this nonce."""
    locked = _lock(connection, public_key)
    values: dict[str, object] = {}
    if locked.lowest_nonce <= nonce:
        values["lowest_nonce"] = nonce + 1
    if locked.final_number is None or locked.final_number < block.number:
        values |= {"final_number": block.number, "final_hash": block.hash}
    if values:
        connection.execute(update(tables.account).where(ACCOUNT.public_key == public_key).values(values))


def newest_final(connection: Connection) -> Head | None:
    """Returns the newest final block that is known to hold an extrinsic of any account."""
    row = connection.execute(_NEWEST).first()
    return None if row is None else Head(row.final_number, row.final_hash)


def begin_nonces_at(connection: Connection, public_key: bytes, nonce: int) -> None:
    """Lowers the nonces of an account that the chain removed and made again. Open extrinsics keep their slots."""
    if lock_account(connection, public_key) <= nonce:
        return
    free_slots(connection, slot_of(public_key, nonce), slot_of(public_key, MAX_NONCE))
    account = ACCOUNT.public_key == public_key
    connection.execute(update(tables.account).where(account).values(lowest_nonce=nonce))


def _lock(connection: Connection, public_key: bytes) -> _Locked:
    take_one_of(connection, LOCK, public_key)
    rows = execute(connection, _LOCKED, public_key)
    if not rows:
        insert_ignore(connection, tables.account, [{"public_key": public_key, "lowest_nonce": 0}])
        rows = execute(connection, _LOCKED, public_key)
    return _Locked(*rows[0])
