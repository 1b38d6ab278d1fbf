"""The Hathor ledger's variables, under the names the original gave them."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import URL

from strongroom.core.environment import Environment, Secret
from strongroom.core.http.door import AllowedCallers, read_allowed_callers
from strongroom.core.http.exposure import Access, Exposure
from strongroom.core.http.forwarded import TrustedProxies, parse_proxies
from strongroom.core.messaging.backlog import BacklogLimits, read_backlog_limits
from strongroom.core.messaging.bus import read_redis_url
from strongroom.core.storage.cluster.waiting import read_waiting
from strongroom.core.storage.database import mysql_url, sqlite_url
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.names import API_SURFACE, CREDENTIALS, SECRET_FILE, SOCKET_SURFACE
from strongroom.hathor.notifications.settings import PushSettings, read_push_settings
from strongroom.hathor.protocol.addresses import MAINNET, NETWORKS, Network

DEFAULT_GAP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HathorSettings:
    network: Network
    """The version bytes of addresses."""
    fullnode_network: str
    """The node's own name for its network, for example `nano-testnet-bravo`."""
    node_url: str
    ws_url: str | None
    """None: derived from `node_url`."""
    peer_id: str | None
    stream_id: str | None
    database: URL
    max_address_gap: int
    sync_window: int
    """Events on their way, and at most in one transaction."""
    redis: Secret | None
    """The URL of the Redis that carries word between processes; None: each looks for itself."""
    api: "ApiSettings"
    sockets: "SocketSettings"
    push: PushSettings
    backlog: BacklogLimits
    short_credentials: tuple[str, ...]
    """Variables whose secrets are short because the operator allows it."""
    key: None = None
    """Nothing is sealed: the clients have the keys."""
    secret_file: Path | None = None
    """Where a service that made its AUTH_SECRET itself keeps it, beside the embedded database."""

    @property
    def socket_access(self) -> Access:
        """Without tokens a wallet's id is all that a caller of the WebSocket needs."""
        return Access.TOKEN if self.sockets.require_token else Access.PUBLIC

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        if not self.api.auth_secrets:
            return ()  # then neither is served
        host = self.api.host
        remedy = "require tokens (HATHOR_WS_REQUIRE_TOKEN=true)"
        return (
            Exposure(name=API_SURFACE, host=host, access=Access.TOKEN),
            Exposure(name=SOCKET_SURFACE, host=host, access=self.socket_access, remedy=remedy),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketSettings:
    """The WebSocket for wallets, on a port of its own."""

    port: int
    require_token: bool
    max_connections: int
    """Of this process."""
    max_subscriptions: int
    """Of one connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """The surface for wallets."""

    host: str
    port: int
    prefix: str
    """The routes answer below it too, for example `dev`."""
    auth_secrets: tuple[Secret, ...]
    """The first one signs tokens; tokens of the others are accepted until they expire. Empty: no surface."""
    confirm_first_address: bool
    max_load_retries: int
    clock_skew_s: int
    """From so many seconds on, what a client signed at its time is refused."""
    auth_requests_a_minute: int
    """Of one client."""
    proxies: TrustedProxies
    """Whose word on a client's address counts."""
    amounts: AmountForm
    """Of requests that do not say."""
    stage: str
    """The deployment's name in the metrics."""
    health_key: Secret | None
    """What `GET /health` asks for; None: it is closed."""
    max_blocks_behind: int
    """Of a database that `GET /health` calls healthy, plus one."""
    verify_proposals: bool
    """Signatures, weight and work are checked before the node is asked."""
    legacy: bool
    """The first API is served too."""
    callers: AllowedCallers
    """Who may use the first API without a token, beyond programs of this machine."""


def read_hathor_settings(environment: Environment, data: Path, host: str) -> HathorSettings:
    """Reads every variable; mistakes are collected in `environment`."""
    name = environment.first("HATHOR_NETWORK", "NETWORK")
    if name is None:
        environment.mistake("NETWORK (or HATHOR_NETWORK) is required: mainnet, testnet or privatenet")
    node_url = _node_url(environment)
    return HathorSettings(
        network=environment.parsed("NETWORK", name or MAINNET.name, _network, MAINNET),
        fullnode_network=environment.text("FULLNODE_NETWORK", name or MAINNET.name),
        node_url=node_url,
        ws_url=environment.optional("WS_URL"),
        peer_id=environment.optional("FULLNODE_PEER_ID"),
        stream_id=environment.first("FULLNODE_STREAM_ID", "STREAM_ID"),
        database=_database(environment, data),
        max_address_gap=environment.integer("MAX_ADDRESS_GAP", DEFAULT_GAP, low=1, high=1_000),
        sync_window=environment.integer("HATHOR_SYNC_WINDOW", 2_000, low=1, high=10_000),
        redis=read_redis_url(environment),
        api=_read_api(environment, host),
        sockets=_read_sockets(environment),
        push=read_push_settings(environment),
        short_credentials=environment.short_among(CREDENTIALS),
        backlog=read_backlog_limits(environment),
        secret_file=data / SECRET_FILE,
    )


def _node_url(environment: Environment) -> str:
    """`DEFAULT_SERVER`, or the node as the original's daemon names it: `FULLNODE_HOST` and `USE_SSL`, or `WS_URL` alone."""
    if environment.is_set("DEFAULT_SERVER"):
        return environment.url("DEFAULT_SERVER") or ""
    host, stream = environment.optional("FULLNODE_HOST"), urlsplit(environment.text("WS_URL", "/"))
    if host is not None:
        scheme = "https" if environment.flag("USE_SSL", False) else "http"
        return f"{scheme}://{host}/v1a/"
    if stream.hostname and stream.scheme in {"ws", "wss"}:
        scheme = "https" if stream.scheme == "wss" else "http"
        return f"{scheme}://{stream.netloc}{stream.path.removesuffix('/event_ws').rstrip('/') or '/v1a'}/"
    environment.mistake("DEFAULT_SERVER is required: the base URL of a full node, .../v1a/")
    return ""


def _read_api(environment: Environment, host: str) -> ApiSettings:
    secrets = (environment.credential("AUTH_SECRET"), environment.credential("AUTH_SECRET_PREVIOUS"))
    if secrets[0] is None and secrets[1] is not None:
        environment.mistake("AUTH_SECRET_PREVIOUS is set without AUTH_SECRET")
    return ApiSettings(
        host=host,
        port=environment.port("HATHOR_PORT", 3000),
        prefix=environment.text("HATHOR_PREFIX", "/").strip("/"),
        auth_secrets=tuple(secret for secret in secrets if secret is not None),
        confirm_first_address=environment.flag("CONFIRM_FIRST_ADDRESS", False),
        max_load_retries=environment.integer("MAX_LOAD_WALLET_RETRIES", 5, low=0),
        clock_skew_s=environment.integer("HATHOR_CLOCK_SKEW_S", 30, low=1, high=86_400),
        auth_requests_a_minute=environment.integer("HATHOR_AUTH_REQUESTS_A_MINUTE", 1200, low=1),
        proxies=environment.parsed(
            "HATHOR_TRUSTED_PROXIES",
            environment.text("HATHOR_TRUSTED_PROXIES", "0"),
            parse_proxies,
            TrustedProxies(),
        ),
        amounts=environment.parsed(
            "HATHOR_AMOUNTS",
            environment.text("HATHOR_AMOUNTS", AmountForm.NUMBER),
            _amount_form,
            AmountForm.NUMBER,
        ),
        stage=environment.text("STAGE", "local"),
        health_key=environment.credential("HATHOR_HEALTH_API_KEY"),
        max_blocks_behind=environment.integer("HEALTHCHECK_MAXIMUM_HEIGHT_DIFFERENCE", 5, low=1),
        verify_proposals=environment.flag("HATHOR_VERIFY_PROPOSALS", True),
        legacy=environment.flag("HATHOR_LEGACY_API", False),
        callers=read_allowed_callers(environment),
    )


def _read_sockets(environment: Environment) -> SocketSettings:
    return SocketSettings(
        port=environment.port("HATHOR_WS_PORT", 3001),
        require_token=environment.flag("HATHOR_WS_REQUIRE_TOKEN", False),
        max_connections=environment.integer("HATHOR_WS_MAX_CONNECTIONS", 20_000, low=1),
        max_subscriptions=environment.integer("HATHOR_WS_MAX_SUBSCRIPTIONS", 10, low=1),
    )


def _amount_form(name: str) -> AmountForm:
    if name not in set(AmountForm):
        raise ValueError(f"must be {', '.join(AmountForm)}, not {name!r}")
    return AmountForm(name)


def _network(name: str) -> Network:
    if name not in NETWORKS:
        raise ValueError(f"must be {', '.join(NETWORKS)}, not {name!r}")
    return NETWORKS[name]


def _database(environment: Environment, data: Path) -> URL:
    if not environment.is_set("DB_ENDPOINT"):
        return sqlite_url(str(data / "hathor.sqlite3"))
    password = environment.secret("DB_PASS")
    return mysql_url(
        host=environment.text("DB_ENDPOINT"),
        port=environment.port("DB_PORT", 3306),
        name=environment.text("DB_NAME", "wallet_service"),
        user=environment.text("DB_USER", "root"),
        password=password.reveal() if password else "",
        waits=read_waiting(environment),
    )
