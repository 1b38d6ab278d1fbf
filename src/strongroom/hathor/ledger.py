"""Assembles the Hathor ledger: its sync, the loading of wallets, and its health."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog

from strongroom.core.coordination.loops import Loop, LoopContext
from strongroom.core.errors import Conflict
from strongroom.core.http.exposure import Access
from strongroom.core.http.hosts import is_loopback
from strongroom.core.http.listener import Surface
from strongroom.core.ledger.base import LedgerBase
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.messaging.backlog import BacklogWatch, watch_backlog
from strongroom.core.messaging.bus import Bus, RedisBus
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.messaging.outbox_reader import OutboxReader
from strongroom.core.runtime.node_gauges import NodeGauges
from strongroom.core.runtime.readings import Sample
from strongroom.core.runtime.telemetry import Status
from strongroom.hathor.api.cors import HEADERS
from strongroom.hathor.api.live.rights import CHECK_S
from strongroom.hathor.api.live.sockets import MAX_FRAME
from strongroom.hathor.api.refusal import before_opening, refused_at_door
from strongroom.hathor.applications import Applications, Live
from strongroom.hathor.gateway.events import HttpEventNode
from strongroom.hathor.gateway.network_rules import Versions
from strongroom.hathor.gateway.node import HttpNode
from strongroom.hathor.gateway.push import HttpPushNode
from strongroom.hathor.index.blocks import read_best_height
from strongroom.hathor.maintenance.verifier import Verifier
from strongroom.hathor.names import API_SURFACE, SOCKET_SURFACE
from strongroom.hathor.notifications import outbox as pushes
from strongroom.hathor.notifications.events import in_turn, lost_payment, voided_payments, wallet_events
from strongroom.hathor.notifications.fcm import Fcm
from strongroom.hathor.notifications.messages import DESTINATION
from strongroom.hathor.notifications.push import EXPIRY_S, Pusher, PushMetrics, PushRules
from strongroom.hathor.proposals.approved import ApprovedBroadcasts
from strongroom.hathor.proposals.broadcast_policy import BroadcastPolicy
from strongroom.hathor.proposals.broadcaster import (
    PACE,
    Broadcaster,
    ProposalEffects,
    TransactionNetwork,
)
from strongroom.hathor.proposals.executions import VOIDED
from strongroom.hathor.proposals.returned import LOOK_S as RETURNED_S
from strongroom.hathor.proposals.returned import ReturnedPayments
from strongroom.hathor.proposals.submitter import Submitter
from strongroom.hathor.proposals.sweeper import SWEEP_S, ProposalSweep
from strongroom.hathor.settings import HathorSettings
from strongroom.hathor.sync.daemon import Sync, SyncReports, SyncSettings
from strongroom.hathor.sync.metrics import SyncMetrics
from strongroom.hathor.sync.source import Pins, WrongSourceError
from strongroom.hathor.wallets.browsing import HathorBrowser
from strongroom.hathor.wallets.loading import LOOK_S, WalletLoader
from strongroom.hathor.wallets.registry import read_wallet

log = structlog.get_logger(__name__)

# The components of health.
API = "hathorApi"
NODE = "hathorNode"
SYNC = "hathorSync"
WALLETS = "hathorWallets"
PROPOSALS = "hathorProposals"
REALTIME = "hathorRealtime"
PUSH = "hathorPush"
SOCKETS_ROUTE = "/"
SYNC_LEASE = "sync"
NODE_CHECK_S = 10.0
RECHECK_S = 10.0
EXPIRE_MESSAGES_S = 300.0
MESSAGE_LIFE_MS = 3_600_000


class HathorLedger(LedgerBase[HathorSettings]):
    """One running Hathor wallet service."""

    def __init__(self, definition: AnyLedger, settings: HathorSettings, surroundings: Surroundings) -> None:
        super().__init__(definition, settings, surroundings)
        clock, metrics = self.clock, self.metrics
        self.outbox = Outbox(clock)
        self.outbox.hear(
            DESTINATION,
            in_turn(wallet_events(self.announcer), voided_payments(self.payment_events, VOIDED)),
        )
        self.loader = WalletLoader(self.database, clock, settings.network, self.background)
        self.node = HttpEventNode(settings.node_url, settings.ws_url)
        self.http_node = HttpNode(settings.node_url, clock, metrics)
        self.versions = Versions(self.database, self.http_node, clock)
        self._push_node = HttpPushNode(settings.node_url)
        self.bus = Bus()
        self.outbox_reader = OutboxReader(self.database, DESTINATION)
        self._live: Live | None = None
        self._pusher: Pusher | None = None
        for close in (self.node.close, self.http_node.close, self._push_node.close):
            self.stack.push_async_callback(close)

    async def has_wallet(self, name: str) -> bool:
        return await read_wallet(self.database, name) is not None

    def browser(self) -> HathorBrowser:
        return HathorBrowser(self.database, self.clock, self.definition.coin)

    async def assemble(self) -> None:
        self._open_bus()
        await self.outbox_reader.begin()  # before anybody can join
        self._pusher = self._open_pusher()
        self._broadcaster = Broadcaster(
            network=TransactionNetwork(self._push_node, self.clock),
            effects=self.payment_events.around(ProposalEffects(self.clock, self.metrics)),
            database=self.database,
            clock=self.clock,
            entropy=self.entropy,
            background=self.background,
            pace=PACE,
        )
        self.health.watch(PROPOSALS, self._broadcaster.check)
        sending = self.metrics.gauge(
            "strongroom_hathor_proposals_sending", "Transactions whose outcome is open."
        )
        sending.set_function(lambda: self._broadcaster.count)
        self._submitter = Submitter(
            database=self.database,
            broadcaster=self._broadcaster,
            versions=self.versions,
            clock=self.clock,
            network=self.settings.network,
            verify=self.settings.api.verify_proposals,
            policy=BroadcastPolicy(self.signing_gate(), self.settings.network),
        )
        self._sync_health = self.loops.watch(SYNC)
        self._stream_health = self.loops.watch(NODE, part="stream")
        self._sync = Sync(
            database=self.database,
            node=self.node,
            clock=self.clock,
            entropy=self.entropy,
            outbox=self.outbox,
            reports=SyncReports(
                health=self._sync_health,
                node_health=self._stream_health,
                metrics=SyncMetrics(self.metrics),
            ),
            settings=SyncSettings(
                network=self.settings.network,
                pins=Pins(
                    network=self.settings.fullnode_network,
                    peer_id=self.settings.peer_id,
                    stream_id=self.settings.stream_id,
                ),
                window=self.settings.sync_window,
                push_age_s=self.settings.push.age_s if self.settings.push.enabled else None,
            ),
        )

    def applications(self) -> Mapping[str, Any]:
        applications = Applications(self, self._submitter)
        self._live = applications.live()
        return {API_SURFACE: applications.api(), SOCKET_SURFACE: self._live.application}

    def surfaces(self) -> list[Surface]:
        """The API for wallets; none without AUTH_SECRET, for then nobody could hold a token."""
        api = self.settings.api
        if not api.auth_secrets:
            self.health.report(API, Status.DEGRADED, "AUTH_SECRET is not set: wallets are not served")
            return []
        self.health.watch(NODE, self.http_node.health, part="breaker")
        sockets = self.settings.sockets
        if not sockets.require_token and not is_loopback(api.host):
            log.warning("who knows a wallet's id may watch it: HATHOR_WS_REQUIRE_TOKEN is not set")
        return [
            Surface(
                name=API_SURFACE,
                application=self.opening(API_SURFACE, before_opening, HEADERS),
                host=api.host,
                port=api.port,
                access=Access.TOKEN,
                dialect=refused_at_door,
                max_body=None,  # the application words its refusal
                proxies=api.proxies,
            ),
            Surface(
                name=SOCKET_SURFACE,
                application=self.opening(SOCKET_SURFACE, before_opening, route=SOCKETS_ROUTE),
                host=api.host,
                port=sockets.port,
                access=self.settings.socket_access,
                max_frame=MAX_FRAME,
                compresses_frames=False,
                max_body=MAX_FRAME,
                dialect=refused_at_door,
                proxies=api.proxies,
            ),
        ]

    def start_loops(self) -> None:
        """Follows the node, when and as long as this process leads, and tells its own connections."""
        loops = self.loops
        ask = NodeGauges(self.definition.name, self.metrics, self.clock).asking(self.http_node.heights)
        loops.start(loops.every(NODE, NODE_CHECK_S, ask, part="http", down_after=1))
        loops.start(loops.collect(self.component("Metrics"), "index", self._height, every_s=NODE_CHECK_S))
        loops.start(loops.every(WALLETS, RECHECK_S, self.loader.recheck, part="recheck"))
        loops.check(WALLETS, self.loader.check, part="loads")
        self.background.start(self.bus.run())
        if (live := self._live) is not None:
            loops.start(loops.run(REALTIME, lambda context: live.realtime.run(context.health)))
            if self.settings.sockets.require_token:
                loops.start(loops.every(REALTIME, CHECK_S, live.rights.end_outdated, part="tokens"))
            watch_backlog(
                loops, REALTIME, self._backlog(DESTINATION, last_read_id=lambda: self.outbox_reader.last_id)
            )
        if self._pusher is not None:
            loops.check(PUSH, self._pusher.check, part="deliveries")
            watch_backlog(loops, PUSH, self._backlog(pushes.DESTINATION))
        self.under(SYNC_LEASE, self._workers())

    def finish_waits(self) -> None:
        self._submitter.drain()

    async def verifier(self, *, repair: bool) -> Verifier:
        """Compares the derived rows with the chain's record; needs the node for its rules."""
        return Verifier(
            database=self.database,
            clock=self.clock,
            rules=await self._sync.read_rules(),
            repair=repair,
        )

    async def _height(self) -> list[Sample]:
        height = self.metrics.reading(
            "strongroom_hathor_index_height", "The height of the best block that the sync has applied."
        )
        return [Sample(height, (), await read_best_height(self.database))]

    def _backlog(self, destination: str, last_read_id: Callable[[], int] = lambda: 0) -> BacklogWatch:
        return BacklogWatch(
            self.definition.name,
            destination,
            database=self.database,
            clock=self.clock,
            metrics=self.metrics,
            limits=self.settings.backlog,
            last_read_id=last_read_id,
        )

    def _open_bus(self) -> None:
        if self.settings.redis is not None:
            self.bus = RedisBus(self.settings.redis, self.clock, self.entropy, self.health)
        self.stack.push_async_callback(self.bus.close)
        self.outbox.listen(DESTINATION, lambda _wallet_id: self.bus.publish(DESTINATION))

    def _open_pusher(self) -> Pusher | None:
        """None: notifications are off."""
        push = self.settings.push
        if not push.enabled:
            return None
        service = None
        if push.account is not None:
            service = Fcm(push.account, push.url, self.clock)
            self.stack.push_async_callback(service.close)
        return Pusher(
            database=self.database,
            outbox=self.outbox,
            clock=self.clock,
            entropy=self.entropy,
            metrics=PushMetrics(self.metrics),
            service=service,
            rules=PushRules(providers=push.providers, age_s=push.age_s),
        )

    def _workers(self) -> list[Loop]:
        """What one process does for all."""
        loops = self.loops
        lost = lost_payment(self.payment_events)
        sweep = ProposalSweep(self.database, self._broadcaster, self._push_node, self.clock, lost)
        returned = ReturnedPayments(self.database, self._broadcaster, self.clock)
        workers = [
            loops.run(SYNC, self._follow, health=self._sync_health, rest=self._stream_health.stand_by),
            loops.every(WALLETS, LOOK_S, self.loader.look, part="look"),
            loops.every(PROPOSALS, SWEEP_S, sweep.sweep, part="sweep"),
            loops.every(PROPOSALS, RETURNED_S, returned.look, part="returned"),
            self.carrying_out(ApprovedBroadcasts(self._submitter)),
            loops.every(REALTIME, EXPIRE_MESSAGES_S, self._expire_messages, part="expiry"),
        ]
        if (pusher := self._pusher) is not None:
            workers += [
                loops.run(PUSH, lambda context: pusher.run(context.health), rest=pusher.rest),
                loops.every(PUSH, EXPIRY_S, pusher.expire, part="expiry"),
            ]
        return workers

    async def _follow(self, context: LoopContext) -> None:
        try:
            await self._sync.run(context.term)
        except WrongSourceError as error:
            self.fail(Conflict(str(error)))
            await asyncio.Event().wait()  # a person has to act; the lease stays ours, health says why

    async def _expire_messages(self) -> None:
        """A realtime message that nobody fetched in time is old news: the wallet reads its state instead."""
        await self.database.write(
            partial(self.outbox.expire, destination=DESTINATION, age_ms=MESSAGE_LIFE_MS)
        )
