"""Health and metrics of the endpoints. It only reads, so every process runs it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.runtime.readings import Sample, Value
from strongroom.core.runtime.telemetry import ComponentHealth, Metrics, Status
from strongroom.core.storage.database import Database
from strongroom.core.webhooks.endpoint import Endpoint, EndpointState
from strongroom.core.webhooks.queue import QueueState, queue_states
from strongroom.core.webhooks.store import load_endpoints

LOOK_S: Final = 10.0
WORRYING_MS: Final = 60_000
"""An endpoint that has not taken an event for so long is shown."""


READINGS: Final = {
    "waiting": "Events that wait for an endpoint of webhooks, by its id.",
    "oldest_age_seconds": "How long the oldest of these has waited.",
    "failing_seconds": "How long the endpoint has failed to take an event; 0: it takes them.",
    "dead": "Events that an endpoint did not take for a day.",
    "disabled": "1 while the endpoint is disabled.",
}


class WebhookWatch:
    """The endpoints' metrics have their ids as labels: names and URLs may say more than the metrics' readers should know."""

    def __init__(
        self,
        ledger: str,
        database: Database,
        *,
        clock: Clock,
        metrics: Metrics,
        troubles: Callable[[], Mapping[str, str]],
    ) -> None:
        """`troubles`: by the names of endpoints to which this process can send nothing, why."""
        self._ledger = ledger
        self._database = database
        self._clock = clock
        self._troubles = troubles
        self._readings = {
            name: metrics.reading(f"strongroom_webhook_{name}", text, ("ledger", "endpoint"))
            for name, text in READINGS.items()
        }
        self._endpoints: list[Endpoint] = []
        self._states: dict[str, QueueState] = {}

    async def look(self) -> list[Sample]:
        self._endpoints, self._states = await self._database.read(_all)
        return [sample for one in self._endpoints for sample in self._samples(one)]

    def _samples(self, endpoint: Endpoint) -> Iterator[Sample]:
        state, labels = self._states.get(endpoint.id, QueueState()), (self._ledger, endpoint.id)
        values: dict[str, Value] = {
            "waiting": state.waiting,
            "oldest_age_seconds": self._age_s(state.oldest_ms),
            "failing_seconds": self._age_s(state.failing_since_ms),
            "dead": state.dead,
            "disabled": float(endpoint.state is EndpointState.DISABLED),
        }
        for name, value in values.items():
            yield Sample(self._readings[name], labels, value)

    def _age_s(self, since_ms: int | None) -> Callable[[], float]:
        return lambda: self._age_ms(since_ms) / 1000

    def check(self) -> ComponentHealth:
        """DEGRADED while an endpoint takes nothing; a receiver that is deaf never makes the service DOWN."""
        troubles = self._troubles()
        worries = [
            worry
            for one in self._endpoints
            if (worry := self._worry(one, troubles.get(one.name))) is not None
        ]
        status = Status.DEGRADED if worries else Status.UP
        return ComponentHealth(status=status, detail="; ".join(worries) or None)

    def _worry(self, endpoint: Endpoint, trouble: str | None) -> str | None:
        state = self._states.get(endpoint.id, QueueState())
        if endpoint.state is EndpointState.DISABLED:
            return None if endpoint.reason is None else f"{endpoint.name} is disabled: {endpoint.reason}"
        if trouble is not None:
            return f"{endpoint.name} gets nothing: {trouble}"
        failing_ms = self._age_ms(state.failing_since_ms)
        if failing_ms <= WORRYING_MS:
            return None
        waits = f"{state.waiting} events wait, it fails for {failing_ms / 1000:.0f} s"
        return f"{endpoint.name}: {waits} ({state.trouble})"

    def _age_ms(self, since_ms: int | None) -> int:
        return 0 if since_ms is None else max(0, self._clock.now_ms() - since_ms)


def _all(connection: Connection) -> tuple[list[Endpoint], dict[str, QueueState]]:
    endpoints = load_endpoints(connection)
    return endpoints, queue_states(connection, [one.id for one in endpoints])
