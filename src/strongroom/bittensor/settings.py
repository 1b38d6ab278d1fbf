"""The Bittensor ledger's variables, under the names that the subnet project gave them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import URL

from strongroom.bittensor.authorization.jwts import JWT_ALGORITHM
from strongroom.bittensor.authorization.limits import WEIGHTS, TokenLimits, encode_limits
from strongroom.bittensor.keystore.names import is_name
from strongroom.bittensor.names import API_SURFACE, CREDENTIALS
from strongroom.bittensor.protocol.keyfiles import PASSWORD_PREFIX
from strongroom.bittensor.protocol.networks import Network
from strongroom.core.environment import Environment, Secret
from strongroom.core.errors import InvalidInput
from strongroom.core.http.exposure import Access, Exposure
from strongroom.core.http.forwarded import TrustedProxies, parse_proxies
from strongroom.core.http.hosts import is_loopback
from strongroom.core.security.keys.source import KeySource, read_key_source
from strongroom.core.storage.cluster.waiting import read_waiting
from strongroom.core.storage.database import mysql_url, sqlite_url

DEFAULT_PORT = 8000
MAX_NETUID = 65_535
DEFAULT_TOKEN = "default-token"  # noqa: S105 - published: it opens nothing but a network on this machine
DEFAULT_JWT_SECRET = "your-secret-api-key"  # noqa: S105 - published too, and refused


@dataclass(frozen=True, slots=True, kw_only=True)
class BittensorSettings:
    network: Network
    netuid: int | None
    """The subnet for which WALLET_SERVICE_TOKEN and JWTs count. None: any subnet."""
    chain_endpoints: tuple[str, ...]
    """The service uses the first that answers; the others stand by."""
    host: str
    port: int
    database: URL
    service_token: Secret | None
    """None: only issued tokens open the surface."""
    service_calls: tuple[str, ...]
    """The calls that WALLET_SERVICE_TOKEN and JWTs allow: `Pallet.function`, or `weights`."""
    jwt_secret: Secret | None
    """None: the original's JWTs are not accepted."""
    key: KeySource
    wallet_path: Path | None
    """A folder of wallets that are used where they lie. None: only those in the vault."""
    wallet_password: Secret | None
    """Opens encrypted keys of the folder that have no variable of their own."""
    password_variables: Mapping[str, str] = field(repr=False)
    """`BT_PW_...`, each the password of one key file, as btwallet has them."""
    key_cache_s: int
    """How long a key opened from the folder may stay in memory after its last use."""
    retention_days: int
    """How long jobs that are over can be asked for. 0: for ever."""
    pylon_identities: Mapping[str, int]
    """The netuid by identity (a wallet, or `wallet:hotkey`). A client that asks as Pylon's client does reads it."""
    ignore_max_weights_limit: bool
    """True: ignore the largest share of one weight that the chain stores. Runtimes since 2026 do not check it."""
    requests_a_minute: int
    """The limit of a token that has none of its own."""
    trusted_proxies: TrustedProxies
    """The proxies whose X-Forwarded-For tells where a request comes from."""
    short_credentials: tuple[str, ...]
    """Variables whose secrets are short because the operator allows it."""

    @property
    def access(self) -> Access:
        """Everybody knows the published token, so with it anyone who reaches the surface has permission."""
        is_published = self.service_token is not None and self.service_token.reveal() == DEFAULT_TOKEN
        return Access.REACH if is_published else Access.TOKEN

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        return (Exposure(name=API_SURFACE, host=self.host, access=self.access),)


def read_bittensor_settings(environment: Environment, data: Path, host: str) -> BittensorSettings:
    """Reads every variable. `environment` collects the mistakes."""
    name = environment.first("BITTENSOR_NETWORK", "network", "CHAIN_NETWORK")
    if name is None:
        environment.mistake("network (or BITTENSOR_NETWORK) is required: local, test or finney")
    network = environment.parsed("network", name or Network.LOCAL, Network.named, Network.LOCAL)
    own: tuple[str, ...] = (network.endpoint,)
    endpoint = environment.first("chain_endpoint", "CHAIN_ENDPOINT") or network.endpoint
    endpoints = environment.parsed("chain_endpoint", endpoint, _websocket_urls, own)
    folder = environment.optional("BITTENSOR_WALLET_PATH")
    return BittensorSettings(
        network=network,
        netuid=_netuid(environment),
        chain_endpoints=endpoints,
        host=host,
        port=environment.port("BITTENSOR_PORT", _port_of_service_url(environment)),
        database=_database(environment, data),
        service_token=_service_token(environment, network, endpoints, host),
        service_calls=environment.parsed(
            "WALLET_SERVICE_CALLS", environment.text("WALLET_SERVICE_CALLS", WEIGHTS), _calls, (WEIGHTS,)
        ),
        jwt_secret=_jwt_secret(environment),
        key=read_key_source(
            environment,
            ledger="bittensor",
            variable="BITTENSOR_KEY_ENCRYPTION_KEY",
            file=data / "bittensor.kek",
        ),
        wallet_path=Path(folder).expanduser() if folder else None,
        wallet_password=environment.secret("WALLET_PASSWORD"),
        password_variables=environment.beginning_with(PASSWORD_PREFIX),
        key_cache_s=environment.integer("BITTENSOR_KEY_CACHE_S", 3600, low=0, high=86_400),
        retention_days=environment.integer("BITTENSOR_RETENTION_DAYS", 30, low=0, high=36_500),
        pylon_identities=environment.parsed(
            "BITTENSOR_PYLON_IDENTITIES",
            environment.text("BITTENSOR_PYLON_IDENTITIES", ""),
            _pylon_identities,
            {},
        ),
        ignore_max_weights_limit=environment.flag("BITTENSOR_IGNORE_MAX_WEIGHTS_LIMIT", False),
        requests_a_minute=environment.integer("BITTENSOR_REQUESTS_A_MINUTE", 6000, low=1, high=1_000_000),
        trusted_proxies=environment.parsed(
            "BITTENSOR_TRUSTED_PROXIES",
            environment.text("BITTENSOR_TRUSTED_PROXIES", "0"),
            parse_proxies,
            TrustedProxies(),
        ),
        short_credentials=environment.short_among(CREDENTIALS),
    )


def _netuid(environment: Environment) -> int | None:
    text = environment.first("netuid", "CHAIN_NETUID")
    return environment.parsed("netuid", text, _parse_netuid, None) if text else None


def _parse_netuid(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_NETUID):
        raise ValueError(f"must be a whole number up to {MAX_NETUID}, not {text!r}")
    return int(text)


def _calls(text: str) -> tuple[str, ...]:
    calls = tuple(one.strip() for one in text.split(",") if one.strip())
    try:
        encode_limits(TokenLimits(calls=calls))
    except InvalidInput as error:
        raise ValueError(error.message) from None
    return calls


def _pylon_identities(text: str) -> Mapping[str, int]:
    identities: dict[str, int] = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, _, netuid = one.partition("=")
        if not all(is_name(part) for part in name.split(":", 1)) or name in identities:
            raise ValueError(f"must be identities as in validator=2,validator:second=5, not {one!r}")
        identities[name] = _parse_netuid(netuid)
    return identities


def _websocket_urls(text: str) -> tuple[str, ...]:
    """Reads one endpoint, or several with commas between them."""
    return tuple(_websocket_url(one.strip()) for one in text.split(","))


def _websocket_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname or parts.port == 0:
        raise ValueError(f"must be a ws or wss URL, not {text.rpartition('@')[2]!r}")
    return text


def _port_of_service_url(environment: Environment) -> int:
    """Returns the port at which clients on this network expect the service; behind TLS a proxy has that port."""
    url = environment.base_url("WALLET_SERVICE_URL")
    parts = urlsplit(url) if url else None
    return (parts.port or DEFAULT_PORT) if parts and parts.scheme == "http" else DEFAULT_PORT


def _service_token(
    environment: Environment, network: Network, endpoints: tuple[str, ...], host: str
) -> Secret | None:
    """Reads the token. The published default counts only on loopback, with a local chain on this machine."""
    token = environment.credential("WALLET_SERVICE_TOKEN", published=DEFAULT_TOKEN)
    is_private = (
        network is Network.LOCAL
        and is_loopback(host)
        and all(is_loopback(urlsplit(one).hostname or "") for one in endpoints)
    )
    if is_private:
        return token or Secret(DEFAULT_TOKEN)
    if token is None:
        return None
    if token.reveal() == DEFAULT_TOKEN:
        environment.mistake(
            f"WALLET_SERVICE_TOKEN is {DEFAULT_TOKEN!r}, which everybody knows: it is accepted only on loopback, with"
            " network=local and a chain_endpoint on this machine. Set a random one of your own, or issue tokens"
            " with `strongroom token create --ledger bittensor`"
        )
        return None
    return token


def _jwt_secret(environment: Environment) -> Secret | None:
    secret = environment.credential("MANAGER_JWT_SECRET_KEY", published=DEFAULT_JWT_SECRET)
    if environment.text("MANAGER_JWT_ALGORITHM", JWT_ALGORITHM) != JWT_ALGORITHM:
        environment.mistake(f"MANAGER_JWT_ALGORITHM must be {JWT_ALGORITHM}")
    if secret is None:
        return None
    if secret.reveal() == DEFAULT_JWT_SECRET:
        environment.mistake(
            f"MANAGER_JWT_SECRET_KEY is {DEFAULT_JWT_SECRET!r}, which everybody knows: whoever reads the original's"
            " source could sign with your keys. Set a random one"
        )
    return secret


def _database(environment: Environment, data: Path) -> URL:
    if not environment.is_set("BITTENSOR_DB_HOST"):
        return sqlite_url(str(data / environment.text("BITTENSOR_DB_FILE", "bittensor.sqlite3")))
    password = environment.secret("BITTENSOR_DB_PASSWORD")
    return mysql_url(
        host=environment.text("BITTENSOR_DB_HOST"),
        port=environment.port("BITTENSOR_DB_PORT", 3306),
        name=environment.text("BITTENSOR_DB_NAME", "bittensor"),
        user=environment.text("BITTENSOR_DB_USER", "root"),
        password=password.reveal() if password else "",
        waits=read_waiting(environment),
    )
