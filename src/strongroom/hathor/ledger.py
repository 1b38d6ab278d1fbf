"""Assembles the Hathor ledger: its sync, the loading of wallets, and its health."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import structlog
from litestar.types import ASGIApp

from strongroom.core.clock import Clock, Entropy
from strongroom.core.http.door import DoorRules
from strongroom.core.http.exposure import Access
from strongroom.core.http.hosts import is_loopback
from strongroom.core.http.listener import Surface
from strongroom.core.http.opening import Opening
from strongroom.core.http.timing import TimedApplication
from strongroom.core.messaging.backlog import BacklogWatch, watch_backlog
from strongroom.core.messaging.bus import Bus, RedisBus
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.messaging.outbox_reader import Tail
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.lease import Leases
from strongroom.core.runtime.loops import Loop, Loops, Turn
from strongroom.core.runtime.telemetry import Health, Metrics, Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.security.audit import Audit
from strongroom.core.security.credentials import require_long_credentials
from strongroom.core.security.tokens import Gatekeeper
from strongroom.core.security.tokens import Tokens as ApiTokens
from strongroom.core.storage.check import database_loop
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import Revisions, migrate
from strongroom.hathor.api.application import CORS, create_application
from strongroom.hathor.api.chain import ChainRoutes
from strongroom.hathor.api.clients import Clients
from strongroom.hathor.api.deletion import DeletionRoute
from strongroom.hathor.api.legacy import LegacyAccess, LegacyRoutes
from strongroom.hathor.api.legacy_proposals import LegacyProposalRoutes
from strongroom.hathor.api.limits import RateLimit
from strongroom.hathor.api.node import NodeRoutes
from strongroom.hathor.api.operations import OperationRoutes, OperationRules
from strongroom.hathor.api.proposals import ProposalRoutes
from strongroom.hathor.api.reading import Reader
from strongroom.hathor.api.realtime import Realtime
from strongroom.hathor.api.refusal import before_opening, refused_at_door
from strongroom.hathor.api.registration import Registration, RegistrationRules
from strongroom.hathor.api.sockets import LARGEST_FRAME, SocketApplication, SocketRules
from strongroom.hathor.api.subscriptions import SocketMeasures, Subscriptions
from strongroom.hathor.gateway.events import HttpEventNode
from strongroom.hathor.gateway.network_rules import Versions
from strongroom.hathor.gateway.node import HttpNode
from strongroom.hathor.gateway.push import HttpPushNode
from strongroom.hathor.index.supply import Supplies
from strongroom.hathor.maintenance.verifier import Verifier
from strongroom.hathor.notifications import outbox as pushes
from strongroom.hathor.notifications.fcm import Fcm
from strongroom.hathor.notifications.messages import DESTINATION
from strongroom.hathor.notifications.push import EXPIRY_S, Pusher, PushMeasures
from strongroom.hathor.proposals.broadcaster import Sender
from strongroom.hathor.proposals.submitter import Submitter
from strongroom.hathor.proposals.sweeper import SWEEP_S, ProposalSweep
from strongroom.hathor.settings import SOCKET_SURFACE, HathorSettings
from strongroom.hathor.sync.daemon import Sync, SyncSettings
from strongroom.hathor.sync.measures import Measures
from strongroom.hathor.sync.source import Pins, WrongSourceError
from strongroom.hathor.wallets.jwt import Tokens
from strongroom.hathor.wallets.loading import LOOK_S, WalletLoader

log = structlog.get_logger(__name__)

REVISIONS = Revisions(component="hathor", folder=Path(__file__).parent / "revisions")
# The components of health.
DATABASE = "hathorDatabase"
API = "hathorApi"
NODE = "hathorNode"
SYNC = "hathorSync"
WALLETS = "hathorWallets"
PROPOSALS = "hathorProposals"
REALTIME = "hathorRealtime"
PUSH = "hathorPush"
SOCKETS_ROUTE = "/"
SYNC_LEASE = "hathor.sync"
HOLDER_BYTES = 8
LOAD_WAIT_S = 3.0
"""Of the ten seconds that clients wait for an answer."""
NODE_CHECK_S = 10.0
RECHECK_S = 10.0
EXPIRE_MESSAGES_S = 300.0
MESSAGE_LIFE_MS = 3_600_000


class HathorLedger:
    """One running Hathor wallet service. `open`, `start`, then `close`."""

    name = "hathor"

    def __init__(
        self,
        settings: HathorSettings,
        *,
        clock: Clock,
        entropy: Entropy,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._entropy = entropy
        self._health = health
        self._metrics = metrics
        self._stack = AsyncExitStack()
        self._background = Background()
        self._loops = Loops(
            health=health, metrics=metrics, clock=clock, entropy=entropy, background=self._background
        )
        self.database = Database(settings.database)
        self.outbox = Outbox(clock)
        self.loader = WalletLoader(self.database, clock, settings.network, self._background)
        self.node = HttpEventNode(settings.node_url, settings.ws_url)
        self.http_node = HttpNode(settings.node_url, clock, metrics)
        self.versions = Versions(self.database, self.http_node, clock)
        self._push_node = HttpPushNode(settings.node_url)
        self.bus = Bus()
        self._tail = Tail(self.database, DESTINATION)
        self._realtime: Realtime | None = None
        self._pusher: Pusher | None = None
        self.api_tokens = ApiTokens(self.database, Audit(clock), clock, entropy)
        self.stopped: asyncio.Future[None] | None = None
        self._is_served = False
        self._opening = Opening(before_opening, CORS)
        self._sockets_opening = Opening(before_opening)
        for close in (self.database.close, self.node.close, self.http_node.close, self._push_node.close):
            self._stack.push_async_callback(close)

    async def prepare(self) -> None:
        """What may be done again and again until the database is there."""
        await require_long_credentials(self.database, self._settings.short_credentials)
        await migrate(self.database, [REVISIONS])

    def waiting(self) -> WorkHealth:
        """The health of the database before the ledger is open."""
        return self._loops.watch(DATABASE, down_after=1, vital=True, initially=Status.DOWN)

    async def open(self) -> None:
        """Migrates and assembles. Needs the database, no node."""
        await self.prepare()
        self.stopped = asyncio.get_running_loop().create_future()
        self._leases = Leases(self.database, self._clock, holder=self._entropy.token(HOLDER_BYTES).hex())
        self._open_bus()
        await self._tail.begin()  # before anybody can join
        self._pusher = self._open_pusher()
        self._sender = Sender(
            node=self._push_node,
            database=self.database,
            clock=self._clock,
            entropy=self._entropy,
            background=self._background,
            health=self._health,
            metrics=self._metrics,
        )
        self._submitter = Submitter(
            database=self.database,
            sender=self._sender,
            versions=self.versions,
            clock=self._clock,
            network=self._settings.network,
            verify=self._settings.api.verify_proposals,
        )
        self._sync_health = self._loops.watch(SYNC)
        self._stream_health = self._loops.watch(NODE, part="stream")
        self._sync = Sync(
            database=self.database,
            node=self.node,
            clock=self._clock,
            entropy=self._entropy,
            outbox=self.outbox,
            health=self._sync_health,
            node_health=self._stream_health,
            measures=Measures(self._metrics),
            settings=SyncSettings(
                network=self._settings.network,
                pins=Pins(
                    network=self._settings.fullnode_network,
                    peer_id=self._settings.peer_id,
                    stream_id=self._settings.stream_id,
                ),
                window=self._settings.sync_window,
                push_age_s=self._settings.push.age_s if self._settings.push.enabled else None,
            ),
        )
        if self._is_served:
            tokens = Tokens(self._settings.api.auth_secrets, self._clock, self._entropy)
            reader = Reader(self.database, self._clock, self._settings.network)
            self._opening.open(self._application(tokens, reader))
            self._sockets_opening.open(self._socket_application(tokens, reader))

    def surfaces(self) -> list[Surface]:
        """The API for wallets; none without AUTH_SECRET, for then nobody could hold a token.

        Call it before `open`: they say 503 until then.
        """
        api = self._settings.api
        if not api.auth_secrets:
            self._health.report(API, Status.DEGRADED, "AUTH_SECRET is not set: wallets are not served")
            return []
        self._health.watch(NODE, self.http_node.health, part="breaker")
        self._is_served = True
        sockets = self._settings.sockets
        if not sockets.require_token and not is_loopback(api.host):
            log.warning("who knows a wallet's id may watch it: HATHOR_WS_REQUIRE_TOKEN is not set")
        return [
            Surface(
                name=self.name,
                application=self._opening,
                host=api.host,
                port=api.port,
                access=Access.TOKEN,
                dialect=refused_at_door,
                proxies=api.proxies,
            ),
            Surface(
                name=SOCKET_SURFACE,
                application=TimedApplication(self._sockets_opening, self._metrics, SOCKETS_ROUTE),
                host=api.host,
                port=sockets.port,
                access=self._settings.socket_access,
                largest_frame=LARGEST_FRAME,
                compresses_frames=False,
                largest_body=LARGEST_FRAME,
                dialect=refused_at_door,
                proxies=api.proxies,
            ),
        ]

    def start(self) -> None:
        """Starts following the node, when and as long as this process leads, and telling its own connections."""
        loops = self._loops
        loops.start(database_loop(loops, DATABASE, self.database))
        loops.start(loops.every(NODE, NODE_CHECK_S, self.http_node.check, part="http", down_after=1))
        loops.start(loops.every(WALLETS, RECHECK_S, self.loader.recheck, part="recheck"))
        loops.check(WALLETS, self.loader.check, part="loads")
        self._background.start(self.bus.run())
        if (realtime := self._realtime) is not None:
            loops.start(loops.run(REALTIME, lambda turn: realtime.run(turn.health)))
            watch_backlog(loops, REALTIME, self._backlog(DESTINATION, place=lambda: self._tail.last_id))
        if self._pusher is not None:
            loops.check(PUSH, self._pusher.check, part="deliveries")
            watch_backlog(loops, PUSH, self._backlog(pushes.DESTINATION))
        loops.under(self._leases, SYNC_LEASE, self._workers())

    async def wind_down(self) -> None:
        """Before the surfaces stop: whoever waits for a transaction's fate is told what is known."""
        self._submitter.wind_down()

    async def close(self) -> None:
        """Ends the workers, then what they used."""
        await self._background.close()
        await self._stack.aclose()

    async def verifier(self, *, repair: bool) -> Verifier:
        """Compares the derived rows with the chain's record; needs the node for its rules."""
        return Verifier(
            database=self.database,
            clock=self._clock,
            rules=await self._sync.read_rules(),
            repair=repair,
        )

    def _backlog(self, destination: str, place: Callable[[], int] = lambda: 0) -> BacklogWatch:
        return BacklogWatch(
            destination,
            database=self.database,
            clock=self._clock,
            metrics=self._metrics,
            limits=self._settings.backlog,
            place=place,
        )

    def _open_bus(self) -> None:
        if self._settings.redis is not None:
            self.bus = RedisBus(self._settings.redis, self._clock, self._entropy, self._health)
        self._stack.push_async_callback(self.bus.close)
        self.outbox.listen(DESTINATION, lambda _wallet_id: self.bus.publish(DESTINATION))

    def _open_pusher(self) -> Pusher | None:
        """None: notifications are off."""
        push = self._settings.push
        if not push.enabled:
            return None
        service = None
        if push.account is not None:
            service = Fcm(push.account, push.url, self._clock)
            self._stack.push_async_callback(service.close)
        return Pusher(
            database=self.database,
            outbox=self.outbox,
            clock=self._clock,
            entropy=self._entropy,
            measures=PushMeasures(self._metrics),
            service=service,
            providers=push.providers,
            age_s=push.age_s,
        )

    def _socket_application(self, tokens: Tokens, reader: Reader) -> SocketApplication:
        settings = self._settings.sockets
        measures = SocketMeasures(self._metrics)
        subscriptions = Subscriptions(measures)
        self._realtime = Realtime(
            tail=self._tail,
            bus=self.bus,
            clock=self._clock,
            subscriptions=subscriptions,
            measures=measures,
            amounts=self._settings.api.amounts,
        )
        return SocketApplication(
            reader=reader,
            tokens=tokens,
            subscriptions=subscriptions,
            measures=measures,
            rules=SocketRules(
                require_token=settings.require_token,
                most_connections=settings.most_connections,
                most_subscriptions=settings.most_subscriptions,
            ),
        )

    def _application(self, tokens: Tokens, reader: Reader) -> ASGIApp:
        api = self._settings.api
        clients = Clients(RateLimit(self._clock, api.auth_requests_a_minute), api.proxies)
        supplies = Supplies(self.database, self._clock, self._settings.network)
        rules = RegistrationRules(
            network=self._settings.network,
            max_gap=self._settings.max_address_gap,
            max_retries=api.max_load_retries,
            confirm_first_address=api.confirm_first_address,
            load_wait_s=LOAD_WAIT_S,
            clock_skew_s=api.clock_skew_s,
        )
        registration = Registration(
            database=self.database,
            clock=self._clock,
            tokens=tokens,
            loader=self.loader,
            clients=clients,
            rules=rules,
        )
        proposals = ProposalRoutes(
            database=self.database,
            reader=reader,
            tokens=tokens,
            submitter=self._submitter,
            versions=self.versions,
            entropy=self._entropy,
        )
        return create_application(
            registration=registration,
            reader=reader,
            node=NodeRoutes(self.http_node, self.versions, tokens, self._clock),
            operations=self._operations(),
            chain=ChainRoutes(self.database, supplies, tokens),
            deletion=DeletionRoute(self.database, reader, tokens, clients, api.clock_skew_s),
            tokens=tokens,
            proposals=proposals,
            metrics=self._metrics,
            legacy=self._legacy(rules) if api.legacy else None,
            prefix=api.prefix,
            amounts=api.amounts,
        )

    def _legacy(self, rules: RegistrationRules) -> tuple[LegacyRoutes, LegacyProposalRoutes]:
        """The first API: open on loopback, elsewhere behind API tokens."""
        required = not is_loopback(self._settings.api.host)
        access = LegacyAccess(
            Gatekeeper(self.api_tokens, required=required),
            DoorRules(bound_to=self._settings.api.host, allowed=self._settings.api.callers),
        )
        wallets = LegacyRoutes(
            database=self.database, clock=self._clock, loader=self.loader, access=access, rules=rules
        )
        proposals = LegacyProposalRoutes(
            database=self.database,
            clock=self._clock,
            entropy=self._entropy,
            network=self._settings.network,
            access=access,
            submitter=self._submitter,
            versions=self.versions,
        )
        return wallets, proposals

    def _operations(self) -> OperationRoutes:
        api = self._settings.api
        rules = OperationRules(
            network=self._settings.network.name,
            stage=api.stage,
            health_key=api.health_key,
            most_blocks_behind=api.most_blocks_behind,
        )
        redis_answers = (lambda: self.bus.is_shared) if self._settings.redis is not None else None
        return OperationRoutes(self.database, self.http_node, self._clock, rules, redis_answers)

    def _workers(self) -> list[Loop]:
        """What one process does for all."""
        loops = self._loops
        sweep = ProposalSweep(self.database, self._sender, self._push_node, self._clock)
        workers = [
            loops.run(SYNC, self._follow, health=self._sync_health, rest=self._stream_health.stand_by),
            loops.every(WALLETS, LOOK_S, self.loader.look, part="look"),
            loops.every(PROPOSALS, SWEEP_S, sweep.sweep, part="sweep"),
            loops.every(REALTIME, EXPIRE_MESSAGES_S, self._expire_messages, part="expiry"),
        ]
        if (pusher := self._pusher) is not None:
            workers += [
                loops.run(PUSH, lambda turn: pusher.run(turn.health), rest=pusher.rest),
                loops.every(PUSH, EXPIRY_S, pusher.expire, part="expiry"),
            ]
        return workers

    async def _follow(self, turn: Turn) -> None:
        try:
            await self._sync.run(turn.term)
        except WrongSourceError as error:
            if self.stopped is not None and not self.stopped.done():
                self.stopped.set_exception(error)
            await asyncio.Event().wait()  # a person has to act; the lease stays ours, health says why

    async def _expire_messages(self) -> None:
        """A realtime message that nobody fetched in time is old news: the wallet reads its state instead."""
        await self.database.write(
            partial(self.outbox.expire, destination=DESTINATION, age_ms=MESSAGE_LIFE_MS)
        )
