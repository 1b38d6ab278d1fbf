"""Assembles the Atto ledger: its use cases, surface, workers and health."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from litestar import Litestar

from strongroom.atto.api.application import Services, create_application
from strongroom.atto.api.documentation import PAGE
from strongroom.atto.api.errors import ErrorMapper
from strongroom.atto.following.follower import RETRY_S, Follower
from strongroom.atto.following.streams import AddressStream
from strongroom.atto.gateway import WorkSource
from strongroom.atto.gateway.hedged_worker import HedgedWorker
from strongroom.atto.gateway.local_worker import LocalWorker
from strongroom.atto.gateway.node import HttpNode
from strongroom.atto.gateway.node_clock import REFRESH_S, TIME, NodeClock
from strongroom.atto.gateway.node_network import CHECK_S, NodeNetwork
from strongroom.atto.gateway.node_network import COMPONENT as NETWORK
from strongroom.atto.gateway.remote_worker import RemoteWorker
from strongroom.atto.history.callbacks import DESTINATION, QUIET_TICK_S, Callbacks
from strongroom.atto.history.queries import Queries
from strongroom.atto.history.store import POLL_S, History
from strongroom.atto.protocol import AccountState, Address, Block, Receivable
from strongroom.atto.receiving.receivable_check import CHECK_S as RECEIVABLES_CHECK_S
from strongroom.atto.receiving.receivable_check import ReceivableCheck
from strongroom.atto.receiving.receiver import Receiver, ReceivingRules
from strongroom.atto.receiving.troubles import Troubles
from strongroom.atto.settings import API_SURFACE, AttoSettings
from strongroom.atto.transactions.drafting import Drafts
from strongroom.atto.transactions.effects import BlockEffects
from strongroom.atto.transactions.publishing import BlockNetwork, BlockResolver, OpenBlocks
from strongroom.atto.transactions.service import Transactions
from strongroom.atto.transactions.submitter import Submitter
from strongroom.atto.transactions.work_cache import WorkCache
from strongroom.atto.transactions.work_search import WorkSearch
from strongroom.atto.wallets.accounts import AccountListeners, Accounts
from strongroom.atto.wallets.adoption import adopt_accounts
from strongroom.atto.wallets.keyring import Keyring
from strongroom.atto.wallets.recovery import Recoverer
from strongroom.atto.wallets.scan_progress import ScanProgress
from strongroom.atto.wallets.wallets import Wallets
from strongroom.atto.wallets.watched_addresses import POLL_S as ACCOUNTS_S
from strongroom.atto.wallets.watched_addresses import MonitoredAddresses
from strongroom.core.coordination.idempotency import Idempotency, instance_lease
from strongroom.core.coordination.lease import Lease
from strongroom.core.coordination.loops import Loop, Turn
from strongroom.core.http.listener import Surface
from strongroom.core.intents.resolver import Pace
from strongroom.core.intents.signing import Signing
from strongroom.core.ledger.base import LedgerBase
from strongroom.core.ledger.contract import AnyLedger, Surroundings
from strongroom.core.messaging.backlog import BacklogWatch, watch_backlog
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.policy import Policy, SigningGate
from strongroom.core.security.tokens import Gatekeeper

T = TypeVar("T")

log = structlog.get_logger(__name__)

# The components of health.
NODE = "attoNode"
ACCOUNTS = "attoAccounts"
STATES = "attoStates"
RECEIVABLES = "attoReceivables"
RECEIVER = "attoReceiver"
PENDING = "attoPendingBlocks"
HISTORY = "attoHistory"
CALLBACKS = "attoCallbacks"
WORK = "attoWork"
PURGE = "attoPurge"
INSTANCE = "attoInstance"
WORKERS_LEASE = "workers"
PURGE_S = 3600.0
SWEEP_S = 10.0
PACE = Pace(noun="blocks")


class AttoLedger(LedgerBase[AttoSettings]):
    """One running Atto wallet server."""

    def __init__(self, definition: AnyLedger, settings: AttoSettings, surroundings: Surroundings) -> None:
        super().__init__(definition, settings, surroundings)
        self._errors = ErrorMapper(self.clock, self.metrics)

    async def adopt(self) -> None:
        await adopt_accounts(self.database)

    async def assemble(self) -> None:
        self._assemble()
        await self._monitored.load()
        await self._follower.load()

    def surfaces(self) -> list[Surface]:
        return [
            Surface(
                name=API_SURFACE,
                application=self.opening(API_SURFACE, self._errors.refused_at_door),
                host=self.settings.host,
                port=self.settings.port,
                access=self.settings.access,
                json_only=True,
                dialect=self._errors.refused_at_door,
                pages=frozenset({PAGE}),
            )
        ]

    def applications(self) -> Mapping[str, Any]:
        return {API_SURFACE: self._application()}

    def start_loops(self) -> None:
        """Some in every process, those that must be alone under a lease."""
        loops = self.loops
        loops.start(
            loops.every(
                NODE,
                REFRESH_S,
                self._ask_node,
                down_after=1,
                max_pause_s=REFRESH_S,
                initially=Status.DOWN,
            )
        )
        loops.start(
            loops.every(
                NODE,
                CHECK_S,
                self._node_network.check,
                part="network",
                wake=self._node_network.recheck,
                max_pause_s=REFRESH_S,
            )
        )
        loops.start(loops.every(ACCOUNTS, ACCOUNTS_S, self._monitored.look))
        if self.settings.callback_url is None:
            loops.start(loops.every(CALLBACKS, QUIET_TICK_S, self._callbacks.advance, part="progress"))
        watch_backlog(loops, CALLBACKS, self._backlog)
        loops.start(loops.run(INSTANCE, self._live))
        self.under(WORKERS_LEASE, self._workers())

    async def _live(self, turn: Turn) -> None:
        """Holds the lease that says that this process lives."""

        async def hold(_lease: Lease) -> None:
            await asyncio.Event().wait()

        await self.leases.lead(instance_lease(self.leases.holder), hold, turn.health)

    def finish_waits(self) -> None:
        self._submitter.drain()

    def _workers(self) -> list[Loop]:
        """What one process does for all. Two at once would be wasteful, not wrong: blocks are guarded by their slots."""
        loops = self.loops
        states = self._stream(STATES, self._node.states, self._follower.handle)
        receivables = self._stream(RECEIVABLES, self._open_receivables, self._receiver.handle)
        loops.check(RECEIVER, self._receiver.deposits, part="deposits")
        loops.check(CALLBACKS, self._callbacks.deliveries, part="deliveries")
        return [
            loops.every(PENDING, SWEEP_S, self._resolver.sweep, part="sweep"),
            loops.every(STATES, RETRY_S, self._follower.retry, part="retry"),
            loops.run(STATES, states.run),
            loops.run(RECEIVABLES, receivables.run),
            loops.run(RECEIVER, self._receiver.store, part="store"),
            loops.run(RECEIVER, self._receiver.run, rest=self._receiver.rest),
            loops.every(RECEIVER, RECEIVABLES_CHECK_S, self._receivable_check.check, part="check"),
            loops.every(HISTORY, POLL_S, self._history.fill_gaps, wake=self._history.changed),
            loops.run(CALLBACKS, self._callbacks.run, rest=self._callbacks.rest),
            loops.every(PURGE, PURGE_S, self._idempotency.purge),
        ]

    def _assemble(self) -> None:
        settings, clock, entropy, database = self.settings, self.clock, self.entropy, self.database
        self._idempotency = Idempotency(database, clock, self.leases)
        self._node = HttpNode(settings.node_url, clock)
        self.stack.push_async_callback(self._node.close)
        self._node_clock = NodeClock(self._node, clock)
        self._node_network = NodeNetwork(self._node, settings.network)
        self._node_is_away = False
        self.health.watch(NETWORK, self._node_network.verdict, vital=True)
        self.health.watch(TIME, self._node_clock.steadiness)
        self._monitored = MonitoredAddresses(database)
        self._outbox = Outbox(clock)
        self._callbacks = Callbacks(
            url=settings.callback_url,
            header=settings.callback_header,
            database=database,
            outbox=self._outbox,
            clock=clock,
            entropy=entropy,
            metrics=self.metrics,
        )
        self.stack.push_async_callback(self._callbacks.close)
        self._backlog = BacklogWatch(
            DESTINATION, database=database, clock=clock, metrics=self.metrics, limits=settings.backlog
        )
        self._history = History(
            node=self._node,
            database=database,
            network=settings.network,
            callbacks=self._callbacks,
        )
        self._assemble_signing()
        self._assemble_submitter()
        self._assemble_following()
        self._assemble_services()

    def _assemble_signing(self) -> None:
        settings, clock, entropy, database = self.settings, self.clock, self.entropy, self.database
        self._keyring = Keyring(
            vault=self.vault,
            bindings=self.bindings,
            clock=clock,
            cache_s=settings.key_cache_s,
            refused=self.key_watch.notice,
        )
        self._work_desk = WorkCache(
            WorkSearch(
                source=self._work_source(),
                network=settings.network,
                node_clock=self._node_clock,
                clock=clock,
                entropy=entropy,
                health=self.loops.watch(WORK, down_after=1),
                metrics=self.metrics,
            ),
            database=database,
            background=self.background,
        )
        self._block_network = BlockNetwork(
            node=self._node,
            network=settings.network,
            node_clock=self._node_clock,
            overtaken=self._overtaken,
        )
        self._resolver = BlockResolver(
            network=self._block_network,
            effects=BlockEffects(
                network=settings.network,
                store_and_announce=self._history.store_and_announce,
                confirmed=self._confirmed,
                metrics=self.metrics,
            ),
            database=database,
            clock=clock,
            entropy=entropy,
            background=self.background,
            pace=PACE,
        )
        self.health.watch(PENDING, self._resolver.check)
        open_blocks = self.metrics.gauge("strongroom_atto_pending_blocks", "Blocks whose outcome is open.")
        open_blocks.set_function(lambda: self._resolver.count)

    def _assemble_submitter(self) -> None:
        settings = self.settings
        self._submitter = Submitter(
            drafts=Drafts(
                network=settings.network,
                node_clock=self._node_clock,
                keyring=self._keyring,
                idempotency=self._idempotency,
            ),
            signing=Signing(
                self.definition.name,
                database=self.database,
                gate=SigningGate(Policy(), self.audit),
                clock=self.clock,
                metrics=self.metrics,
            ),
            resolver=self._resolver,
            work=self._work_desk,
            node_clock=self._node_clock,
            node_network=self._node_network,
            timeout_s=settings.request_timeout_s,
        )

    def _assemble_following(self) -> None:
        settings, database = self.settings, self.database
        self._follower = Follower(
            node=self._node,
            database=database,
            network=settings.network,
            monitored=self._monitored,
            open_blocks=OpenBlocks(self._resolver, self._block_network),
            moved=self._moved,
            metrics=self.metrics,
        )
        self._receiver = Receiver(
            node=self._node,
            database=database,
            monitored=self._monitored,
            submitter=self._submitter,
            troubles=Troubles(self.clock, self.entropy),
            rules=ReceivingRules(
                network=settings.network,
                default_representative=settings.default_representative,
                minimum_raw=settings.receive_minimum_raw,
            ),
            metrics=self.metrics,
        )

        self._receivable_check = ReceivableCheck(
            node=self._node,
            database=database,
            network=settings.network,
            node_network=self._node_network,
            clock=self.clock,
        )

    def _assemble_services(self) -> None:
        scan_progress = ScanProgress(self.clock, self.settings.scan_limit)
        accounts = Accounts(
            database=self.database,
            network=self.settings.network,
            keyring=self._keyring,
            audit=self.audit,
            clock=self.clock,
            listeners=AccountListeners(
                monitored=self._monitored,
                refresh=self._follower.refresh,
                wake_receiver=self._receiver.wake,
            ),
            progress=scan_progress,
        )
        self._services = Services(
            wallets=Wallets(
                database=self.database,
                vault=self.vault,
                bindings=self.bindings,
                keyring=self._keyring,
                audit=self.audit,
                entropy=self.entropy,
            ),
            accounts=accounts,
            recoverer=Recoverer(
                accounts=accounts,
                node=self._node,
                database=self.database,
                progress=scan_progress,
            ),
            transactions=Transactions(self._submitter, self.database),
            queries=Queries(self.database, self.settings.network),
            history=self._history,
            receiver=self._receiver,
            scan_progress=scan_progress,
        )

    async def _ask_node(self) -> None:
        """Its time; and its network where it was away, as another one may have taken its address."""
        try:
            await self._node_clock.refresh()
        except Exception:
            self._node_is_away = True
            raise
        if self._node_is_away:
            self._node_is_away = False
            self._node_network.recheck.set()

    def _confirmed(self, block: Block, is_complete: bool) -> None:
        self._follower.settled(block.public_key, block.height)
        self._callbacks.wake_delivery(block.address)
        self._work_desk.prepare(block.address, block.hash)
        if not is_complete:
            self._history.wake()

    async def _overtaken(self, state: AccountState) -> None:
        await self._follower.take_over(state)

    def _moved(self, state: AccountState) -> None:
        self._history.wake()
        self._work_desk.prepare(Address(public_key=state.public_key), state.frontier)

    def _open_receivables(self, addresses: Sequence[Address]) -> AsyncGenerator[Receivable, None]:
        return self._node.receivables(addresses, self.settings.receive_minimum_raw)

    def _stream(
        self,
        name: str,
        open_stream: Callable[[Sequence[Address]], AsyncGenerator[T, None]],
        handle: Callable[[T], Awaitable[None]],
    ) -> AddressStream[T]:
        return AddressStream(
            name=name,
            open_stream=open_stream,
            handle=handle,
            monitored=self._monitored,
            clock=self.clock,
            entropy=self.entropy,
        )

    def _application(self) -> Litestar:
        return create_application(
            self._services,
            idempotency=self._idempotency,
            gatekeeper=Gatekeeper(self.tokens, required=self.settings.require_token),
            errors=self._errors,
        )

    def _work_source(self) -> WorkSource:
        settings = self.settings
        local: LocalWorker | None = None
        if settings.work_url is None or settings.work_fallback:
            local = LocalWorker(settings.work_threads)
            self.stack.push_async_callback(local.close)
            log.info(
                "this machine can search for proof of work",
                engine=local.engine,
                threads=settings.work_threads,
            )
        if settings.work_url is None:
            assert local is not None  # noqa: S101 - for the type checker
            return local
        remote = RemoteWorker(settings.work_url, settings.work_timeout_s)
        self.stack.push_async_callback(remote.close)
        sources: list[WorkSource] = [remote, remote, remote] if local is None else [remote, local]
        return HedgedWorker(sources, self.clock, settings.work_hedge_s)
