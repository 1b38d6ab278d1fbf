"""Makes the applications of the Hathor ledger's two surfaces: the API for wallets, and the WebSockets that tell them of news."""

from dataclasses import dataclass
from typing import Final, Protocol

from litestar.types import ASGIApp

from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.http.door import DoorRules
from strongroom.core.http.hosts import is_loopback
from strongroom.core.messaging.bus import Bus
from strongroom.core.messaging.outbox_reader import OutboxReader
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.attempts import Attempts
from strongroom.core.security.authentication import Gatekeeper, TokenCheck
from strongroom.core.storage.database import Database
from strongroom.hathor.api.admission import Admission, Clients
from strongroom.hathor.api.application import FirstApi, Services, create_application
from strongroom.hathor.api.first_api.access import LegacyAccess
from strongroom.hathor.api.first_api.proposals import LegacyProposals
from strongroom.hathor.api.first_api.wallets import LegacyWallets
from strongroom.hathor.api.live.delivery import Realtime
from strongroom.hathor.api.live.rights import SocketRights
from strongroom.hathor.api.live.sockets import SocketApplication, SocketRules
from strongroom.hathor.api.live.subscriptions import SocketMetrics, Subscriptions
from strongroom.hathor.api.network.node import NodeView
from strongroom.hathor.api.network.operations import OperationRules, Operations
from strongroom.hathor.api.wallets.registration import Registration, RegistrationRules
from strongroom.hathor.gateway.network_rules import Versions
from strongroom.hathor.gateway.node import HttpNode
from strongroom.hathor.index.supply import Supplies
from strongroom.hathor.notifications.devices import Devices
from strongroom.hathor.proposals.service import Proposals
from strongroom.hathor.proposals.submitter import Submitter
from strongroom.hathor.settings import HathorSettings
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Tokens
from strongroom.hathor.wallets.loading import WalletLoader

LOAD_WAIT_S: Final = 3.0
"""Of the ten seconds that clients wait for an answer."""


class Served(Protocol):
    """What is asked of the ledger."""

    settings: HathorSettings
    database: Database
    clock: Clock
    entropy: Entropy
    metrics: Metrics
    rates: RateLimiter
    attempts: Attempts
    token_check: TokenCheck
    withdrawals: Withdrawals
    loader: WalletLoader
    http_node: HttpNode
    versions: Versions
    bus: Bus
    outbox_reader: OutboxReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The WebSockets, and what tells them of news."""

    application: SocketApplication
    rights: SocketRights
    realtime: Realtime


class Applications:
    def __init__(self, ledger: Served, submitter: Submitter) -> None:
        """The ledger is assembled."""
        self._ledger = ledger
        self._submitter = submitter
        self._tokens = Tokens(ledger.settings.api.auth_secrets, ledger.clock, ledger.entropy)
        self._reader = WalletReader(ledger.database, ledger.clock, ledger.settings.network)

    def live(self) -> Live:
        ledger, settings = self._ledger, self._ledger.settings.sockets
        metrics = SocketMetrics(ledger.metrics)
        subscriptions = Subscriptions(metrics)
        rights = SocketRights(self._reader, self._tokens)
        realtime = Realtime(
            outbox_reader=ledger.outbox_reader,
            bus=ledger.bus,
            clock=ledger.clock,
            subscriptions=subscriptions,
            metrics=metrics,
            amounts=ledger.settings.api.amounts,
        )
        application = SocketApplication(
            reader=self._reader,
            rights=rights,
            attempts=ledger.attempts,
            subscriptions=subscriptions,
            metrics=metrics,
            rules=SocketRules(
                require_token=settings.require_token,
                max_connections=settings.max_connections,
                max_subscriptions=settings.max_subscriptions,
                proxies=ledger.settings.api.proxies,
            ),
        )
        return Live(application=application, rights=rights, realtime=realtime)

    def api(self) -> ASGIApp:
        ledger, api = self._ledger, self._ledger.settings.api
        clients = Clients(ledger.rates, api.proxies, burst=api.auth_requests_a_minute)
        rules = RegistrationRules(
            network=ledger.settings.network,
            max_gap=ledger.settings.max_address_gap,
            max_retries=api.max_load_retries,
            confirm_first_address=api.confirm_first_address,
            load_wait_s=LOAD_WAIT_S,
            clock_skew_s=api.clock_skew_s,
        )
        proposals = Proposals(self._reader, ledger.versions, ledger.entropy, ledger.withdrawals)
        services = Services(
            database=ledger.database,
            registration=Registration(
                database=ledger.database,
                clock=ledger.clock,
                tokens=self._tokens,
                loader=ledger.loader,
                rules=rules,
            ),
            devices=Devices(self._reader),
            proposals=proposals,
            submitter=self._submitter,
            supplies=Supplies(ledger.database, ledger.clock, ledger.settings.network),
            node_view=NodeView(node=ledger.http_node, versions=ledger.versions, clock=ledger.clock),
            operations=self._operations(),
            first_api=self._first_api(rules, proposals) if api.legacy else None,
        )
        return create_application(
            services,
            Admission(
                self._reader,
                self._tokens,
                clients,
                ledger.attempts,
                self._legacy_access() if api.legacy else None,
            ),
            ledger.metrics,
            prefix=api.prefix,
            amounts=api.amounts,
        )

    def _legacy_access(self) -> LegacyAccess:
        """The first API is open on loopback, elsewhere behind API tokens."""
        ledger, api = self._ledger, self._ledger.settings.api
        return LegacyAccess(
            ledger.attempts.around(Gatekeeper(ledger.token_check, required=not is_loopback(api.host))),
            api.proxies,
            DoorRules(bound_to=api.host, allowed=api.callers),
        )

    def _first_api(self, rules: RegistrationRules, proposals: Proposals) -> FirstApi:
        ledger = self._ledger
        return FirstApi(
            wallets=LegacyWallets(
                database=ledger.database,
                clock=ledger.clock,
                loader=ledger.loader,
                rules=rules,
            ),
            proposals=LegacyProposals(
                proposals=proposals,
                entropy=ledger.entropy,
                network=ledger.settings.network,
                submitter=self._submitter,
                versions=ledger.versions,
            ),
        )

    def _operations(self) -> Operations:
        ledger, api = self._ledger, self._ledger.settings.api
        rules = OperationRules(
            network=ledger.settings.network.name,
            stage=api.stage,
            health_key=api.health_key,
            max_blocks_behind=api.max_blocks_behind,
        )
        redis_answers = (lambda: ledger.bus.is_shared) if ledger.settings.redis is not None else None
        return Operations(ledger.database, ledger.http_node, ledger.clock, rules, redis_answers)
