"""Sends the outbox's notifications to devices, each at least once, until it is too old to be of use."""

import asyncio
import json
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock, Entropy
from strongroom.core.json_decoder import decode_json
from strongroom.core.messaging.outbox import Destination, Dispatcher, Event, Outbox
from strongroom.core.runtime.telemetry import ComponentHealth, Metrics, Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage.database import Database
from strongroom.hathor.notifications.devices import Device, find_device, remove_device
from strongroom.hathor.notifications.fcm import NotSent, PushResult, PushService
from strongroom.hathor.notifications.outbox import DESTINATION, Notification

log = structlog.get_logger(__name__)

EXPIRY_S = 60.0
NO_SERVICE = "notifications are kept, not sent: FCM_SERVICE_ACCOUNT_FILE is not set"
PARALLEL = 32
TOKENS_NAMED = 2
TITLE = "new_transaction_received_title"
WITHOUT_TOKENS = "new_transaction_received_description_without_tokens"
WITH_TOKENS = "new_transaction_received_description_with_tokens"


class PushMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self.outcomes = metrics.counter(
            "strongroom_hathor_push",
            "Notifications by outcome: sent, unregistered, refused, unwanted, expired; delayed ones come again.",
            ("outcome",),
        )
        self.waiting = metrics.reading(
            "strongroom_hathor_push_waiting",
            "Notifications not sent yet; absent while another process sends them.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRules:
    """Which notifications are sent."""

    providers: frozenset[str]
    """Kinds of devices."""
    age_s: int
    """Age beyond which a notification is dropped."""


class Pusher:
    """Sends notifications; it runs where the sync leads. Without a `service` it keeps them, and health says so."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        entropy: Entropy,
        metrics: PushMetrics,
        service: PushService | None,
        rules: PushRules,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._metrics = metrics
        self._service = service
        self._providers = rules.providers
        self._age_ms = rules.age_s * 1000
        self._not_before_s = 0.0
        self._dispatcher = Dispatcher(
            Destination(name=DESTINATION, deliver=self._deliver, delivered=_nothing_more, parallel=PARALLEL),
            database=database,
            outbox=outbox,
            clock=clock,
            entropy=entropy,
        )

    async def run(self, health: WorkHealth) -> None:
        """Sends until cancelled."""
        if self._service is None:
            await asyncio.Event().wait()
        await self._dispatcher.run(health)

    def rest(self) -> None:
        """Forgets what it knows of deliveries, because another process delivers now."""
        self._metrics.waiting.hide(DESTINATION)
        self._dispatcher.rest()

    def check(self) -> ComponentHealth:
        if self._service is None:
            return ComponentHealth(status=Status.DEGRADED, detail=NO_SERVICE)
        return self._dispatcher.check()

    async def expire(self) -> None:
        """Drops and counts notifications that are too old, and counts those that wait."""
        work = partial(self._outbox.expire, destination=DESTINATION, age_ms=self._age_ms)
        expired = await self._database.write(work)
        self._metrics.outcomes.labels("expired").inc(expired)
        if expired:
            log.warning("notifications were too old to be sent", count=expired)
        self._metrics.waiting.show(DESTINATION, [((), await self._dispatcher.backlog())])

    async def _deliver(self, event: Event) -> None:
        push = decode_json(event.payload, Notification)
        device = await self._database.read(lambda c: find_device(c, push.device_id, push.wallet_id))
        if device is None or not device.enable_push or device.provider not in self._providers:
            self._metrics.outcomes.labels("unwanted").inc()
            return
        result = await self._send(push, device)
        self._metrics.outcomes.labels(result).inc()
        if result is PushResult.UNREGISTERED:
            await self._database.write(lambda c: remove_device(c, push.device_id, push.wallet_id))
        elif result is PushResult.REFUSED:
            log.error("FCM will never take this notification", tx=push.tx_id)

    async def _send(self, push: Notification, device: Device) -> PushResult:
        """Sends a notification after any pause that FCM asked for. Raises: NotSent."""
        assert self._service is not None  # noqa: S101 - for the type; `run` ends without it
        while (left_s := self._not_before_s - self._clock.monotonic_s()) > 0:
            await self._clock.sleep(left_s)
        try:
            result = await self._service.send(push.device_id, _data(push, show_amounts=device.show_amounts))
        except NotSent as error:
            self._metrics.outcomes.labels("delayed").inc()
            self._not_before_s = max(self._not_before_s, self._clock.monotonic_s() + error.pause_s)
            raise
        return result


def _data(push: Notification, *, show_amounts: bool) -> dict[str, str]:
    """Builds the keys of the app's own texts, and their arguments; amounts are in the token's smallest unit."""
    data = {"txId": push.tx_id, "titleLocKey": TITLE, "bodyLocKey": WITHOUT_TOKENS}
    if not show_amounts:
        return data
    named = [f"{amount} {symbol}" for symbol, amount in push.received[:TOKENS_NAMED]]
    rest = len(push.received) - TOKENS_NAMED
    if rest > 0:
        named.append(str(rest))
    arguments = json.dumps(named, separators=(",", ":"), ensure_ascii=False)
    return data | {"bodyLocKey": WITH_TOKENS, "bodyLocArgs": arguments}


def _nothing_more(_connection: Connection, _event: Event) -> None:
    """Does nothing: `_deliver` has changed the device's row already."""
