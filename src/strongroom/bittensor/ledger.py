"""Assembles the Bittensor ledger: its use cases, surface, workers and health."""

from contextlib import AsyncExitStack
from pathlib import Path

from litestar import Litestar

from strongroom.bittensor.api.access import Callers
from strongroom.bittensor.api.application import Services, create_application
from strongroom.bittensor.api.documentation import PAGE
from strongroom.bittensor.api.errors import before_opening, refused_at_door
from strongroom.bittensor.api.general import DATABASE
from strongroom.bittensor.authorization.authentication import Authenticator
from strongroom.bittensor.authorization.limits import Limits
from strongroom.bittensor.authorization.policy import KeyPolicy
from strongroom.bittensor.calls.messages import Messages
from strongroom.bittensor.chain_work import ChainWork
from strongroom.bittensor.keystore.holdings import KeyHoldings
from strongroom.bittensor.keystore.keyfile_folder import WalletFolder
from strongroom.bittensor.keystore.keyring import Keyring, Passwords
from strongroom.bittensor.keystore.wallets import Wallets
from strongroom.bittensor.settings import BittensorSettings
from strongroom.core.clock import Clock, Entropy
from strongroom.core.http.listener import Surface
from strongroom.core.http.opening import Opening
from strongroom.core.http.rate_limiter import Buckets
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.loops import Loops
from strongroom.core.runtime.telemetry import Health, Metrics, Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.credentials import require_long_credentials
from strongroom.core.security.holdings import bind_holdings, open_key
from strongroom.core.security.policy import SigningGate
from strongroom.core.security.tokens import Tokens
from strongroom.core.security.vault import Vault
from strongroom.core.security.watch import KeyWatch
from strongroom.core.storage.check import database_loop
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import Revisions, migrate

REVISIONS = Revisions(component="bittensor", folder=Path(__file__).parent / "revisions")
KEYS = "bittensorKeys"
FORGET_S = 5.0


class BittensorLedger:
    """One running Bittensor wallet service. `open`, `start`, then `close`."""

    name = "bittensor"

    def __init__(
        self, settings: BittensorSettings, *, clock: Clock, entropy: Entropy, health: Health, metrics: Metrics
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
        self._stack.push_async_callback(self.database.close)
        self._opening = Opening(before_opening)
        self._audit = Audit(clock)
        self.tokens = Tokens(self.database, self._audit, clock, entropy)

    async def migrate(self) -> None:
        await require_long_credentials(self.database, self._settings.short_credentials)
        await migrate(self.database, [REVISIONS])

    async def prepare(self) -> None:
        """What may be done again and again until the database is there."""
        await self.migrate()

    def waiting(self) -> WorkHealth:
        """The health of the database before the ledger is open."""
        return self._loops.watch(DATABASE, down_after=1, vital=True, initially=Status.DOWN)

    async def open(self) -> None:
        """Migrates and assembles. Needs the database, no chain.

        Raises:
            VaultError: the key-encryption key is missing, wrong, weak, or others may read it.
        """
        await self.prepare()
        await self._open_key()
        self._gate = SigningGate(KeyPolicy(), self._audit)
        path = self._settings.wallet_path
        self._folder = None if path is None else WalletFolder(path)
        self.keyring = self._make_keyring()
        self.wallets = Wallets(
            database=self.database,
            vault=self._vault,
            bindings=self._bindings,
            folder=self._folder,
            audit=self._audit,
            clock=self._clock,
        )
        self._messages = Messages(
            database=self.database, keyring=self.keyring, gate=self._gate, metrics=self._metrics
        )
        self.chain_work = ChainWork(
            self._settings,
            database=self.database,
            keyring=self.keyring,
            gate=self._gate,
            background=self._background,
            clock=self._clock,
            entropy=self._entropy,
            loops=self._loops,
            metrics=self._metrics,
        )
        self._stack.push_async_callback(self.chain_work.close)
        self._opening.open(self._application())

    def surfaces(self) -> list[Surface]:
        """They say 503 until it is open."""
        return [
            Surface(
                name=self.name,
                application=self._opening,
                host=self._settings.host,
                port=self._settings.port,
                access=self._settings.access,
                pages=frozenset({PAGE}),
                dialect=refused_at_door,
                proxies=self._settings.trusted_proxies,
            )
        ]

    def start(self) -> None:
        """Starts the workers."""
        self._loops.start(database_loop(self._loops, DATABASE, self.database))
        self._background.start(self.key_watch.run())
        self._loops.start(self._loops.every(KEYS, FORGET_S, self._forget_keys, part="memory"))
        self.chain_work.start()

    async def wind_down(self) -> None:
        """Before the surfaces stop: whoever waits is told what is known."""
        self.chain_work.wind_down()

    async def close(self) -> None:
        """Ends the workers, then what they used."""
        await self._background.close()
        await self._stack.aclose()

    def _application(self) -> Litestar:
        settings = self._settings
        authenticator = Authenticator(
            tokens=self.tokens,
            service_token=settings.service_token,
            jwt_secret=settings.jwt_secret,
            service_limits=Limits(
                netuids=None if settings.netuid is None else (settings.netuid,), calls=settings.service_calls
            ),
            clock=self._clock,
        )
        return create_application(
            Services(
                health=self._health,
                messages=self._messages,
                weights=self.chain_work.weights,
                calls=self.chain_work.calls,
                lent=self.chain_work.lent,
                identities=settings.pylon_identities,
            ),
            callers=Callers(
                authenticator,
                Buckets(self._clock),
                requests_a_minute=settings.requests_a_minute,
                proxies=settings.trusted_proxies,
            ),
            metrics=self._metrics,
        )

    def _make_keyring(self) -> Keyring:
        return Keyring(
            database=self.database,
            vault=self._vault,
            bindings=self._bindings,
            folder=self._folder,
            passwords=Passwords(
                variables=self._settings.password_variables, general=self._settings.wallet_password
            ),
            clock=self._clock,
            cache_s=self._settings.key_cache_s,
            refused=self.key_watch.notice,
        )

    async def _open_key(self) -> None:
        """The key must fit what the database holds before anything is signed or sealed with it."""
        source, holdings = self._settings.key, KeyHoldings()
        key = await open_key(source, self.database, holdings, self._entropy)
        await bind_holdings(self.database, holdings, key, self._audit)
        self._vault = Vault(key, self._entropy)
        self._bindings = Bindings(key, holdings.kind)
        self.key_watch = KeyWatch(
            component=KEYS,
            source=source,
            key=key,
            holdings=holdings,
            database=self.database,
            audit=self._audit,
            health=self._health,
            clock=self._clock,
        )
        await self.key_watch.check()

    async def _forget_keys(self) -> None:
        self.keyring.forget_unused()
