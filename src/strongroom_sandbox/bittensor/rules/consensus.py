"""Yuma consensus, as far as a metagraph shows it: ranks, trust, incentive and dividends of one epoch.

Simplified: bonds have no memory (no moving average), and no emission is paid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_ONE: Final = 1 << 32
_U16: Final = 65_535

Row = Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One value for each uid, from 0 to 65535."""

    stake: list[int]
    permits: list[bool]
    rank: list[int]
    trust: list[int]
    validator_trust: list[int]
    consensus: list[int]
    dividends: list[int]
    pruning: list[int]


def permits(stakes: Sequence[int], most: int) -> list[bool]:
    """Returns who may set weights: the `most` greatest stakes above zero; among equal ones the later uids."""
    ranked = sorted(range(len(stakes)), key=lambda uid: stakes[uid])
    chosen = set(ranked[max(0, len(ranked) - most) :])
    return [uid in chosen and stake > 0 for uid, stake in enumerate(stakes)]


def epoch(
    stakes: Sequence[int], voters: Sequence[bool], rows: Sequence[Row], *, kappa: int, most_permits: int
) -> Outcome:
    """Computes an epoch over `stakes` (rao). `voters` are active and have a permit; `rows` are their weights by uid, without their own."""
    count = len(stakes)
    stake = _normal(stakes)
    power = _normal([own if voter else 0 for own, voter in zip(stakes, voters, strict=True)])
    votes = [_normal([row.get(uid, 0) for uid in range(count)]) if own else [0] * count
             for row, own in zip(rows, power, strict=True)]  # fmt: skip
    agreed = [_median([vote[uid] for vote in votes], power, kappa) for uid in range(count)]
    clipped = [[min(value, limit) for value, limit in zip(vote, agreed, strict=True)] for vote in votes]
    before, after = _weighed(votes, power, count), _weighed(clipped, power, count)
    incentive = _normal(after)
    dividends = _normal(_returns(clipped, power, incentive))
    combined = _normal([left + right for left, right in zip(incentive, dividends, strict=True)])
    if not any(combined):
        combined = power if any(power) else stake
    peak = max(combined, default=0)
    return Outcome(
        stake=_u16(stake),
        permits=permits(stakes, most_permits),
        rank=_u16(incentive),
        trust=_u16([new * _ONE // old if old else 0 for new, old in zip(after, before, strict=True)]),
        validator_trust=_u16([sum(vote) for vote in clipped]),
        consensus=_u16(agreed),
        dividends=_u16(dividends),
        pruning=[(value * _U16 * 2 // peak + 1) // 2 if peak else 0 for value in combined],
    )


def _normal(values: Sequence[int]) -> list[int]:
    total = sum(values)
    return [value * _ONE // total if total else 0 for value in values]


def _median(values: Sequence[int], power: Sequence[int], kappa: int) -> int:
    """Returns the greatest value that more than `kappa` (of 65535) of the stake supports."""
    for candidate in sorted(set(values), reverse=True):
        backing = sum(own for value, own in zip(values, power, strict=True) if value >= candidate)
        if backing * _U16 > kappa * _ONE:
            return candidate
    return 0


def _weighed(votes: Sequence[Sequence[int]], power: Sequence[int], count: int) -> list[int]:
    return [
        sum(vote[uid] * own for vote, own in zip(votes, power, strict=True)) // _ONE for uid in range(count)
    ]


def _returns(votes: Sequence[Sequence[int]], power: Sequence[int], incentive: Sequence[int]) -> list[int]:
    columns = [
        _normal([vote[uid] * own for vote, own in zip(votes, power, strict=True)])
        for uid in range(len(incentive))
    ]
    return [sum(column[uid] * share for column, share in zip(columns, incentive, strict=True)) // _ONE
            for uid in range(len(power))]  # fmt: skip


def _u16(values: Sequence[int]) -> list[int]:
    return [min(value * _U16 // _ONE, _U16) for value in values]
