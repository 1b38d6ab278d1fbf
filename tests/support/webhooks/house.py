"""A ledger's webhooks without the ledger: endpoints, announcements, and the process that delivers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from standardwebhooks.webhooks import Webhook

from strongroom.core.announcements import Announcement
from strongroom.core.coordination.lease import Lease, Leases
from strongroom.core.coordination.loops import LoopContext
from strongroom.core.http.outbound.resolver import Lookup, system_lookup
from strongroom.core.http.outbound.targets import Reach
from strongroom.core.runtime.readings import Collection
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage.database import Database
from strongroom.core.webhooks.administration import WebhookAdministration
from strongroom.core.webhooks.announcer import WebhookAnnouncer
from strongroom.core.webhooks.dispatcher import WebhookDispatcher
from strongroom.core.webhooks.kinds import EVERY_LEDGER, Catalogue
from strongroom.core.webhooks.queue import QueuedEvent
from strongroom.core.webhooks.sealing import EndpointSealing
from strongroom.core.webhooks.watch import LOOK_S, WebhookWatch
from support.clock import ManualClock, SeededEntropy
from support.running import PATIENCE_S, running
from support.serving import serving
from support.trail import open_trail
from support.webhooks.traffic import CountedDatabase, CountedSenders, Traffic

BOSS = Principal(name="operator:boss", scopes=frozenset({"*"}))
LOOPBACK = Reach(networks=(ip_network("127.0.0.0/8"),), allows_http=True)
KINDS = {**EVERY_LEDGER, "coin.minted": "a coin was made"}
STEP_S = 0.6


class WebhookHouse:
    """One process. Several on one database are replicas."""

    def __init__(
        self,
        database: Database,
        clock: ManualClock,
        *,
        seed: int = 1,
        reach: Reach = LOOPBACK,
        lookup: Lookup = system_lookup,
        key: TrailKey | None = None,
    ) -> None:
        entropy = SeededEntropy(seed)
        self.database = database
        self.clock = clock
        self.key = key or open_trail()
        self.metrics = Metrics("test")
        self.audit = Audit(clock, self.key)
        self.announcer = WebhookAnnouncer("toy", clock, entropy)
        self.leases = Leases(database, clock, holder=f"house {seed}")
        self.traffic = Traffic()
        sealing = EndpointSealing(self.key, entropy)
        senders = CountedSenders(reach=reach, clock=clock, lookup=lookup, traffic=self.traffic)
        self.administration = WebhookAdministration(
            Catalogue(ledger="toy", kinds=KINDS),
            database,
            audit=self.audit,
            sealing=sealing,
            senders=senders,
            clock=clock,
            entropy=entropy,
        )
        self.dispatcher = WebhookDispatcher(
            CountedDatabase(database, self.traffic),
            announcer=self.announcer,
            sealing=sealing,
            senders=senders,
            audit=self.audit,
            clock=clock,
            entropy=entropy,
        )
        self.watch = WebhookWatch(
            "toy", database, clock=clock, metrics=self.metrics, troubles=self.dispatcher.troubles
        )
        self.collection = Collection(
            "toy",
            "webhooks",
            self.watch.look,
            clock=clock,
            failed=self.metrics.collection_failed,
            every_s=LOOK_S,
        )

    async def add(self, name: str, url: str, **wanted: Any) -> str:
        """Adds an endpoint and returns its secret; what is announced from now on goes to it."""
        created = await self.administration.add(BOSS, name, url, **wanted)
        self.forget_endpoints()
        return created.secret

    def forget_endpoints(self) -> None:
        """As half a second does."""
        self.clock.advance(0.5)

    async def announce(
        self, stream: str, *numbers: int, kind: str = "coin.minted", wallet: str = "", keyed: bool = True
    ) -> None:
        said = [
            Announcement(
                kind=kind,
                stream=stream,
                wallet=wallet,
                data={"stream": stream, "n": number},
                key=str(number) if keyed else "",
            )
            for number in numbers
        ]
        await self.database.write(lambda connection: self.announcer.announce(connection, said))

    async def lease(self) -> Lease:
        """Takes the lease, also from a process that does not answer."""
        lease = await self.leases.acquire("toy.webhooks")
        if lease is None:
            self.clock.advance(self.leases.ttl_s)
            lease = await self.leases.acquire("toy.webhooks")
        assert lease is not None
        return lease

    @asynccontextmanager
    async def delivering(self, lease: Lease | None = None) -> AsyncIterator[None]:
        health = WorkHealth("toyWebhooks.delivery", self.clock, self.metrics)
        context = LoopContext(health=health, lease=lease or await self.lease())
        async with running(self.dispatcher.run(context)):
            yield

    async def until(self, reached: Callable[[], bool], *, step_s: float = STEP_S) -> None:
        """Lets time pass until it is so. What is due happens before more time passes."""
        async with asyncio.timeout(PATIENCE_S):
            while not reached():
                self.clock.advance(step_s)
                await self.traffic.settle()

    async def until_heard(self, reached: Callable[[], bool]) -> None:
        """The same while a receiver is silent, whose answer time does not wait for."""
        async with asyncio.timeout(PATIENCE_S):
            while not reached():
                self.clock.advance(STEP_S)
                await asyncio.sleep(0.002)

    async def pass_s(self, seconds: float, *, step_s: float = STEP_S) -> None:
        """Lets so much time pass, and what is due happen."""
        steps = round(seconds / step_s)
        for _ in range(steps):
            self.clock.advance(step_s)
            await self.traffic.settle()

    async def pass_until_ms(self, moment_ms: int) -> None:
        """Lets time pass up to the moment in one step, and what is due then happen."""
        self.clock.advance((moment_ms - self.clock.now_ms()) / 1000)
        await self.traffic.settle()

    async def events(self, name: str) -> list[QueuedEvent]:
        """Those of the endpoint, the oldest first."""
        return [*reversed(await self.administration.events(name, limit=500))]

    async def states(self, name: str) -> list[str]:
        """Of the endpoint's events, the oldest first."""
        return [one.state.value for one in await self.events(name)]

    async def until_states(self, name: str, wanted: list[str], *, step_s: float = STEP_S) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while await self.states(name) != wanted:
                self.clock.advance(step_s)
                await self.traffic.settle()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt as a receiver saw it."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def number(self) -> int:
        return int(self.document["data"]["n"])


Status = Callable[[Delivery], int]


@dataclass(slots=True)
class WebhookReceiver:
    """An ASGI application that answers as the test says. It verifies nothing: that is what the judge is for."""

    status: Status = lambda _: 204
    headers: Sequence[tuple[bytes, bytes]] = ()
    content: bytes = b""
    attempts: list[Delivery] = field(default_factory=list)
    taken: list[Delivery] = field(default_factory=list)
    url: str = ""

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        names = {name.decode().lower(): value.decode() for name, value in _scope["headers"]}
        delivery = Delivery(headers=names, body=body)
        self.attempts.append(delivery)
        status = self.status(delivery)
        if status in range(200, 300):
            self.taken.append(delivery)
        await send({"type": "http.response.start", "status": status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": self.content})

    def numbers(self, stream: str) -> list[int]:
        """What was taken of one stream."""
        return [one.number for one in self.taken if one.document["data"].get("stream") == stream]


@asynccontextmanager
async def receiving(status: Status = lambda _: 204) -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver(status=status)
    async with serving(receiver) as url:
        receiver.url = f"{url}/hook?key=canary-in-the-url"
        yield receiver


def judge(secret: str, delivery: Delivery) -> Any:
    """What the receivers' own library says; its clock is the machine's. Raises: WebhookVerificationError."""
    return Webhook(secret).verify(delivery.body, delivery.headers)
