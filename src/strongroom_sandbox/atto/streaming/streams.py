"""Open streams, and which items each of them gets.

Publishing is synchronous: what the ledger confirms is in every stream's queue before anything else happens. So a
stream that subscribes and reads the ledger in one step has neither a gap nor a repetition between the two.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
Listener = Callable[[T], None]

EVERYTHING = b""
"""The key of listeners that want every item."""


class StreamCut(ConnectionError):
    """The stream ends as if the network had failed."""


class Topic(Generic[T]):
    """Items of one kind, each under some keys: its account, its hash, and `EVERYTHING`."""

    def __init__(self) -> None:
        self._listeners: defaultdict[bytes, set[Listener[T]]] = defaultdict(set)

    def publish(self, item: T, *keys: bytes) -> None:
        for key in (*keys, EVERYTHING):
            for listener in tuple(self._listeners.get(key, ())):
                listener(item)

    def subscribe(self, keys: Iterable[bytes], listener: Listener[T]) -> Callable[[], None]:
        """Calls `listener` for items under any of `keys` until the returned function is called."""
        wanted = set(keys)
        for key in wanted:
            self._listeners[key].add(listener)

        def unsubscribe() -> None:
            for key in wanted:
                listeners = self._listeners[key]
                listeners.discard(listener)
                if not listeners:
                    del self._listeners[key]

        return unsubscribe


class Stream:
    """Lines on their way to one client."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._cut = False

    def push(self, line: bytes) -> None:
        if not self._ended:
            self._lines.append(line)
            self._changed.set()

    def end(self) -> None:
        """Ends the stream after what was pushed so far."""
        self._ended = True
        self._changed.set()

    def cut(self) -> None:
        """Ends the stream at once; what was pushed and not delivered is lost."""
        self._cut = True
        self._changed.set()

    async def next_chunk(self) -> bytes:
        """All lines that are ready, at least one; empty at the end.

        Raises:
            StreamCut: by `cut`.
        """
        while not self._lines and not self._ended and not self._cut:
            self._changed.clear()
            await self._changed.wait()
        if self._cut:
            raise StreamCut
        chunk = b"".join(self._lines)
        self._lines.clear()
        return chunk


class OpenStreams:
    """All streams of a server, so that they can be ended or cut together."""

    def __init__(self) -> None:
        self._closers: dict[Stream, list[Callable[[], None]]] = {}

    def __len__(self) -> int:
        return len(self._closers)

    def open(self) -> Stream:
        stream = Stream()
        self._closers[stream] = []
        return stream

    def attach(self, stream: Stream, unsubscribe: Callable[[], None]) -> None:
        """Calls `unsubscribe` when the stream is closed."""
        self._closers[stream].append(unsubscribe)

    def close(self, stream: Stream) -> None:
        """Forgets the stream; its client is gone or has everything."""
        for unsubscribe in self._closers.pop(stream, ()):
            unsubscribe()

    def end_all(self) -> None:
        for stream in self._closers:
            stream.end()

    def cut_all(self) -> None:
        for stream in self._closers:
            stream.cut()
