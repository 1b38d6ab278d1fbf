"""The record of signed extrinsics: put in before they are submitted, settled when the chain can no longer change them."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, or_, select, update

from strongroom.bittensor import tables
from strongroom.bittensor.protocol.failures import Failure
from strongroom.core.errors import Unavailable
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import insert_ignore, locking

COLUMNS = tables.extrinsic.c


class State(enum.StrEnum):
    SIGNED = "signed"
    """Stored. Whether a pool has it is not known."""
    POOLED = "pooled"
    IN_BLOCK = "in_block"
    """In a block of the best chain, which may yet be another."""
    FINAL = "final"
    REFUSED = "refused"
    """The first pool that was asked refused it, and nobody else has it."""
    WITHDRAWN = "withdrawn"
    """It never left this service."""
    EXPIRED = "expired"
    """Its era ended without it."""
    REPLACED = "replaced"
    """Another extrinsic has its nonce, or the runtime changed."""

    @property
    def is_dead(self) -> bool:
        """It can never be included."""
        return self in DEAD

    @property
    def is_settled(self) -> bool:
        return self is State.FINAL or self.is_dead


class ChainBehind(Unavailable):
    """What a node says of an account is older than what final blocks said: so may be all else that it says."""

    code = "chain_behind"


LIVE: Final = (State.SIGNED, State.POOLED, State.IN_BLOCK)
DEAD: Final = frozenset({State.REFUSED, State.WITHDRAWN, State.EXPIRED, State.REPLACED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    number: int
    hash: bytes
    index: int
    fee: int
    success: bool | None
    """None: the node no longer has the block's events."""
    failure: Failure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrinsic:
    """As stored; without its bytes, which `load_bytes` gives."""

    hash: bytes
    job: str
    public_key: bytes
    nonce: int
    call_name: str
    spec_version: int
    first_block: int
    last_block: int
    state: State
    attempts: int
    """How often it was offered by this service. 0: another submits it."""
    created_at_ms: int
    inclusion: Inclusion | None = None
    failure: Failure | None = None
    """Why it is dead."""


_SHOWN: Final = [column for column in tables.extrinsic.columns if column.name != "bytes"]
_BY_HASH: Final = select(*_SHOWN).where(COLUMNS.hash == bindparam("which"))
_LIVE: Final = select(*_SHOWN).where(COLUMNS.state.in_(LIVE)).order_by(COLUMNS.created_at_ms)
_LOWEST: Final = locking(
    select(tables.account.c.lowest_nonce).where(tables.account.c.public_key == bindparam("key"))
)
_NEWEST: Final = (
    select(COLUMNS.block_number, COLUMNS.block_hash)
    .where(COLUMNS.state == State.FINAL.value)
    .order_by(COLUMNS.block_number.desc())
    .limit(1)
)
_TAKEN: Final = select(COLUMNS.live_nonce, COLUMNS.unheard).where(
    COLUMNS.public_key == bindparam("key"),
    or_(COLUMNS.live_nonce >= bindparam("lowest"), COLUMNS.unheard == bindparam("key")),
)


def lock_account(connection: Connection, public_key: bytes) -> int:
    """Holds the account until the commit. Returns the lowest nonce that may be free."""
    lowest: int | None = connection.execute(_LOWEST, {"key": public_key}).scalar()
    if lowest is None:
        insert_ignore(connection, tables.account, [{"public_key": public_key, "lowest_nonce": 0}])
        lowest = connection.execute(_LOWEST, {"key": public_key}).scalar_one()
    return lowest


def free_nonce(connection: Connection, public_key: bytes, chain_says: int) -> int | None:
    """The next nonce of a locked account; None while an extrinsic of it waits for a pool's first answer.

    Only one may wait: should it never arrive, those behind it would hang in the pool.

    Raises:
        ChainBehind: the node knows less of the account than final blocks did.
    """
    nonce, lowest = chain_says, lock_account(connection, public_key)
    if nonce < lowest:
        raise ChainBehind(
            f"The node's next nonce of this account is {nonce}, and nonce {lowest - 1} was in a final block: the node"
            " lags behind, or its chain was started anew and needs a new database here"
        )
    rows = connection.execute(_TAKEN, {"key": public_key, "lowest": nonce}).all()
    if any(row.unheard is not None for row in rows):
        return None
    taken = {row.live_nonce for row in rows}
    while nonce in taken:
        nonce += 1
    return nonce


def newest_final(connection: Connection) -> tuple[int, bytes] | None:
    """Number and hash of the last final block that held an extrinsic of any account."""
    row = connection.execute(_NEWEST).first()
    return None if row is None else (row.block_number, row.block_hash)


def begin_nonces_at(connection: Connection, public_key: bytes, nonce: int) -> None:
    """For an account that the chain removed and made again. What is not final keeps its place."""
    if lock_account(connection, public_key) <= nonce:
        return
    freed = (
        COLUMNS.public_key == public_key,
        COLUMNS.live_nonce >= nonce,
        COLUMNS.state == State.FINAL.value,
    )
    connection.execute(update(tables.extrinsic).where(*freed).values(live_nonce=None))
    account = tables.account.c.public_key == public_key
    connection.execute(update(tables.account).where(account).values(lowest_nonce=nonce))


def insert_signed(connection: Connection, extrinsic: Extrinsic, raw: bytes) -> None:
    connection.execute(
        tables.extrinsic.insert(),
        {
            "hash": extrinsic.hash,
            "job": extrinsic.job,
            "public_key": extrinsic.public_key,
            "nonce": extrinsic.nonce,
            "live_nonce": extrinsic.nonce,
            "unheard": extrinsic.public_key,
            "bytes": raw,
            "call_name": extrinsic.call_name,
            "spec_version": extrinsic.spec_version,
            "first_block": extrinsic.first_block,
            "last_block": extrinsic.last_block,
            "state": extrinsic.state.value,
            "attempts": extrinsic.attempts,
            "created_at_ms": extrinsic.created_at_ms,
        },
    )


def load(connection: Connection, extrinsic_hash: bytes) -> Extrinsic | None:
    row = connection.execute(_BY_HASH, {"which": extrinsic_hash}).first()
    return None if row is None else _extrinsic(row)


def load_many(connection: Connection, hashes: Sequence[bytes]) -> list[Extrinsic]:
    query = select(*_SHOWN).where(COLUMNS.hash.in_(hashes))
    return [_extrinsic(row) for row in connection.execute(query)]


def load_live(connection: Connection) -> list[Extrinsic]:
    """Those whose fate is open, the oldest first."""
    return [_extrinsic(row) for row in connection.execute(_LIVE)]


def load_bytes(connection: Connection, extrinsic_hash: bytes) -> bytes:
    raw: bytes = connection.execute(select(COLUMNS.bytes).where(COLUMNS.hash == extrinsic_hash)).scalar_one()
    return raw


def note_attempt(connection: Connection, extrinsic: Extrinsic) -> bool:
    """Before the bytes are offered again. False: its state has changed."""
    statement = (
        update(tables.extrinsic)
        .where(COLUMNS.hash == extrinsic.hash, COLUMNS.state == extrinsic.state.value)
        .values(attempts=COLUMNS.attempts + 1)
    )
    return connection.execute(statement).rowcount == 1


def move(
    connection: Connection,
    extrinsic: Extrinsic,
    state: State,
    *,
    inclusion: Inclusion | None = None,
    failure: Failure | None = None,
    attempts: int | None = None,
) -> Extrinsic | None:
    """The extrinsic in its new state; None when it was no longer as it was given, and nothing was changed."""
    if state is State.FINAL:
        _raise_lowest(connection, extrinsic)
    why = failure if inclusion is None else inclusion.failure
    values: dict[str, Any] = {
        "state": state.value,
        "unheard": extrinsic.public_key if state is State.SIGNED else None,
        "live_nonce": None if state.is_dead else extrinsic.nonce,
        "block_number": inclusion.number if inclusion else None,
        "block_hash": inclusion.hash if inclusion else None,
        "block_index": inclusion.index if inclusion else None,
        "fee": inclusion.fee if inclusion else None,
        "success": inclusion.success if inclusion else None,
        "failure": None if why is None else msgspec.json.encode(why).decode(),
    }
    where = [COLUMNS.hash == extrinsic.hash, COLUMNS.state == extrinsic.state.value]
    if attempts is not None:
        where.append(COLUMNS.attempts == attempts)
    if connection.execute(update(tables.extrinsic).where(*where).values(values)).rowcount != 1:
        return None
    return replace(extrinsic, state=state, inclusion=inclusion, failure=failure)


def _raise_lowest(connection: Connection, extrinsic: Extrinsic) -> None:
    """Locks the account first, as signing does: so the two never wait for each other."""
    if lock_account(connection, extrinsic.public_key) <= extrinsic.nonce:
        connection.execute(
            update(tables.account)
            .where(tables.account.c.public_key == extrinsic.public_key)
            .values(lowest_nonce=extrinsic.nonce + 1)
        )


def _extrinsic(row: Row[Any]) -> Extrinsic:
    failure = None if row.failure is None else decode_json(row.failure, Failure)
    inclusion = None
    if row.block_hash is not None:
        inclusion = Inclusion(
            number=row.block_number,
            hash=row.block_hash,
            index=row.block_index,
            fee=row.fee,
            success=row.success,
            failure=failure,
        )
    return Extrinsic(
        hash=row.hash,
        job=row.job,
        public_key=row.public_key,
        nonce=row.nonce,
        call_name=row.call_name,
        spec_version=row.spec_version,
        first_block=row.first_block,
        last_block=row.last_block,
        state=State(row.state),
        attempts=row.attempts,
        created_at_ms=row.created_at_ms,
        inclusion=inclusion,
        failure=None if inclusion is not None else failure,
    )
