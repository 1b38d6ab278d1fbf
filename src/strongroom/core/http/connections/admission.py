"""Limits the number of connections, of one peer and in total; also counts and logs refusals."""

import enum
from collections import Counter
from collections.abc import Callable
from functools import partial

import structlog
from prometheus_client import Counter as Metric
from prometheus_client import Gauge

from strongroom.core.clock import Clock, SystemClock
from strongroom.core.http.connections.limits import NOBODY, ConnectionLimits
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.runtime.telemetry import Metrics

log = structlog.get_logger(__name__)

LOG_EVERY_S = 60.0
MAX_LINGERING = 256


class Reason(enum.StrEnum):
    """Why a connection or a request was refused before the application saw it; also the label in the metric."""

    CONNECTIONS = "connections"
    PEER_CONNECTIONS = "peer_connections"
    MALFORMED = "malformed"
    LINE_TOO_LONG = "line_too_long"
    HEAD_TOO_LARGE = "head_too_large"
    HEAD_TIMEOUT = "head_timeout"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TIMEOUT = "body_timeout"
    FRAMING = "framing"
    UNREAD = "unread"
    MESSAGES = "messages"
    TLS = "tls"


class Admission:
    """The place of one open connection in the counts. `end` gives it back; a second call does nothing."""

    __slots__ = ("_leave",)

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave

    def end(self) -> None:
        if self._leave is not None:
            self._leave()
            self._leave = None


class Gate:
    """Counts the connections of the surfaces that share it."""

    def __init__(
        self,
        limits: ConnectionLimits | None = None,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.limits = limits or ConnectionLimits()
        self._clock = clock or SystemClock()
        self._of_peer: Counter[tuple[str, str]] = Counter()
        self._open = 0
        self.is_draining = False
        """Each connection ends with its next answer, so that no request meets one that is being closed."""
        self._lingering = 0
        self._logged_s: dict[tuple[str, Reason], float] = {}
        self._gauge: Gauge | None = None
        self._refused: Metric | None = None
        if metrics is not None:
            self._gauge, self._refused = metrics.connections, metrics.connections_refused

    def enter(self, peer: str, proxies: TrustedProxies = NOBODY, surface: str = "") -> Admission | Reason:
        """A place for a connection from `peer`, or the reason for a refusal. Peers in `proxies` have no limit of their own.

        Each surface counts its peers separately, so that many WebSockets on one surface do not block a peer on another.
        """
        if self._open >= self.limits.max_connections:
            return Reason.CONNECTIONS
        client = self.limits.proxies.client_beside(peer) and proxies.client_beside(peer)
        key = None if client is None else (surface, client)
        if key is not None and self._of_peer.get(key, 0) >= self.limits.max_per_peer:
            return Reason.PEER_CONNECTIONS
        if key is not None:
            self._of_peer[key] += 1
        self._changed(1)
        return Admission(partial(self._left, key))

    def linger(self) -> Admission | None:
        """A place for a refused connection that waits until its peer has read the refusal; None if there are too many."""
        if self._lingering >= MAX_LINGERING:
            return None
        self._lingering += 1
        return Admission(self._lingered)

    def _lingered(self) -> None:
        self._lingering -= 1

    def _left(self, key: tuple[str, str] | None) -> None:
        if key is not None:
            self._of_peer[key] -= 1
            if not self._of_peer[key]:
                del self._of_peer[key]
        self._changed(-1)

    def note(self, surface: str, reason: Reason, peer: str) -> None:
        """Counts a refusal. Each reason is logged at most once a minute, so that a flood does not fill the log."""
        if self._refused is not None:
            self._refused.labels(surface, reason).inc()
        now_s = self._clock.monotonic_s()
        logged_s = self._logged_s.get((surface, reason))
        if logged_s is None or now_s - logged_s >= LOG_EVERY_S:
            self._logged_s[surface, reason] = now_s
            log.warning("a connection is refused", surface=surface, reason=reason.value, peer=peer)

    def _changed(self, by: int) -> None:
        self._open += by
        if self._gauge is not None:
            self._gauge.inc(by)
