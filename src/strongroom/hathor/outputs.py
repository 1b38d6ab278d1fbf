"""A wallet's outputs: by filter, by id, and selected for an amount."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, or_, select

from strongroom.hathor.tables import address, tx_output

LARGEST = 2**63
"""No output has more."""

_COLUMNS = (tx_output, address.c.index.label("key_index"), address.c.bip32_account, address.c.wallet_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which outputs. Bounds of the value are exclusive."""

    token_id: str = "00"  # noqa: S105 - the native token's id
    authority: int = 0
    """A bit mask; 0: outputs of value."""
    skip_locked: bool = False
    skip_spent: bool = True
    above: int = 0
    below: int = LARGEST + 1
    most: int = 255
    addresses: Sequence[str] = ()
    """None: every one of the wallet's."""


def find_outputs(connection: Connection, wallet_id: str, wanted: Filter, now_s: int) -> Sequence[Row[Any]]:
    """The largest first."""
    conditions: list[ColumnElement[bool]] = [
        address.c.wallet_id == wallet_id,
        tx_output.c.token_id == wanted.token_id,
        tx_output.c.voided.is_(False),
        tx_output.c.mode == 0,
    ]
    if wanted.authority:
        conditions.append(tx_output.c.authorities.op("&")(wanted.authority) > 0)
    else:
        conditions.append(tx_output.c.authorities == 0)
        conditions.append(tx_output.c.value > min(wanted.above, LARGEST))
        conditions.append(tx_output.c.value < min(wanted.below, LARGEST + 1))
    if wanted.skip_locked:
        conditions.append(or_(tx_output.c.locked.is_(False), _time_has_come(now_s)))
    if wanted.skip_spent:
        conditions += [tx_output.c.spent_by.is_(None), tx_output.c.tx_proposal.is_(None)]
    if wanted.addresses:
        conditions.append(tx_output.c.address.in_(wanted.addresses))
    order = (tx_output.c.value.desc(), tx_output.c.tx_id, tx_output.c.index)
    return connection.execute(_joined().where(*conditions).order_by(*order).limit(wanted.most)).all()


def find_output(connection: Connection, tx_id: str, index: int, *, skip_spent: bool) -> Row[Any] | None:
    """One output that is not voided, whoever owns it (`wallet_id` of the row)."""
    query = _joined(outer=True).where(
        tx_output.c.tx_id == tx_id, tx_output.c.index == index, tx_output.c.voided.is_(False)
    )
    if skip_spent:
        query = query.where(tx_output.c.spent_by.is_(None), tx_output.c.tx_proposal.is_(None))
    return connection.execute(query).first()


def covering(outputs: Sequence[Row[Any]], amount: int) -> list[Row[Any]]:
    """A small selection of at least `amount`, from outputs sorted largest first; none if they do not reach it.

    The smallest single output that covers it wins; else the largest ones are added up.
    """
    single = [output for output in outputs if output.value >= amount]
    if single:
        return [single[-1]]
    chosen: list[Row[Any]] = []
    total = 0
    for output in outputs:
        chosen.append(output)
        total += output.value
        if total >= amount:
            return chosen
    return []


def within(outputs: Sequence[Row[Any]], amount: int) -> list[Row[Any]]:
    """Outputs, largest first, as long as their sum stays within `amount`."""
    chosen: list[Row[Any]] = []
    total = 0
    for output in outputs:
        if total + output.value <= amount:
            chosen.append(output)
            total += output.value
    return chosen


def is_locked(output: Row[Any], now_s: int) -> bool:
    """As of now: the sync clears the stored lock a moment after its time came."""
    ended = output.timelock is not None and output.timelock <= now_s and output.heightlock is None
    return bool(output.locked) and not ended


def _time_has_come(now_s: int) -> ColumnElement[bool]:
    return and_(tx_output.c.timelock <= now_s, tx_output.c.heightlock.is_(None))


def _joined(*, outer: bool = False) -> Select[Any]:
    join = tx_output.join(address, address.c.address == tx_output.c.address, isouter=outer)
    return select(*_COLUMNS).select_from(join)
