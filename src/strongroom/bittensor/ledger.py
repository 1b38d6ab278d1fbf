"""Assembles the Bittensor ledger: its use cases, surface, workers and health."""

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar import Litestar
from sqlalchemy import select

from strongroom.bittensor import tables
from strongroom.bittensor.api.access import Callers
from strongroom.bittensor.api.application import Services, create_application
from strongroom.bittensor.api.documentation import DOCUMENTATION
from strongroom.bittensor.api.errors import before_opening, refused_at_door
from strongroom.bittensor.authorization.authentication import Authenticator
from strongroom.bittensor.authorization.limits import TokenLimits
from strongroom.bittensor.calls.exports import Exports
from strongroom.bittensor.calls.messages import Messages
from strongroom.bittensor.chain_work import ChainWork
from strongroom.bittensor.keystore.browsing import BittensorBrowser
from strongroom.bittensor.keystore.keyfile_folder import WalletFolder
from strongroom.bittensor.keystore.keyring import KeyFiles, Keyring
from strongroom.bittensor.keystore.wallets import Wallets
from strongroom.bittensor.names import API_SURFACE
from strongroom.bittensor.settings import BittensorSettings
from strongroom.bittensor.weights.watch import WATCH_S, ValidatorWatch
from strongroom.core.http.listener import Surface
from strongroom.core.ledger.base import LedgerBase

KEYS = "bittensorKeys"
FORGET_S = 5.0


class BittensorLedger(LedgerBase[BittensorSettings]):
    """One running Bittensor wallet service."""

    async def has_wallet(self, name: str) -> bool:
        found = await self.database.fetch_one(select(tables.key.c.wallet).where(tables.key.c.wallet == name))
        path = self.settings.wallet_path
        return found is not None or (
            path is not None and name in await asyncio.to_thread(WalletFolder(path).wallets)
        )

    def browser(self) -> BittensorBrowser:
        path = self.settings.wallet_path
        folder = None if path is None else WalletFolder(path)
        return BittensorBrowser(self.definition, self.database, self.payments, folder)

    async def assemble(self) -> None:
        self._gate = self.signing_gate()
        path = self.settings.wallet_path
        self._folder = None if path is None else WalletFolder(path)
        self.keyring = self._make_keyring()
        self.when_sealed(self.keyring.forget_all)
        self.wallets = Wallets(
            database=self.database,
            vault=self.vault,
            bindings=self.bindings,
            folder=self._folder,
            audit=self.audit,
            clock=self.clock,
        )
        self._messages = Messages(
            database=self.database, keyring=self.keyring, gate=self._gate, metrics=self.metrics
        )
        self.chain_work = ChainWork(self, self.keyring, self._gate)
        self.stack.push_async_callback(self.chain_work.close)

    def surfaces(self) -> list[Surface]:
        return [
            Surface(
                name=API_SURFACE,
                application=self.opening(API_SURFACE, before_opening),
                host=self.settings.host,
                port=self.settings.port,
                access=self.settings.access,
                pages=frozenset({DOCUMENTATION.page}),
                dialect=refused_at_door,
                max_body=None,  # the application words its refusal
                proxies=self.settings.trusted_proxies,
            )
        ]

    def applications(self) -> Mapping[str, Any]:
        return {API_SURFACE: self._application()}

    def start_loops(self) -> None:
        self.loops.start(self.loops.every(KEYS, FORGET_S, self._forget_keys, part="memory"))
        watch = ValidatorWatch(
            chain=self.chain_work.chain, wallets=self.wallets, database=self.database, metrics=self.metrics
        )
        look = self.loops.collect(self.component("Metrics"), "validators", watch.read, every_s=WATCH_S)
        self.chain_work.start(look)

    def finish_waits(self) -> None:
        self.chain_work.drain()

    def _application(self) -> Litestar:
        settings = self.settings
        authenticator = Authenticator(
            tokens=self.token_check,
            service_token=settings.service_token,
            jwt_secret=settings.jwt_secret,
            service_limits=TokenLimits(
                netuids=None if settings.netuid is None else (settings.netuid,), calls=settings.service_calls
            ),
            clock=self.clock,
        )
        return create_application(
            Services(
                health=self.health,
                messages=self._messages,
                exports=Exports(self.database, self.vault, self.bindings, self._gate),
                weights=self.chain_work.weights,
                calls=self.chain_work.calls,
                remote_signing=self.chain_work.remote_signing,
                identities=settings.pylon_identities,
            ),
            callers=Callers(
                self.attempts.around(authenticator),
                self.rates,
                requests_a_minute=settings.requests_a_minute,
                proxies=settings.trusted_proxies,
                uses=self.token_uses,
            ),
            metrics=self.metrics,
        )

    def _make_keyring(self) -> Keyring:
        return Keyring(
            database=self.database,
            vault=self.vault,
            bindings=self.bindings,
            files=KeyFiles(
                folder=self._folder,
                variables=self.settings.password_variables,
                general=self.settings.wallet_password,
            ),
            clock=self.clock,
            cache_s=self.settings.key_cache_s,
            refused=self.key_watch.notice,
        )

    async def _forget_keys(self) -> None:
        self.keyring.forget_unused()
