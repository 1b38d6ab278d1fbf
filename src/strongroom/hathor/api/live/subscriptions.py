"""Who wants to hear of which wallet, among the connections of this process."""

from typing import Protocol

from strongroom.core.runtime.telemetry import Metrics

MAX_UNREAD = 256 * 1024
"""Bytes that wait for one connection before it counts as too slow."""
SLOW = 1013
SLOW_REASON = "reads too slowly"


class Connection(Protocol):
    """A socket that takes what it is told without waiting."""

    @property
    def is_open(self) -> bool: ...
    @property
    def unread_bytes(self) -> int: ...
    def put(self, frame: bytes) -> None: ...
    def end(self, code: int, reason: str) -> None: ...


class SocketMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self.connections = metrics.gauge("strongroom_hathor_ws_connections", "Open connections.")
        self.subscriptions = metrics.gauge(
            "strongroom_hathor_ws_subscriptions", "Wallets joined, over all connections."
        )
        self.delivered = metrics.counter("strongroom_hathor_ws_delivered", "Messages handed to connections.")
        self.dropped = metrics.counter(
            "strongroom_hathor_ws_dropped",
            "Messages not delivered because their connection was too slow, or over.",
        )
        self.refused = metrics.counter(
            "strongroom_hathor_ws_refused", "Requests that were refused, by reason.", ("reason",)
        )
        self.slow = metrics.counter(
            "strongroom_hathor_ws_slow_connections", "Connections closed because they read too slowly."
        )
        self.delay = metrics.histogram(
            "strongroom_hathor_ws_delay_seconds", "From the writing of a message to its delivery."
        )


class Subscriptions:
    """Wallets and their connections. Its keys are the wallets that somebody wants to hear of."""

    def __init__(self, metrics: SocketMetrics) -> None:
        self._by_wallet: dict[str, dict[Connection, None]] = {}
        self._metrics = metrics

    def __contains__(self, wallet_id: object) -> bool:
        return wallet_id in self._by_wallet

    def add(self, wallet_id: str, connection: Connection) -> None:
        joined = self._by_wallet.setdefault(wallet_id, {})
        if connection not in joined:
            joined[connection] = None
            self._metrics.subscriptions.inc()

    def remove(self, wallet_id: str, connection: Connection) -> None:
        joined = self._by_wallet.get(wallet_id, {})
        if connection in joined:
            del joined[connection]
            self._metrics.subscriptions.dec()
        if not joined:
            self._by_wallet.pop(wallet_id, None)

    def of(self, wallet_id: str) -> list[Connection]:
        return list(self._by_wallet.get(wallet_id, ()))

    def tell(self, connection: Connection, frame: bytes) -> None:
        """Hands a frame on. A connection that is too far behind is closed instead, and delays nobody."""
        if not connection.is_open:
            self._metrics.dropped.inc()
        elif connection.unread_bytes > MAX_UNREAD:
            self._metrics.dropped.inc()
            self._metrics.slow.inc()
            connection.end(SLOW, SLOW_REASON)
        else:
            connection.put(frame)
            self._metrics.delivered.inc()
