"""Local ledgers of a process: the applications that serve them, and how a service finds them."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from strongroom.atto.gateway.local_worker import LocalWorker
from strongroom.bittensor.keystore.wallets import Wallets
from strongroom.core.clock import Clock, SystemEntropy
from strongroom.core.http.exposure import Access
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.listener import Surface
from strongroom.core.ledger.contract import Ledger
from strongroom.core.runtime.background import Background
from strongroom.core.security.keys.local import make_secret_file
from strongroom.hathor.protocol.addresses import PRIVATENET
from strongroom_sandbox.atto import AttoSandbox, Chain, Journal
from strongroom_sandbox.bittensor.chain.genesis import Genesis
from strongroom_sandbox.bittensor.node.node import Production
from strongroom_sandbox.bittensor.sandbox import BittensorSandbox
from strongroom_sandbox.bittensor.seed_wallets import seed_wallets
from strongroom_sandbox.bittensor.settings import read_chain_settings
from strongroom_sandbox.hathor.event_stream import Subscriptions
from strongroom_sandbox.hathor.generate import Generator
from strongroom_sandbox.hathor.journal import Journal as HathorJournal
from strongroom_sandbox.hathor.node import Node as HathorNode
from strongroom_sandbox.hathor.node_app import create_node_app
from strongroom_sandbox.hathor.replay import (
    Source,
    feed,
    parse_source,
    recorded_journal,
    replaying_node,
)
from strongroom_sandbox.hathor.restart_journal import open_node
from strongroom_sandbox.ports import HOST, default_variables, read_ports

LEDGERS = ("atto", "hathor", "bittensor")
BLOCK_S = 5.0
"""How long a transaction of the Hathor sandbox waits for its block."""
FINALITY_LAG = 2
"""Blocks between the best one of the Bittensor sandbox and the last final one, as on the main network."""
MANY_MESSAGES = 1_000_000
CONTROLS = "/_"
"""In the paths by which a local network is paid from, broken and moved: no web page of others may do so."""
EVERYBODY = TrustedProxies(count=1)


class SandboxNetworks:
    """The sandbox of each ledger. Opened inside the event loop that serves it, closed before its listeners stop."""

    def __init__(
        self, variables: Mapping[str, str], data: Path, clock: Clock, ledgers: Sequence[str] = ()
    ) -> None:
        self._variables = variables
        self._ports = read_ports(variables)
        self._hathor_stream = variables.get("SANDBOX_HATHOR_STREAM")
        self._ledgers = ledgers or LEDGERS
        self._data = data
        self._clock = clock
        self._stack = AsyncExitStack()
        self._bittensor: BittensorSandbox | None = None

    def service_variables(self) -> dict[str, str]:
        """The same, and what a service beside them needs: a secret for Hathor's tokens, its first API."""
        variables = default_variables(self._variables)
        variables["HATHOR_LEGACY_API"] = self._variables.get("HATHOR_LEGACY_API") or "true"
        given = any(self._variables.get(name) for name in ("AUTH_SECRET", "AUTH_SECRET_FILE"))
        if "hathor" in self._ledgers and not given:
            self._data.mkdir(parents=True, exist_ok=True)
            secret = self._data / "hathor-auth-secret"
            make_secret_file(secret, SystemEntropy())
            variables["AUTH_SECRET_FILE"] = str(secret)
        return variables

    def open(self) -> list[Surface]:
        """Makes the networks, from their journals where there are any."""
        self._data.mkdir(parents=True, exist_ok=True)
        surfaces: list[Surface] = []
        if "atto" in self._ledgers:
            surfaces += self._open_atto()
        if "hathor" in self._ledgers:
            surfaces += self._open_hathor()
        if "bittensor" in self._ledgers:
            surfaces.append(self._open_bittensor())
        return surfaces

    async def seed_wallets(self, ledger: Ledger) -> None:
        """Gives a Bittensor service beside the chain wallets to begin with."""
        wallets = getattr(ledger, "wallets", None)
        if self._bittensor is not None and isinstance(wallets, Wallets):
            await seed_wallets(self._bittensor.node, wallets, SystemEntropy())

    async def close(self) -> None:
        await self._stack.aclose()

    def _open_atto(self) -> list[Surface]:
        worker = LocalWorker(threads=1)
        self._stack.push_async_callback(worker.close)
        journal = Journal(self._data / "sandbox-atto.jsonl")
        atto = AttoSandbox(Chain(), self._clock, journal=journal, source=worker)
        self._stack.push_async_callback(atto.aclose)
        return [
            _surface("sandbox-atto-node", atto.node_app, self._ports.atto_node),
            _surface("sandbox-atto-work", atto.work_app, self._ports.atto_work),
        ]

    def _open_hathor(self) -> list[Surface]:
        background = Background()
        self._stack.push_async_callback(background.close)
        if self._hathor_stream:
            node = self._telling_node(parse_source(self._hathor_stream), background)
        else:
            path = self._data / "sandbox-hathor.jsonl"
            node = open_node(path, self._clock, SystemEntropy(), PRIVATENET)
            background.start(_mine(node, self._clock))
        subscriptions = Subscriptions(node.chain.journal)
        self._stack.callback(subscriptions.cut_all)
        application = create_node_app(node, subscriptions)
        return [_surface("sandbox-hathor", application, self._ports.hathor)]

    def _open_bittensor(self) -> Surface:
        chain = read_chain_settings(self._variables)
        bittensor = BittensorSandbox(
            self._clock,
            SystemEntropy(),
            genesis=Genesis(spec_version=chain.spec_version),
            production=Production(
                interval_ms=chain.interval_ms, finality_lag=FINALITY_LAG if chain.interval_ms else 0
            ),
            journal=self._data / f"sandbox-bittensor-{chain.spec_version}.journal",
        )
        self._stack.push_async_callback(bittensor.aclose)
        bittensor.start()
        self._bittensor = bittensor
        return _surface("sandbox-bittensor", bittensor.application, self._ports.bittensor)

    def _telling_node(self, source: Source, background: Background) -> HathorNode:
        if source.recorded is not None:
            return replaying_node(recorded_journal(source.recorded), self._clock)
        generator = Generator(source.seed, journal=HathorJournal(network=PRIVATENET.name))
        background.start(feed(generator, source.rate_per_s, self._clock))
        return replaying_node(generator.chain.journal, self._clock)


async def _mine(node: HathorNode, clock: Clock) -> None:
    """A block now and then, when there is something to confirm."""
    while True:
        await clock.sleep(BLOCK_S)
        if node.chain.mempool:
            node.mine()


def _surface(name: str, application: object, port: int) -> Surface:
    """A node of a local network serves many, and a chain is asked much over one WebSocket."""
    return Surface(
        name=name,
        application=application,
        host=HOST,
        port=port,
        access=Access.PUBLIC,
        controls=CONTROLS,
        max_body=None,
        messages_a_minute=MANY_MESSAGES,
        proxies=EVERYBODY,
    )
