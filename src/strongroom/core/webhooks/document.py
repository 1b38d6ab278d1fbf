"""Endpoints and events as programs read them. The URL is shown in part, and the secrets never."""

from typing import Any

from strongroom.core.clock import iso_instant
from strongroom.core.webhooks.administration import EndpointStatus
from strongroom.core.webhooks.queue import QueuedEvent


def as_document(one: EndpointStatus) -> dict[str, Any]:
    endpoint, queue = one.endpoint, one.queue
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "url": endpoint.shown_url,
        "events": list(endpoint.wanted.kinds),
        "wallets": list(endpoint.wanted.wallets),
        "state": endpoint.state.value,
        "reason": endpoint.reason,
        "createdAt": iso_instant(endpoint.created_at_ms),
        "createdBy": endpoint.created_by,
        "waiting": queue.waiting,
        "oldestAt": _moment(queue.oldest_ms),
        "failingSince": _moment(queue.failing_since_ms),
        "trouble": queue.trouble,
        "dead": queue.dead,
    }


def event_as_document(one: QueuedEvent) -> dict[str, Any]:
    return {
        "id": one.id,
        "type": one.kind,
        "stream": one.stream,
        "state": one.state.value,
        "createdAt": iso_instant(one.created_at_ms),
        "attempts": one.attempts,
        "nextAt": iso_instant(one.due_at_ms) if one.state == "waiting" else None,
        "status": one.status,
        "trouble": one.trouble,
        "endedAt": _moment(one.ended_at_ms),
    }


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_instant(at_ms)
