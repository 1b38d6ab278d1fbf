"""Opens each kind of stream: with its first items and the later ones.

Every function opens a stream, subscribes it and fills it from the ledger in one step, without waiting in between.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from strongroom.atto.protocol import AccountState, Receivable
from strongroom_sandbox.atto.chain.chain import Chain
from strongroom_sandbox.atto.streaming.hub import Hub
from strongroom_sandbox.atto.streaming.streams import EVERYTHING, Stream, Topic

T = TypeVar("T")
Encode = Callable[[T], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeightRange:
    """Heights of one account, both included."""

    public_key: bytes
    from_height: int
    to_height: int


def everything(hub: Hub, topic: Topic[T], encode: Encode[T]) -> Stream:
    """Every item from now on, without end."""
    stream = hub.streams.open()
    unsubscribe = topic.subscribe([EVERYTHING], lambda item: stream.push(encode(item)))
    hub.streams.attach(stream, unsubscribe)
    return stream


def one(hub: Hub, topic: Topic[T], encode: Encode[T], block_hash: bytes, found: T | None) -> Stream:
    """The item of one block, when it comes, and the end."""
    stream = hub.streams.open()

    def deliver(item: T) -> None:
        stream.push(encode(item))
        stream.end()

    if found is None:
        hub.streams.attach(stream, topic.subscribe([block_hash], deliver))
    else:
        deliver(found)
    return stream


def accounts(hub: Hub, chain: Chain, encode: Encode[AccountState], public_keys: Iterable[bytes]) -> Stream:
    """The present state of each open account and every later one, without end."""
    stream = hub.streams.open()
    wanted = dict.fromkeys(public_keys)
    unsubscribe = hub.accounts.subscribe(wanted, lambda state: stream.push(encode(state)))
    hub.streams.attach(stream, unsubscribe)
    for state in chain.accounts(wanted):
        stream.push(encode(state))
    return stream


def receivables(
    hub: Hub, chain: Chain, encode: Encode[Receivable], public_keys: Iterable[bytes], min_amount_raw: int
) -> Stream:
    """The receivables of these accounts and every later one, without end."""
    stream = hub.streams.open()
    wanted = dict.fromkeys(public_keys)

    def deliver(receivable: Receivable) -> None:
        if receivable.amount >= min_amount_raw:
            stream.push(encode(receivable))

    hub.streams.attach(stream, hub.receivables.subscribe(wanted, deliver))
    for receivable in chain.receivables(wanted, min_amount_raw):
        if not hub.is_delayed(receivable):
            stream.push(encode(receivable))
    return stream


@dataclass(frozen=True, slots=True, kw_only=True)
class HeightSource(Generic[T]):
    """Items that are numbered by account, and how to read them."""

    topic: Topic[T]
    rows: Callable[[bytes, int, int], list[T]]
    """What the ledger has of an account, from a height to a height."""
    slot_of: Callable[[T], tuple[bytes, int]]
    """Account and height of an item."""
    encode: Encode[T]


def heights(hub: Hub, source: HeightSource[T], ranges: list[HeightRange]) -> Stream:
    """The items of each range in ascending order without a gap; the end when all ranges are complete."""
    stream = hub.streams.open()
    of_account: defaultdict[bytes, list[HeightRange]] = defaultdict(list)
    for wanted in ranges:
        of_account[wanted.public_key].append(wanted)
    incomplete = len(ranges)

    def deliver(item: T, height: int, wanted: HeightRange) -> None:
        nonlocal incomplete
        if wanted.from_height <= height <= wanted.to_height:
            stream.push(source.encode(item))
            incomplete -= height == wanted.to_height
            if not incomplete:
                stream.end()

    def deliver_live(item: T) -> None:
        public_key, height = source.slot_of(item)
        for wanted in of_account[public_key]:
            deliver(item, height, wanted)

    hub.streams.attach(stream, source.topic.subscribe(of_account, deliver_live))
    for wanted in ranges:
        for item in source.rows(wanted.public_key, wanted.from_height, wanted.to_height):
            deliver(item, source.slot_of(item)[1], wanted)
    if not ranges:
        stream.end()
    return stream
