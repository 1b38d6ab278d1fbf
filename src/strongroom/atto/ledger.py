"""One running Atto ledger: its surface, its use cases, and the loops that keep them going."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from strongroom.atto import tables
from strongroom.atto.api.application import create_application
from strongroom.atto.api.documentation import DOCUMENTATION
from strongroom.atto.api.errors import ErrorMapper
from strongroom.atto.following.follower import RETRY_S
from strongroom.atto.following.streams import AddressStream
from strongroom.atto.history.browsing import AttoBrowser
from strongroom.atto.history.callbacks import DESTINATION, QUIET_TICK_S
from strongroom.atto.history.store import POLL_S
from strongroom.atto.names import API_SURFACE
from strongroom.atto.protocol import Address, Receivable
from strongroom.atto.receiving.receivable_check import CHECK_S
from strongroom.atto.settings import AttoSettings
from strongroom.atto.transactions.told import callback_of
from strongroom.atto.use_cases import PENDING, UseCases
from strongroom.atto.wallets.adoption import adopt_accounts
from strongroom.atto.wallets.foreign_accounts import foreign_accounts
from strongroom.atto.wallets.watched_addresses import POLL_S as ACCOUNTS_S
from strongroom.core.coordination.loops import Loop
from strongroom.core.http.listener import Surface
from strongroom.core.intents.intent import Intent
from strongroom.core.ledger.base import LedgerBase
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.ledger.telling import Telling
from strongroom.core.messaging.backlog import BacklogWatch, watch_backlog
from strongroom.core.security.authentication import Gatekeeper
from strongroom.core.transparency.inspection import TrailCheck

T = TypeVar("T")

# The components of health, beside those of `use_cases` and `gateway`.
ACCOUNTS = "attoAccounts"
STATES = "attoStates"
RECEIVABLES = "attoReceivables"
RECEIVER = "attoReceiver"
HISTORY = "attoHistory"
CALLBACKS = "attoCallbacks"

WORKERS_LEASE = "workers"
SWEEP_S = 10.0


class AttoLedger(LedgerBase[AttoSettings]):
    """One running Atto wallet server."""

    def __init__(self, definition: AnyLedger, settings: AttoSettings, surroundings: Surroundings) -> None:
        super().__init__(definition, settings, surroundings)
        self._errors = ErrorMapper(self.clock, self.metrics)

    async def has_wallet(self, name: str) -> bool:
        rows = await self.database.fetch_all(select(tables.wallet.c.name).where(tables.wallet.c.name == name))
        return any(row.name == name for row in rows)  # MySQL ignores case here, and signatures do not

    def browser(self) -> AttoBrowser:
        return AttoBrowser(self.database, self.definition.coin)

    async def adopt(self) -> None:
        await adopt_accounts(self.database)

    def tellings(self, connection: Connection, intent: Intent) -> Sequence[Telling]:
        return callback_of(connection, intent, has_url=self.settings.callback_url is not None)

    def own_checks(self) -> Sequence[TrailCheck]:
        return (partial(foreign_accounts, self.database, self.custody),)

    async def assemble(self) -> None:
        self.use_cases = UseCases(self)
        await self.use_cases.load()

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
                max_body=None,  # the application words its refusal
                pages=frozenset({DOCUMENTATION.page}),
                proxies=self.settings.trusted_proxies,
            )
        ]

    def applications(self) -> Mapping[str, Any]:
        api = create_application(
            self.use_cases.services,
            idempotency=self.use_cases.idempotency,
            gatekeeper=self.attempts.around(
                Gatekeeper(self.token_check, required=self.settings.require_token)
            ),
            errors=self._errors,
            proxies=self.settings.trusted_proxies,
        )
        return {API_SURFACE: api}

    def finish_waits(self) -> None:
        self.use_cases.submitter.drain()

    def start_loops(self) -> None:
        """Some in every process, those that must be alone under a lease."""
        loops, use_cases = self.loops, self.use_cases
        use_cases.node_watch.start(loops)
        loops.start(loops.every(ACCOUNTS, ACCOUNTS_S, use_cases.monitored.look))
        if self.settings.callback_url is None:
            loops.start(loops.every(CALLBACKS, QUIET_TICK_S, use_cases.callbacks.advance, part="progress"))
        watch_backlog(loops, CALLBACKS, self._backlog())
        self.under(WORKERS_LEASE, self._workers())

    def _workers(self) -> list[Loop]:
        """What one process does for all. Two at once would be wasteful, not wrong: blocks are guarded by their slots."""
        loops, use_cases = self.loops, self.use_cases
        receiver, callbacks, history = use_cases.receiver, use_cases.callbacks, use_cases.history
        states = self._stream(STATES, use_cases.node.states, use_cases.follower.handle)
        receivables = self._stream(RECEIVABLES, self._open_receivables, use_cases.arrivals.handle)
        loops.check(RECEIVER, receiver.deposits, part="deposits")
        loops.check(CALLBACKS, callbacks.deliveries, part="deliveries")
        return [
            loops.every(PENDING, SWEEP_S, use_cases.resolver.sweep, part="sweep"),
            loops.every(STATES, RETRY_S, use_cases.follower.retry, part="retry"),
            loops.run(STATES, states.run),
            loops.run(RECEIVABLES, receivables.run),
            loops.run(RECEIVER, use_cases.arrivals.store, part="store"),
            loops.run(RECEIVER, receiver.run, rest=receiver.rest),
            loops.every(RECEIVER, CHECK_S, use_cases.receivable_check.check, part="check"),
            loops.every(HISTORY, POLL_S, history.fill_gaps, wake=history.changed),
            loops.run(CALLBACKS, callbacks.run, rest=callbacks.rest),
            self.carrying_out(use_cases.approved),
        ]

    def _backlog(self) -> BacklogWatch:
        return BacklogWatch(
            self.definition.name,
            DESTINATION,
            database=self.database,
            clock=self.clock,
            metrics=self.metrics,
            limits=self.settings.backlog,
        )

    def _open_receivables(self, addresses: Sequence[Address]) -> AsyncGenerator[Receivable, None]:
        return self.use_cases.node.receivables(addresses, self.settings.receive_minimum_raw)

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
            monitored=self.use_cases.monitored,
            clock=self.clock,
            entropy=self.entropy,
        )
