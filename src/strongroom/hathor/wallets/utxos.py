"""Reads a wallet's outputs by filter or by id, and selects some of them for an amount."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, false, or_, select

from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement, arg, execute, listed, unindexed
from strongroom.hathor import tables
from strongroom.hathor.protocol.transactions import HATHOR_TOKEN

MAX_VALUE = 2**63
"""The most that an output holds."""


class Output(NamedTuple):
    """A row of `tx_output`, and the wallet and key of its address."""

    tx_id: str
    position: int
    token_id: str
    address: str
    value: int
    authorities: int
    timelock: int | None
    heightlock: int | None
    locked: bool
    tx_proposal: str | None
    tx_proposal_index: int | None
    spent_by: str | None
    mode: int
    recovery_state: str | None
    key_index: int | None
    account: int | None
    wallet_id: str | None


_output, _address = tables.tx_output.c, tables.address.c
_COLUMNS = (
    _output.tx_id,
    _output.index,
    _output.token_id,
    _output.address,
    _output.value,
    _output.authorities,
    _output.timelock,
    _output.heightlock,
    _output.locked,
    _output.tx_proposal,
    _output.tx_proposal_index,
    _output.spent_by,
    _output.mode,
    _output.recovery_state,
    _address.index.label("key_index"),
    _address.bip32_account,
    _address.wallet_id,
)
_AT_ADDRESS = _address.address == _output.address
# SQLite would begin with all outputs that nobody spends or holds, and look for the owner of each.
_FROM_ADDRESSES = unindexed(_address.address) == _output.address
_OF_ANYBODY = (
    select(*_COLUMNS)
    .select_from(tables.tx_output.outerjoin(tables.address, _AT_ADDRESS))
    .where(_output.tx_id == arg("tx_id"), _output.index == arg("index"), _output.voided == false())
)
ONE = Statement(_OF_ANYBODY, "tx_id", "index")
ONE_UNSPENT = Statement(_OF_ANYBODY.where(_output.spent_by.is_(None)), "tx_id", "index")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which outputs are wanted. The bounds of the value are exclusive."""

    token_id: str = HATHOR_TOKEN
    authority: int = 0
    """A bit mask; 0: outputs of value."""
    skip_locked: bool = False
    skip_spent: bool = True
    above: int = 0
    below: int = MAX_VALUE + 1
    most: int = 255
    addresses: Sequence[str] = ()
    """Empty: all addresses of the wallet."""


async def read_outputs(database: Database, wallet_id: str, wanted: Filter, now_s: int) -> list[Output]:
    """Reads outputs by `Database.query`, the largest first."""
    return [_load(row) for row in await database.query(*_question(wallet_id, wanted, now_s))]


def find_outputs(connection: Connection, wallet_id: str, wanted: Filter, now_s: int) -> list[Output]:
    """As `read_outputs`, inside a unit of work."""
    return [_load(row) for row in execute(connection, *_question(wallet_id, wanted, now_s))]


async def read_output(database: Database, tx_id: str, index: int, *, skip_spent: bool) -> Output | None:
    """Reads one output that is not voided, of any wallet, also where a proposal holds it."""
    rows = await database.query(ONE_UNSPENT if skip_spent else ONE, tx_id, index)
    return _load(rows[0]) if rows else None


def covering(outputs: Sequence[Output], amount: int) -> list[Output]:
    """Selects few outputs of at least `amount`, from outputs sorted largest first; none where they do not reach it.

    The smallest single output that covers the amount wins; else the largest ones are added up.
    """
    single = [output for output in outputs if output.value >= amount]
    if single:
        return [single[-1]]
    chosen: list[Output] = []
    total = 0
    for output in outputs:
        chosen.append(output)
        total += output.value
        if total >= amount:
            return chosen
    return []


def within(outputs: Sequence[Output], amount: int) -> list[Output]:
    """Selects outputs, the largest first, whose sum stays within `amount`."""
    chosen: list[Output] = []
    total = 0
    for output in outputs:
        if total + output.value <= amount:
            chosen.append(output)
            total += output.value
    return chosen


def is_locked(output: Output, now_s: int) -> bool:
    """Whether the output is locked now. The sync clears the stored lock a moment after its time came."""
    ended = output.timelock is not None and output.timelock < now_s and output.heightlock is None
    return bool(output.locked) and not ended


def _question(wallet_id: str, wanted: Filter, now_s: int) -> tuple[Any, ...]:
    """Returns the statement and its arguments."""
    statement = _filtered(
        is_authority=bool(wanted.authority),
        skip_locked=wanted.skip_locked,
        skip_spent=wanted.skip_spent,
        at_addresses=bool(wanted.addresses),
    )
    arguments: list[Any] = [wanted.addresses] if wanted.addresses else []
    arguments += [wallet_id, wanted.token_id]
    if wanted.authority:
        arguments.append(wanted.authority)
    else:
        arguments += [min(wanted.above, MAX_VALUE), min(wanted.below, MAX_VALUE + 1)]
    if wanted.skip_locked:
        arguments.append(now_s)
    return (statement, *arguments, wanted.most)


@lru_cache
def _filtered(*, is_authority: bool, skip_locked: bool, skip_spent: bool, at_addresses: bool) -> Statement:
    """Returns the statement for one kind of filter. There are sixteen, and each is compiled when it is first used."""
    query = select(*_COLUMNS).join(tables.address, _AT_ADDRESS if at_addresses else _FROM_ADDRESSES)
    names = ["wallet_id", "token_id"]
    if at_addresses:
        query = query.where(listed(_output.address))
    query = query.where(
        _address.wallet_id == arg("wallet_id"),
        _output.token_id == arg("token_id"),
        _output.voided == false(),
        _output.mode == 0,
    )
    if is_authority:
        query = query.where(_output.authorities.bitwise_and(arg("authority")) > 0)
        names.append("authority")
    else:
        query = query.where(
            _output.authorities == 0, _output.value > arg("above"), _output.value < arg("below")
        )
        names += ["above", "below"]
    if skip_locked:
        has_ended = and_(_output.timelock < arg("now_s"), _output.heightlock.is_(None))
        query = query.where(or_(_output.locked == false(), has_ended))
        names.append("now_s")
    if skip_spent:
        query = query.where(_output.spent_by.is_(None), _output.tx_proposal.is_(None))
    largest_first = query.order_by(_output.value.desc(), _output.tx_id, _output.index)
    return Statement(largest_first.limit(arg("most")), *names, "most")


def _load(row: Sequence[Any]) -> Output:
    return Output._make((*row[:4], int(row[4]), *row[5:]))
