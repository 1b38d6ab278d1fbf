"""Spans of requests and of payments' steps, for who collects traces; without a collector nothing is done.

A span belongs to the trace that the request's id names, so that what different processes do for one request is one trace: the id
itself where it is the id of a trace, else a digest of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

TRACE_DIGITS = 32
HEX = frozenset("0123456789abcdef")
Attributes = Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """Where a span belongs. `parent_id`: the span that it is part of; None: it begins the trace, or is beside what does."""

    request_id: str
    parent_id: int | None = None
    serves: bool = False
    """It answers a request."""

    @property
    def trace_id(self) -> int:
        text = self.request_id
        if len(text) == TRACE_DIGITS and HEX.issuperset(text) and int(text, 16):
            return int(text, 16)
        return int.from_bytes(sha256(text.encode()).digest()[:16])


class OpenSpan(Protocol):
    """A span that has begun."""

    @property
    def id(self) -> int: ...

    def end(
        self, name: str, attributes: Attributes, *, at_ms: int | None = None, failed: bool = False
    ) -> None:
        """`at_ms`: now, if None."""


class Traces(Protocol):
    """Where spans go."""

    def begin(self, name: str, within: TraceContext, *, at_ms: int | None = None) -> OpenSpan:
        """`at_ms`: now, if None."""

    def close(self) -> None:
        """Sends what is not sent yet."""


_active: Traces | None = None


def collect(traces: Traces | None) -> None:
    """From now on this process's spans go there; None: nowhere."""
    global _active  # noqa: PLW0603 - of the process, as its log is
    _active = traces


def active() -> Traces | None:
    return _active
