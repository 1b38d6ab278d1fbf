"""Assembles the Hathor ledger: its sync, the loading of wallets, and its health."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import structlog
from litestar.types import ASGIApp

from strongroom.core.audit import Audit
from strongroom.core.background import Background
from strongroom.core.bus import Bus, RedisBus
from strongroom.core.clock import Clock, Entropy
from strongroom.core.database import Database
from strongroom.core.errors import StrongroomError
from strongroom.core.http.door import DoorRules
from strongroom.core.http.exposure import Access
from strongroom.core.http.hosts import is_loopback
from strongroom.core.lease import Lease, Leases
from strongroom.core.listener import Surface
from strongroom.core.migrations import Revisions, migrate
from strongroom.core.outbox import Outbox
from strongroom.core.security.credentials import require_long_credentials
from strongroom.core.tail import Tail
from strongroom.core.telemetry import Health, Metrics, Status
from strongroom.core.tokens import Gatekeeper
from strongroom.core.tokens import Tokens as ApiTokens
from strongroom.hathor.api.application import create_application
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
from strongroom.hathor.api.refusal import refused_at_door
from strongroom.hathor.api.registration import Registration, RegistrationRules
from strongroom.hathor.api.sockets import LARGEST_FRAME, SocketApplication, SocketRules
from strongroom.hathor.gateway.events import HttpEventNode
from strongroom.hathor.gateway.fcm import Fcm
from strongroom.hathor.gateway.node import HttpNode
from strongroom.hathor.gateway.push import HttpPushNode
from strongroom.hathor.proposal_sweep import ProposalSweep
from strongroom.hathor.push import Pusher, PushMeasures
from strongroom.hathor.realtime import Realtime
from strongroom.hathor.sending import Sender
from strongroom.hathor.settings import SOCKET_SURFACE, HathorSettings
from strongroom.hathor.submission import Submitter
from strongroom.hathor.subscriptions import SocketMeasures, Subscriptions
from strongroom.hathor.supply import Supplies
from strongroom.hathor.sync.daemon import Sync, SyncSettings
from strongroom.hathor.sync.measures import Measures
from strongroom.hathor.sync.messages import DESTINATION
from strongroom.hathor.sync.source import Pins, WrongSourceError
from strongroom.hathor.tokens import Tokens
from strongroom.hathor.verify import Verifier
from strongroom.hathor.versions import Versions
from strongroom.hathor.wallet_loading import WalletLoader

log = structlog.get_logger(__name__)

REVISIONS = Revisions(component="hathor", folder=Path(__file__).parent / "revisions")
DATABASE = "hathorDatabase"
API = "hathorApi"
NODE = "hathorNode"
SYNC_LEASE = "hathor.sync"
HOLDER_BYTES = 8
LOAD_WAIT_S = 3.0
"""Of the ten seconds that clients wait for an answer."""
EXPIRY_S = 300.0
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

    async def open(self) -> None:
        """Migrates and assembles. Needs the database, no node."""
        self._stack.push_async_callback(self.database.close)
        self._stack.push_async_callback(self.node.close)
        self._stack.push_async_callback(self.http_node.close)
        self._stack.push_async_callback(self._push_node.close)
        await require_long_credentials(self.database, self._settings.short_credentials)
        await migrate(self.database, [REVISIONS])
        self._health.report(DATABASE, Status.UP, vital=True)
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
        self._sync = Sync(
            database=self.database,
            node=self.node,
            clock=self._clock,
            entropy=self._entropy,
            outbox=self.outbox,
            health=self._health,
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

    def surfaces(self) -> list[Surface]:
        """The API for wallets; none without AUTH_SECRET, for then nobody could hold a token."""
        api = self._settings.api
        if not api.auth_secrets:
            self._health.report(API, Status.DEGRADED, "AUTH_SECRET is not set: wallets are not served")
            return []
        self._health.watch(NODE, self.http_node.health)
        tokens = Tokens(api.auth_secrets, self._clock, self._entropy)
        reader = Reader(self.database, self._clock, self._settings.network)
        return [
            Surface(
                name=self.name,
                application=self._application(tokens, reader),
                host=api.host,
                port=api.port,
                access=Access.TOKEN,
                dialect=refused_at_door,
                proxies=api.proxies,
            ),
            self._socket_surface(tokens, reader),
        ]

    def start(self) -> None:
        """Starts following the node, when and as long as this process leads, and telling its own connections."""
        self._background.start(self._leases.lead(SYNC_LEASE, self._lead))
        self._background.start(self.bus.run())
        if self._realtime is not None:
            self._background.start(self._realtime.run())

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
            health=self._health,
            measures=PushMeasures(self._metrics),
            service=service,
            providers=push.providers,
            age_s=push.age_s,
        )

    def _socket_surface(self, tokens: Tokens, reader: Reader) -> Surface:
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
        application = SocketApplication(
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
        return Surface(
            name=SOCKET_SURFACE,
            application=application,
            host=self._settings.api.host,
            port=settings.port,
            access=self._settings.socket_access,
            largest_frame=LARGEST_FRAME,
            compresses_frames=False,
            largest_body=LARGEST_FRAME,
            dialect=refused_at_door,
            proxies=self._settings.api.proxies,
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
            deletion=DeletionRoute(self.database, reader, tokens, clients),
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

    async def _lead(self, lease: Lease) -> None:
        sweep = ProposalSweep(self.database, self._sender, self._push_node, self._clock)
        work = [self.loader.run(), self._expire_messages(), sweep.run()]
        if self._pusher is not None:
            work += [self._pusher.run(), self._pusher.expire()]
        beside = [asyncio.ensure_future(each) for each in work]
        try:
            await self._sync.run(lease)
        except WrongSourceError as error:
            if self.stopped is not None and not self.stopped.done():
                self.stopped.set_exception(error)
            await asyncio.Event().wait()  # a person has to act; the lease stays ours, health says why
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _expire_messages(self) -> None:
        """A realtime message that nobody fetched in time is old news: the wallet reads its state instead."""
        while True:
            try:
                await self.database.write(
                    partial(self.outbox.expire, destination=DESTINATION, age_ms=MESSAGE_LIFE_MS)
                )
            except StrongroomError as error:
                log.warning("old realtime messages are still there", why=type(error).__name__)
            await self._clock.sleep(EXPIRY_S)
