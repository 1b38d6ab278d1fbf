"""Rows of the chain while a batch works on them. Each one knows what is stored and what will be."""

from dataclasses import dataclass
from typing import Any, NamedTuple


class OutputState(NamedTuple):
    """What may change in an output after it was made."""

    locked: bool
    spent_by: str | None
    voided: bool


TRANSACTION_COLUMNS = ("tx_id", "timestamp", "version", "voided", "height", "weight", "first_block")
OUTPUT_COLUMNS = (
    "tx_id",
    "index",
    "token_id",
    "address",
    "value",
    "authorities",
    "timelock",
    "heightlock",
    "locked",
    "spent_by",
    "voided",
)


class TransactionRow:
    """A row of `transaction`. `stored` are its values in the database; None for a new one."""

    __slots__ = (
        "first_block",
        "height",
        "removed",
        "stored",
        "timestamp_s",
        "tx_id",
        "version",
        "voided",
        "weight",
    )

    def __init__(
        self,
        tx_id: str,
        timestamp_s: int,
        version: int,
        voided: bool,
        height: int | None,
        weight: float,
        first_block: str | None,
    ) -> None:
        self.tx_id = tx_id
        self.timestamp_s = timestamp_s
        self.version = version
        self.voided = voided
        self.height = height
        self.weight = weight
        self.first_block = first_block
        self.removed = False
        self.stored: tuple[Any, ...] | None = None

    @classmethod
    def load(cls, row: tuple[Any, ...]) -> "TransactionRow":
        tx_id, timestamp_s, version, voided, height, weight, first_block = row
        loaded = cls(tx_id, timestamp_s, version, bool(voided), height, weight, first_block)
        loaded.stored = loaded.values()
        return loaded

    def values(self) -> tuple[Any, ...]:
        return (
            self.tx_id,
            self.timestamp_s,
            self.version,
            self.voided,
            self.height,
            self.weight,
            self.first_block,
        )

    @property
    def was_live(self) -> bool:
        """Whether the transaction counted before the batch: stored and not voided."""
        return self.stored is not None and not self.stored[3]

    @property
    def is_live(self) -> bool:
        return not self.removed and not self.voided


@dataclass(slots=True, eq=False)
class OutputRow:
    """A row of `tx_output`. `stored` is its state in the database; None for a new one.

    `was_spent` stays once the batch has seen a spender, also where that spender is voided later.
    """

    tx_id: str
    index: int
    token_id: str
    address: str
    value: int
    authorities: int
    timelock_s: int | None
    heightlock: int | None
    locked: bool = False
    spent_by: str | None = None
    voided: bool = False
    removed: bool = False
    was_spent: bool = False
    stored: OutputState | None = None

    @classmethod
    def load(cls, row: tuple[Any, ...]) -> "OutputRow":
        tx_id, index, token_id, address, value, authorities, timelock_s, heightlock = row[:8]
        loaded = cls(tx_id, index, token_id, address, int(value), authorities or 0, timelock_s, heightlock)
        loaded.locked, loaded.spent_by, loaded.voided = bool(row[8]), row[9], bool(row[10])
        loaded.stored = OutputState(loaded.locked, loaded.spent_by, loaded.voided)
        return loaded

    def values(self) -> tuple[Any, ...]:
        return (
            self.tx_id,
            self.index,
            self.token_id,
            self.address,
            self.value,
            self.authorities,
            self.timelock_s,
            self.heightlock,
            self.locked,
            self.spent_by,
            self.voided,
        )

    @property
    def state(self) -> OutputState | None:
        return None if self.removed else OutputState(self.locked, self.spent_by, self.voided)

    def spend(self, tx_id: str) -> None:
        self.spent_by = tx_id
        self.was_spent = True

    def set_lock(self, heights: "Heights", now_s: int) -> None:
        """Sets the lock: an unspent output is locked until its time is past and its height has come.

        One case differs. Where no block ever reached the height and a transaction spends the output all the same, the
        node's rule is another one than ours. The output then stays unlocked, also when that spender is voided.
        """
        due_later = self.heightlock is not None and self.heightlock > heights.best
        if due_later and self.heightlock is not None and self.heightlock > heights.highest:
            due_later = not (self.was_spent or (self.stored is not None and not self.stored.locked))
        self.locked = self.spent_by is None and (
            due_later or (self.timelock_s is not None and self.timelock_s >= now_s)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heights:
    """The best block's height now, and the highest ever; -1 without blocks."""

    best: int
    highest: int


class TokenRow:
    """A token and the transaction that created it. The name of a stored one is not read."""

    __slots__ = ("first_block", "name", "symbol", "token_id", "tx_id", "version")

    def __init__(
        self,
        token_id: str,
        tx_id: str,
        first_block: str | None,
        name: str = "",
        symbol: str = "",
        version: int = 1,
    ) -> None:
        self.token_id = token_id
        self.tx_id = tx_id
        self.first_block = first_block
        self.name = name
        self.symbol = symbol
        self.version = version
