"""Tells processes that there is something new; the listeners then read it from the database.

So no data goes over Redis. While Redis does not answer, listeners read the database at intervals instead.
"""

import asyncio
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

import structlog

from strongroom.core.clock import Clock, Entropy
from strongroom.core.environment import Environment, Secret
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.telemetry import Health, Status

if TYPE_CHECKING:  # importing redis takes a twelfth of the start, so only processes with Redis do
    from redis.asyncio.client import PubSub

log = structlog.get_logger(__name__)

COMPONENT = "redis"
PREFIX = "strongroom:"
ANSWER_S = 3.0
REDIS_PORT = 6379
LISTEN_S = 5.0
"""After this silence Redis is pinged."""
MAX_RETRY_S = 5.0
CANCEL_S = 0.5

Listener = Callable[[], None]


class Bus:
    """Tells listeners in this process. `RedisBus` reaches other processes too."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    @property
    def is_shared(self) -> bool:
        """Whether messages of other processes arrive now."""
        return False

    def subscribe(self, topic: str, listener: Listener) -> None:
        self._listeners.setdefault(topic, []).append(listener)

    def publish(self, topic: str) -> None:
        """Calls every listener of the topic. It never waits; several calls may become one message to other processes."""
        self._call_listeners(topic)

    async def run(self) -> None:
        """Exchanges messages with other processes, until cancelled."""

    async def close(self) -> None:
        """Ends the connections."""

    def _call_listeners(self, topic: str) -> None:
        for listener in self._listeners.get(topic, ()):
            listener()


class RedisBus(Bus):
    """A bus over Redis's publish and subscribe. After a reconnect it calls the listeners of every topic once."""

    def __init__(self, url: Secret, clock: Clock, entropy: Entropy, health: Health) -> None:
        super().__init__()
        from redis.asyncio import Redis  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        self._redis: Redis = Redis.from_url(
            url.reveal(),
            retry=Retry(NoBackoff(), 0),
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
        )
        self._clock = clock
        self._entropy = entropy
        self._health = health
        self._own = entropy.token(8).hex().encode()
        self._unsent: set[str] = set()
        self._news = asyncio.Event()
        self._is_shared = False

    @property
    def is_shared(self) -> bool:
        return self._is_shared

    def publish(self, topic: str) -> None:
        super().publish(topic)
        self._unsent.add(topic)
        self._news.set()

    async def run(self) -> None:
        self._health.report(COMPONENT, Status.DEGRADED, "not connected yet", part="receive")
        works = {"send": self._send, "receive": self._receive}
        running = {asyncio.ensure_future(self._for_ever(part, work)) for part, work in works.items()}
        try:
            await asyncio.gather(*running)
        finally:
            # Repeated, because the client uses wait_for, which on Python 3.11 may swallow a cancellation.
            while running:
                for task in running:
                    task.cancel()
                _, running = await asyncio.wait(running, timeout=CANCEL_S)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _for_ever(self, part: str, work: Callable[[Backoff], Any]) -> None:
        backoff = Backoff(self._clock, self._entropy, cap_s=MAX_RETRY_S)
        while True:
            try:
                await work(backoff)
            except Exception as error:  # noqa: BLE001 - after any error the bus connects again
                if part == "receive":
                    self._is_shared = False
                why = f"not reachable: {type(error).__name__}"
                self._health.report(COMPONENT, Status.DEGRADED, why, part=part)
                if backoff.attempts == 0:
                    log.warning("Redis is not reachable", error=type(error).__name__)
            await backoff.wait()

    async def _send(self, backoff: Backoff) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            for topic in list(self._unsent):
                self._unsent.discard(topic)  # now, so that what is published meanwhile is sent after it
                try:
                    async with asyncio.timeout(ANSWER_S):
                        await self._redis.publish(PREFIX + topic, self._own)
                except BaseException:
                    self._unsent.add(topic)
                    self._news.set()
                    raise
                self._health.report(COMPONENT, Status.UP, part="send")
                backoff.reset()

    async def _receive(self, backoff: Backoff) -> None:
        async with self._redis.pubsub() as subscription:
            async with asyncio.timeout(ANSWER_S):
                await subscription.psubscribe(PREFIX + "*")
                await subscription.parse_response()  # Redis has confirmed the subscription
            log.info("Redis is connected")
            backoff.reset()
            self._is_shared = True
            self._health.report(COMPONENT, Status.UP, part="receive")
            for topic in self._listeners:  # messages may have been missed while there was no connection
                self._call_listeners(topic)
            while True:
                await self._hear(subscription)

    async def _hear(self, subscription: "PubSub") -> None:
        """Handles one message; raises TimeoutError if Redis is silent and does not answer a ping."""
        message = await subscription.get_message(timeout=LISTEN_S)
        if message is None:
            await subscription.ping()
            message = await subscription.get_message(timeout=ANSWER_S)
            if message is None:
                raise TimeoutError
        if message["type"] == "pmessage" and message["data"] != self._own:
            self._call_listeners(message["channel"].decode().removeprefix(PREFIX))


def read_redis_url(environment: Environment) -> Secret | None:
    """Reads `REDIS_URL` or `REDIS_HOST`; `REDIS_PORT` and `REDIS_PASSWORD` apply if that value does not contain them.

    The value may be a host without a scheme: `cache`, `cache:6380` or `::1`. None: this installation has no Redis.
    """
    url, host = environment.secret("REDIS_URL"), environment.secret("REDIS_HOST")
    port, password = environment.port("REDIS_PORT", REDIS_PORT), environment.secret("REDIS_PASSWORD")
    for name, place in (("REDIS_URL", url), ("REDIS_HOST", host)):
        if place is not None:
            try:
                return Secret(_redis_url(place.reveal().strip(), port, password))
            except ValueError as error:
                environment.mistake(f"{name} {error}")
                return None
    return None


def _redis_url(place: str, port: int, password: Secret | None) -> str:
    """The complete URL; raises ValueError with a message that contains no secret."""
    if place.startswith("unix://"):
        return place
    parts = urlsplit(place if "://" in place else f"redis://{_bracketed(place)}")
    if parts.scheme not in {"redis", "rediss"}:
        raise ValueError("must be a host, or begin with redis://, rediss:// or unix://")
    try:
        given = parts.port
    except ValueError:
        given = 0
    if not parts.hostname or given == 0 or any(map(str.isspace, parts.hostname)):
        raise ValueError(
            "is not the address of a Redis: use for example localhost, localhost:6379 or redis://localhost:6379/0"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    user = parts.netloc.rpartition("@")[0]
    if password is not None and parts.password is None:
        user = f"{user}:{quote(password.reveal(), safe='')}"
    path = parts.path if parts.path.strip("/") else "/0"
    netloc = f"{user}@{host}:{given or port}" if user else f"{host}:{given or port}"
    return urlunsplit((parts.scheme, netloc, path, parts.query, parts.fragment))


def _bracketed(place: str) -> str:
    """A bare IPv6 address in brackets, as a URL needs it; any other text unchanged."""
    try:
        return f"[{IPv6Address(place)}]"
    except ValueError:
        return place
