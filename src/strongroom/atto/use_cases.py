"""The use cases of the Atto ledger, each made of what it needs, and the ties between them.

Read it from the top: what is known of the node, history, signing, following and receiving, and at last what the API calls.
Three things happen in one use case and matter to others: a block of ours is confirmed, the state of an account moved, another
wallet's block took the slot of ours. `_confirmed`, `_moved` and `_overtaken` tell them.
"""

from strongroom.atto.api.application import Services
from strongroom.atto.following.follower import Follower
from strongroom.atto.gateway.node import HttpNode
from strongroom.atto.gateway.node_watch import NodeWatch
from strongroom.atto.gateway.work_sources import open_work_source
from strongroom.atto.history.callbacks import Callbacks
from strongroom.atto.history.queries import Queries
from strongroom.atto.history.store import History
from strongroom.atto.protocol import AccountState, Address, Block
from strongroom.atto.receiving.arrivals import Arrivals, ReceivingRules
from strongroom.atto.receiving.receivable_check import ReceivableCheck
from strongroom.atto.receiving.receiver import Receiver
from strongroom.atto.receiving.troubles import Troubles
from strongroom.atto.settings import AttoSettings
from strongroom.atto.transactions.approved import ApprovedTransactions
from strongroom.atto.transactions.drafting import Drafts
from strongroom.atto.transactions.effects import BlockEffects
from strongroom.atto.transactions.publishing import BlockNetwork, BlockResolver, OpenBlocks
from strongroom.atto.transactions.service import Transactions
from strongroom.atto.transactions.submitter import Submitter
from strongroom.atto.transactions.work_cache import WorkCache
from strongroom.atto.transactions.work_search import WorkSearch
from strongroom.atto.wallets.accounts import AccountListeners, Accounts
from strongroom.atto.wallets.attempts import KeyAttempts
from strongroom.atto.wallets.exports import Exports
from strongroom.atto.wallets.keyring import Keyring
from strongroom.atto.wallets.own_keys import OwnKeys
from strongroom.atto.wallets.recovery import Recoverer
from strongroom.atto.wallets.scan_progress import ScanProgress
from strongroom.atto.wallets.wallets import Wallets
from strongroom.atto.wallets.watched_addresses import MonitoredAddresses
from strongroom.core.coordination.guesses import Guesses
from strongroom.core.intents.resolver import Pace
from strongroom.core.intents.signing import Signing
from strongroom.core.ledger.base import LedgerBase
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.runtime.node_gauges import NodeGauges

# The components of health.
PENDING = "attoPendingBlocks"
WORK = "attoWork"

PACE = Pace(noun="blocks", ledger="atto")
WALLET_KEYS = "atto wallet key"


class UseCases:
    """Everything that one running Atto ledger does. `load` reads what it must know before it is asked."""

    def __init__(self, ledger: LedgerBase[AttoSettings]) -> None:
        self._ledger = ledger
        self._make_node()
        self._make_history()
        self._make_submitter()
        self._make_following()
        self.services = self._make_services()
        self.approved = ApprovedTransactions(self.services.transactions, self.idempotency)

    async def load(self) -> None:
        await self.monitored.load()
        await self.follower.load()

    def _make_node(self) -> None:
        ledger, settings = self._ledger, self._ledger.settings
        self.node = HttpNode(settings.node_url, ledger.clock)
        ledger.stack.push_async_callback(self.node.close)
        gauges = NodeGauges(ledger.definition.name, ledger.metrics, ledger.clock)
        self.node_watch = NodeWatch(self.node, settings.network, ledger.clock, ledger.health, gauges)
        self.monitored = MonitoredAddresses(ledger.database)

    def _make_history(self) -> None:
        ledger, settings = self._ledger, self._ledger.settings
        self.callbacks = Callbacks(
            url=settings.callback_url,
            header=settings.callback_header,
            database=ledger.database,
            outbox=Outbox(ledger.clock),
            clock=ledger.clock,
            entropy=ledger.entropy,
            metrics=ledger.metrics,
        )
        ledger.stack.push_async_callback(self.callbacks.close)
        self.history = History(
            node=self.node,
            database=ledger.database,
            network=settings.network,
            callbacks=self.callbacks,
            announcer=ledger.announcer,
        )

    def _make_submitter(self) -> None:
        """A block's way: a draft, the work for it, the signature in one write, and the resolver that finds its outcome."""
        ledger, settings = self._ledger, self._ledger.settings
        self.idempotency = ledger.remember_requests()
        self._keyring = Keyring(
            vault=ledger.vault,
            bindings=ledger.bindings,
            clock=ledger.clock,
            cache_s=settings.key_cache_s,
            refused=ledger.key_watch.notice,
        )
        ledger.when_sealed(self._keyring.forget_all)
        self._work_cache = self._make_work_cache()
        self.resolver = self._make_resolver()
        self.submitter = Submitter(
            drafts=Drafts(
                network=settings.network,
                node_clock=self.node_watch.clock,
                keyring=self._keyring,
                idempotency=self.idempotency,
                policy=ledger.guard,
            ),
            signing=Signing(
                ledger.definition.name,
                database=ledger.database,
                gate=ledger.signing_gate(),
                clock=ledger.clock,
                metrics=ledger.metrics,
            ),
            resolver=self.resolver,
            work=self._work_cache,
            node_clock=self.node_watch.clock,
            node_network=self.node_watch.network,
            timeout_s=settings.request_timeout_s,
        )

    def _make_work_cache(self) -> WorkCache:
        ledger, settings = self._ledger, self._ledger.settings
        search = WorkSearch(
            source=open_work_source(settings, ledger.clock, ledger.stack),
            network=settings.network,
            node_clock=self.node_watch.clock,
            clock=ledger.clock,
            entropy=ledger.entropy,
            health=ledger.loops.watch(WORK, down_after=1),
            metrics=ledger.metrics,
        )
        return WorkCache(search, database=ledger.database, background=ledger.background)

    def _make_resolver(self) -> BlockResolver:
        ledger, settings = self._ledger, self._ledger.settings
        self.block_network = BlockNetwork(
            node=self.node,
            network=settings.network,
            node_clock=self.node_watch.clock,
            overtaken=self._overtaken,
        )
        resolver = BlockResolver(
            network=self.block_network,
            effects=ledger.payment_events.around(
                BlockEffects(
                    network=settings.network,
                    store_and_announce=self.history.store_and_announce,
                    confirmed=self._confirmed,
                    metrics=ledger.metrics,
                )
            ),
            database=ledger.database,
            clock=ledger.clock,
            entropy=ledger.entropy,
            background=ledger.background,
            pace=PACE,
        )
        ledger.health.watch(PENDING, resolver.check)
        open_blocks = ledger.metrics.gauge("strongroom_atto_pending_blocks", "Blocks whose outcome is open.")
        open_blocks.set_function(lambda: resolver.count)
        return resolver

    def _make_following(self) -> None:
        ledger, settings = self._ledger, self._ledger.settings
        self.follower = Follower(
            node=self.node,
            database=ledger.database,
            network=settings.network,
            monitored=self.monitored,
            open_blocks=OpenBlocks(self.resolver, self.block_network),
            moved=self._moved,
            metrics=ledger.metrics,
        )
        rules = ReceivingRules(
            network=settings.network,
            default_representative=settings.default_representative,
            minimum_raw=settings.receive_minimum_raw,
        )
        self.arrivals = Arrivals(ledger.database, self.monitored, rules)
        self.receiver = Receiver(
            node=self.node,
            database=ledger.database,
            arrivals=self.arrivals,
            submitter=self.submitter,
            troubles=Troubles(ledger.clock, ledger.entropy),
            rules=rules,
            metrics=ledger.metrics,
        )
        self.receivable_check = ReceivableCheck(
            node=self.node,
            database=ledger.database,
            network=settings.network,
            node_network=self.node_watch.network,
            clock=ledger.clock,
        )

    def _make_services(self) -> Services:
        ledger = self._ledger
        progress = ScanProgress(ledger.clock, ledger.settings.scan_limit)
        attempts = KeyAttempts(
            ledger.database, self._keyring, Guesses(WALLET_KEYS, ledger.clock), ledger.audit
        )
        wallets = Wallets(
            database=ledger.database,
            vault=ledger.vault,
            bindings=ledger.bindings,
            keyring=self._keyring,
            audit=ledger.audit,
            entropy=ledger.entropy,
            attempts=attempts,
        )
        own_keys = OwnKeys(
            database=ledger.database,
            vault=ledger.vault,
            bindings=ledger.bindings,
            keyring=self._keyring,
            audit=ledger.audit,
            attempts=attempts,
        )
        accounts = Accounts(
            database=ledger.database,
            network=ledger.settings.network,
            keyring=self._keyring,
            audit=ledger.audit,
            clock=ledger.clock,
            listeners=AccountListeners(
                monitored=self.monitored,
                refresh=self.follower.refresh,
                wake_receiver=self.receiver.wake,
            ),
            progress=progress,
        )
        return Services(
            wallets=wallets,
            own_keys=own_keys,
            exports=Exports(ledger.database, self._keyring, ledger.signing_gate()),
            accounts=accounts,
            recoverer=Recoverer(
                accounts=accounts, node=self.node, database=ledger.database, progress=progress
            ),
            transactions=Transactions(self.submitter, ledger.database),
            queries=Queries(ledger.database, ledger.settings.network),
            history=self.history,
            receiver=self.receiver,
            scan_progress=progress,
            approvals=ledger.approvals,
        )

    def _confirmed(self, block: Block, is_complete: bool) -> None:
        self.follower.settled(block.public_key, block.height)
        self.callbacks.entries_stored(block.address)
        self._work_cache.prepare(block.address, block.hash)
        if not is_complete:
            self.history.wake()

    def _moved(self, state: AccountState) -> None:
        self.history.wake()
        self._work_cache.prepare(Address(public_key=state.public_key), state.frontier)

    async def _overtaken(self, state: AccountState) -> None:
        await self.follower.take_over(state)
