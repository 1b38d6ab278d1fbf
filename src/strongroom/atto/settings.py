"""Reads the Atto ledger's variables; the original server's variables keep their names."""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import URL

from strongroom.atto.names import API_SURFACE
from strongroom.atto.protocol import Address, Network
from strongroom.core.environment import Environment, Secret
from strongroom.core.http.exposure import Access, Exposure
from strongroom.core.http.forwarded import TrustedProxies, parse_proxies
from strongroom.core.messaging.backlog import BacklogLimits, read_backlog_limits
from strongroom.core.security.keys.source import KeySource, read_key_source
from strongroom.core.storage.cluster.waiting import read_waiting
from strongroom.core.storage.database import mysql_url, sqlite_url


@dataclass(frozen=True, slots=True, kw_only=True)
class AttoSettings:
    """The Atto ledger's settings."""

    network: Network
    host: str
    port: int
    require_token: bool
    database: URL
    node_url: str
    work_url: str | None
    """None: this process searches for proof of work itself."""
    work_timeout_s: int
    work_hedge_s: int
    """After this many seconds without an answer, the next source of work is asked as well."""
    work_fallback: bool
    """Whether this process searches work itself when the work server fails."""
    work_threads: int
    key: KeySource
    callback_url: str | None
    callback_header: tuple[str, Secret] | None = field(repr=False)
    default_representative: Address | None
    """None: an account represents itself when it opens, as with the original server."""
    receive_minimum_raw: int
    scan_limit: int
    """The number of account indexes that one range or recovery may touch."""
    request_timeout_s: int
    """How long a request waits for its turn, its work and its confirmation, in seconds."""
    key_cache_s: int
    """How long an opened wallet seed may stay in memory after its last use."""
    backlog: BacklogLimits
    trusted_proxies: TrustedProxies
    short_credentials: tuple[str, ...] = ()
    """Always empty: Atto has no variable with a secret of its callers."""

    @property
    def access(self) -> Access:
        """Without tokens, any caller that reaches the API may spend, as with the original server."""
        return Access.TOKEN if self.require_token else Access.REACH

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        remedy = "require tokens (ATTO_REQUIRE_TOKEN=true)"
        return (Exposure(name=API_SURFACE, host=self.host, access=self.access, remedy=remedy),)


def read_atto_settings(environment: Environment, data: Path, host: str) -> AttoSettings:
    """Reads every variable; `environment` collects the mistakes, so that the operator sees all of them at once."""
    network = environment.first("ATTO_NETWORK", "NETWORK")
    if network is None:
        environment.mistake("NETWORK (or ATTO_NETWORK) is required: live, beta, dev or local")
    node_url = environment.base_url("NODE_BASE_URL")
    if node_url is None:
        environment.mistake("NODE_BASE_URL is required: the base URL of an Atto node")
    representative = environment.optional("ATTO_DEFAULT_REPRESENTATIVE")
    return AttoSettings(
        network=environment.parsed("NETWORK", network or "local", Network.parse, Network.LOCAL),
        host=host,
        port=environment.port("ATTO_PORT", 8080),
        require_token=environment.flag("ATTO_REQUIRE_TOKEN", default=False),
        database=_database(environment, data),
        node_url=node_url or "",
        work_url=environment.base_url("WORK_BASE_URL"),
        work_timeout_s=environment.integer("WORK_TIMEOUT_IN_SECONDS", 300, low=1),
        work_hedge_s=environment.integer("ATTO_WORK_HEDGE_S", 5, low=1),
        work_fallback=environment.flag("ATTO_WORK_FALLBACK", default=False),
        work_threads=environment.integer("ATTO_WORK_THREADS", 1, low=1, high=256),
        key=read_key_source(
            environment, ledger="atto", variable="CHA_CHA20_KEY_ENCRYPTION_KEY", file=data / "atto.kek"
        ),
        callback_url=environment.url("CALLBACK_URL"),
        callback_header=_callback_header(environment),
        default_representative=environment.parsed(
            "ATTO_DEFAULT_REPRESENTATIVE", representative, Address.parse, None
        )
        if representative
        else None,
        receive_minimum_raw=environment.integer("ATTO_RECEIVE_MINIMUM_RAW", 1, low=1),
        scan_limit=environment.integer("ATTO_SCAN_LIMIT", 10_000, low=1, high=1_000_000),
        request_timeout_s=environment.integer("ATTO_REQUEST_TIMEOUT_S", 55, low=1, high=3600),
        key_cache_s=environment.integer("ATTO_KEY_CACHE_S", 60, low=0, high=86_400),
        backlog=read_backlog_limits(environment),
        trusted_proxies=environment.parsed(
            "ATTO_TRUSTED_PROXIES",
            environment.text("ATTO_TRUSTED_PROXIES", "0"),
            parse_proxies,
            TrustedProxies(),
        ),
    )


def _database(environment: Environment, data: Path) -> URL:
    if not environment.is_set("ATTO_DB_HOST"):
        return sqlite_url(str(data / "atto.sqlite3"))
    password = environment.secret("ATTO_DB_PASSWORD")
    return mysql_url(
        host=environment.text("ATTO_DB_HOST"),
        port=environment.port("ATTO_DB_PORT", 3306),
        name=environment.text("ATTO_DB_NAME", "atto"),
        user=environment.text("ATTO_DB_USER", "root"),
        password=password.reveal() if password else "",
        waits=read_waiting(environment),
    )


def _callback_header(environment: Environment) -> tuple[str, Secret] | None:
    key, value = environment.optional("CALLBACK_HEADER_KEY"), environment.secret("CALLBACK_HEADER_VALUE")
    return (key, value) if key and value else None
