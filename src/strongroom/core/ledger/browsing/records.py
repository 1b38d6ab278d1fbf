"""Wallets of any ledger as people read them. What only one ledger knows of a wallet is a named fact."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Keys(enum.StrEnum):
    """What this service can do with the keys of a wallet."""

    HELD = "held"
    """It keeps them sealed, and signs."""
    LOCKED = "locked"
    """It keeps them under a key that only the wallet's owner has, and signs nothing until the owner gives it."""
    WATCHED = "watched"
    """It keeps addresses or public keys alone; the owner signs."""


class Fact(NamedTuple):
    """What only this ledger says of a thing, for people."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How much there is of one asset. All amounts are whole numbers of the smallest unit."""

    asset: str = ""
    """Empty: the ledger's own coin."""
    unit: str
    """What people call the asset. Anybody may have chosen the name of a token."""
    decimals: int
    """One unit is 10 to the power of so many of the smallest one."""
    available_raw: int
    locked_raw: int = 0
    """What belongs to the wallet, and cannot be spent yet."""
    locked_until_ms: int | None = None
    """When the first part of it can be spent; None: nothing says when."""
    incoming_raw: int | None = None
    """What was sent to it, and not taken yet; None: it is not told here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletRecord:
    id: str
    """As rules, freezes and payments name it."""
    title: str | None = None
    """What people call it, where that is another name."""
    keys: Keys
    parts: int
    """How many accounts, addresses or keys it has; see `has_more_parts`."""
    has_more_parts: bool = False
    """Whether it has more than were counted, because a page reads so many rows of each wallet and no more."""
    created_at_ms: int | None
    """None: it is not recorded."""
    holdings: Sequence[Holding] | None
    """None: this database does not know, or the page would have to read too much to say."""
    has_more_holdings: bool = False
    """Whether it holds further assets."""
    facts: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """An account, an address or a key of a wallet."""

    id: str
    """Its address; of a key that does not tell its address, its name."""
    kind: str
    """In the ledger's word."""
    index: int | None = None
    label: str | None = None
    holdings: Sequence[Holding] | None
    """As of a wallet."""
    has_more_holdings: bool = False
    waits_for: str | None = None
    """What must happen before it can go on; None: nothing."""
    facts: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One line of a wallet's history."""

    at_ms: int
    kind: str
    """In the ledger's word."""
    amount_raw: int | None
    """What it changed in the wallet: less than zero where it took away. None: nothing says how much."""
    asset: str = ""
    unit: str
    decimals: int
    part: str | None = None
    """The account or address of the wallet."""
    counterparty: str | None = None
    """Who paid, or got it."""
    id: str
    """As the network's people write it."""
    state: str
    """In the ledger's word."""
    facts: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    items: Sequence[T]
    after: str | None
    """Where the next page begins, in the ledger's form; None: nothing follows. A page may be short and not the last one."""
