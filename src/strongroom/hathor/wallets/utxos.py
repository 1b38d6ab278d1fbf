"""A wallet's outputs: by filter, by id, and selected for an amount."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from strongroom.core.storage.database import Database, ascii_key
from strongroom.core.storage.statements import execute

MAX_VALUE = 2**63
"""No output has more."""


class Output(NamedTuple):
    """A row of `tx_output`, and whose address it is."""

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


SELECT = (
    "SELECT o.tx_id, o.`index`, o.token_id, o.address, o.value, o.authorities, o.timelock, o.heightlock, o.locked,"
    " o.tx_proposal, o.tx_proposal_index, o.spent_by, o.mode, o.recovery_state, a.`index` AS key_index,"
    " a.bip32_account, a.wallet_id FROM tx_output o {join} JOIN address a ON a.address = o.address WHERE "
)
OF_WALLET = SELECT.replace("{join}", "")
WHOEVER = SELECT.replace("{join}", "LEFT")
UNSPENT = " AND o.spent_by IS NULL AND o.tx_proposal IS NULL"
UNLOCKED = " AND (o.locked = 0 OR (o.timelock < {} AND o.heightlock IS NULL))"
LARGEST_FIRST = " ORDER BY o.value DESC, o.tx_id, o.`index` LIMIT {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which outputs. Bounds of the value are exclusive."""

    token_id: str = "00"  # noqa: S105 - the native token's id
    authority: int = 0
    """A bit mask; 0: outputs of value."""
    skip_locked: bool = False
    skip_spent: bool = True
    above: int = 0
    below: int = MAX_VALUE + 1
    most: int = 255
    addresses: Sequence[str] = ()
    """None: every one of the wallet's."""


async def read_outputs(database: Database, wallet_id: str, wanted: Filter, now_s: int) -> list[Output]:
    """The largest first. By the quick way, for what only reads."""
    sql, parameters = _question(wallet_id, wanted, now_s, is_sqlite=database.is_sqlite)
    return [_load(row) for row in await database.query(sql, *parameters)]


def find_outputs(connection: Connection, wallet_id: str, wanted: Filter, now_s: int) -> list[Output]:
    """The same inside a unit of work."""
    sql, parameters = _question(wallet_id, wanted, now_s, is_sqlite=connection.dialect.name == "sqlite")
    return [_load(row) for row in execute(connection, sql, *parameters)]


async def read_output(database: Database, tx_id: str, index: int, *, skip_spent: bool) -> Output | None:
    """Reads one output that is not voided, of any wallet (`wallet_id` of the row), locked by a proposal or not."""
    sql = (
        WHOEVER
        + "o.tx_id = {} AND o.`index` = {} AND o.voided = 0"
        + (" AND o.spent_by IS NULL" if skip_spent else "")
    )
    rows = await database.query(sql, ascii_key(tx_id), index)
    return _load(rows[0]) if rows else None


def covering(outputs: Sequence[Output], amount: int) -> list[Output]:
    """A small selection of at least `amount`, from outputs sorted largest first; none if they do not reach it.

    The smallest single output that covers it wins; else the largest ones are added up.
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
    """Outputs, largest first, as long as their sum stays within `amount`."""
    chosen: list[Output] = []
    total = 0
    for output in outputs:
        if total + output.value <= amount:
            chosen.append(output)
            total += output.value
    return chosen


def is_locked(output: Output, now_s: int) -> bool:
    """As of now: the sync clears the stored lock a moment after its time came."""
    ended = output.timelock is not None and output.timelock < now_s and output.heightlock is None
    return bool(output.locked) and not ended


def _question(wallet_id: str, wanted: Filter, now_s: int, *, is_sqlite: bool) -> tuple[str, list[Any]]:
    sql = OF_WALLET + "a.wallet_id = {} AND o.token_id = {} AND o.voided = 0 AND o.mode = 0"
    parameters: list[Any] = [wallet_id, ascii_key(wanted.token_id)]
    if wanted.authority:
        sql += " AND o.authorities & {} > 0"
        parameters.append(wanted.authority)
    else:
        sql += " AND o.authorities = 0 AND o.value > {} AND o.value < {}"
        bounds = min(wanted.above, MAX_VALUE), min(wanted.below, MAX_VALUE + 1)
        # SQLite compares texts of 20 digits: see UnsignedBig.
        parameters += [f"{bound:020d}" if is_sqlite else bound for bound in bounds]
    if wanted.skip_locked:
        sql += UNLOCKED
        parameters.append(now_s)
    if wanted.skip_spent:
        sql += UNSPENT
    if wanted.addresses:
        sql += f" AND o.address IN ({','.join(['{}'] * len(wanted.addresses))})"
        parameters += wanted.addresses
    return sql + LARGEST_FIRST, [*parameters, wanted.most]


def _load(row: Sequence[Any]) -> Output:
    return Output._make((*row[:4], int(row[4]), *row[5:]))
