"""Every variable of the process, parsed once, all mistakes reported together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import structlog

from strongroom.atto import settings as atto
from strongroom.atto.settings import AttoSettings, read_atto_settings
from strongroom.bittensor import settings as bittensor
from strongroom.bittensor.settings import BittensorSettings, read_bittensor_settings
from strongroom.core.environment import SHORT_SECRETS_VARIABLE, Environment
from strongroom.core.http.connections.limits import ConnectionLimits, read_connection_limits
from strongroom.core.http.door import AllowedCallers, read_allowed_callers
from strongroom.core.http.exposure import ALLOW_VARIABLE, Access, Exposure, exposure_mistakes
from strongroom.hathor import settings as hathor
from strongroom.hathor.settings import HathorSettings, read_hathor_settings

log = structlog.get_logger(__name__)

LEDGERS = ("atto", "hathor", "bittensor")
NAMED_BY = {
    "atto": ("NODE_BASE_URL",),
    "hathor": ("DEFAULT_SERVER", "FULLNODE_HOST"),
    "bittensor": ("BITTENSOR_NETWORK", "network", "CHAIN_NETWORK", "chain_endpoint", "CHAIN_ENDPOINT"),
}
MANAGEMENT = "management"
SURFACES = (*atto.SURFACES, *hathor.SURFACES, *bittensor.SURFACES)
CREDENTIALS = (*hathor.CREDENTIALS, *bittensor.CREDENTIALS)
OWN_FAMILIES = (*map(str.upper, LEDGERS), "STRONGROOM", "SANDBOX", "CONSOLE", "MANAGEMENT", "CALLBACK", "CHA")
OTHER_NAMES = frozenset(
    {
        "STRONGROOM_ATTO_URL",
        "STRONGROOM_ATTO_TOKEN",
        "SANDBOX_ATTO_NODE_PORT",
        "SANDBOX_ATTO_WORK_PORT",
        "SANDBOX_HATHOR_PORT",
        "SANDBOX_HATHOR_STREAM",
        "SANDBOX_BITTENSOR_PORT",
        "SANDBOX_BITTENSOR_SPEC",
        "SANDBOX_BITTENSOR_BLOCK_MS",
        "WALLET_SERVICE_STATE",
        "WALLET_SERVICE_COOL_DOWN_S",
    }
)
"""What commands, the sandbox and the client of the Bittensor service read."""
OBSOLETE = {
    "MANAGEMENT_SERVER_PORT": "MANAGEMENT_PORT",
    "LOGGING_LEVEL_ROOT": "LOG_LEVEL",
    "SPRING_R2DBC_URL": "ATTO_DB_HOST, with ATTO_DB_PORT and ATTO_DB_NAME,",
    "SPRING_R2DBC_USERNAME": "ATTO_DB_USER",
    "SPRING_R2DBC_PASSWORD": "ATTO_DB_PASSWORD",
    "SPRING_DATASOURCE_URL": "ATTO_DB_HOST, with ATTO_DB_PORT and ATTO_DB_NAME,",
    "SPRING_DATASOURCE_USERNAME": "ATTO_DB_USER",
    "SPRING_DATASOURCE_PASSWORD": "ATTO_DB_PASSWORD",
    "HATHOR_AUTH_SECRET": "AUTH_SECRET",
    "HATHOR_DB_HOST": "DB_ENDPOINT",
    "ATTO_NODE_BASE_URL": "NODE_BASE_URL",
    "ATTO_WORK_BASE_URL": "WORK_BASE_URL",
    "ATTO_CALLBACK_URL": "CALLBACK_URL",
}
"""Names that Spring gave the original's settings, and those that one would give ours."""
EVERYTHING_SET = {
    **dict.fromkeys(("ATTO_DB_HOST", "DB_ENDPOINT", "BITTENSOR_DB_HOST", "REDIS_HOST", "FULLNODE_HOST"), "x"),
    **dict.fromkeys(("FIREBASE_PROJECT_ID", "FIREBASE_CLIENT_EMAIL", "FIREBASE_PRIVATE_KEY"), "x"),
    "PUSH_NOTIFICATION_ENABLED": "true",
}
"""With these, and with none, the readers come to every variable there is."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    data: Path
    """Folder of the embedded databases and of keys that the installation keeps itself."""
    host: str
    management_port: int
    open_surfaces: frozenset[str]
    """Surfaces that may be reached from elsewhere without a token, because the operator named them."""
    callers: AllowedCallers
    """Whom the operator lets through the doors of such surfaces."""
    connections: ConnectionLimits
    log_as_json: bool
    log_level: str
    atto: AttoSettings | None
    hathor: HathorSettings | None
    bittensor: BittensorSettings | None
    warnings: tuple[str, ...] = ()
    """What is set wrongly and not used."""

    def log_warnings(self) -> None:
        for warning in self.warnings:
            log.warning("setting", warning=warning)

    @property
    def exposures(self) -> list[Exposure]:
        """Every surface that these settings open, and who reaches it."""
        ledgers = [ledger for ledger in (self.atto, self.hathor, self.bittensor) if ledger is not None]
        return [self.management_exposure, *(exposure for ledger in ledgers for exposure in ledger.exposures)]

    @property
    def management_exposure(self) -> Exposure:
        return Exposure(name=MANAGEMENT, host=self.host, access=Access.REACH)


def read_settings(
    variables: Mapping[str, str], ledgers: tuple[str, ...] = (), *, serves_ledgers: bool = True
) -> Settings:
    """Reads the variables of the named ledgers, or of all that are configured.

    Not `serves_ledgers`: the management surface is all that the process opens.

    Raises:
        SettingsError: with every mistake found.
    """
    environment = Environment(variables)
    environment.check_names(known_names(), OWN_FAMILIES, OBSOLETE)
    settings = _read(environment, ledgers or configured(variables))
    _check_exposure(environment, settings, serves_ledgers=serves_ledgers)
    _check_credentials(environment)
    environment.raise_mistakes()
    return replace(settings, warnings=tuple(environment.warnings))


@cache
def known_names() -> frozenset[str]:
    """Every variable that any ledger, command or sandbox reads, whether it is served or not."""
    names = {*OTHER_NAMES, SHORT_SECRETS_VARIABLE, *(name for ways in NAMED_BY.values() for name in ways)}
    for variables in ({}, EVERYTHING_SET):
        environment = Environment(variables)
        _read(environment, LEDGERS)
        names |= environment.names_read
    return frozenset(names)


def check_names(variables: Mapping[str, str]) -> None:
    """For commands that read no settings. Raises: SettingsError."""
    environment = Environment(variables)
    environment.check_names(known_names(), OWN_FAMILIES, OBSOLETE)
    environment.raise_mistakes()


def _read(environment: Environment, wanted: tuple[str, ...]) -> Settings:
    data = Path(environment.text("STRONGROOM_DATA", "./data"))
    host = environment.text("STRONGROOM_HOST", "127.0.0.1")
    if not wanted:
        environment.mistake(
            "no ledger is configured: set NETWORK and NODE_BASE_URL for Atto, NETWORK and DEFAULT_SERVER for"
            " Hathor, network for Bittensor, or start with --sandbox"
        )
    return Settings(
        data=data,
        host=host,
        management_port=environment.port("MANAGEMENT_PORT", 8081),
        open_surfaces=environment.names(ALLOW_VARIABLE),
        callers=read_allowed_callers(environment),
        connections=read_connection_limits(environment),
        log_as_json=_log_as_json(environment),
        log_level=_log_level(environment),
        atto=read_atto_settings(environment, data, host) if "atto" in wanted else None,
        hathor=read_hathor_settings(environment, data, host) if "hathor" in wanted else None,
        bittensor=read_bittensor_settings(environment, data, host) if "bittensor" in wanted else None,
    )


def configured(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The ledgers whose outside is named."""
    return tuple(ledger for ledger, names in NAMED_BY.items() if any(variables.get(name) for name in names))


def _log_as_json(environment: Environment) -> bool:
    form = environment.text(
        "LOG_FORMAT", "json" if environment.optional("SPRING_PROFILES_ACTIVE") == "json" else "text"
    )
    if form not in {"json", "text"}:
        environment.mistake(f"LOG_FORMAT must be json or text, not {form!r}")
    return form == "json"


def _log_level(environment: Environment) -> str:
    level = environment.text("LOG_LEVEL", "INFO").upper()
    if level not in LOG_LEVELS:
        environment.mistake(f"LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {level!r}")
    return level


def _check_exposure(environment: Environment, settings: Settings, *, serves_ledgers: bool) -> None:
    unknown = settings.open_surfaces - {*SURFACES, MANAGEMENT}
    if unknown:
        environment.mistake(f"{ALLOW_VARIABLE} names unknown surfaces: {', '.join(sorted(unknown))}")
    exposures = settings.exposures if serves_ledgers else [settings.management_exposure]
    for mistake in exposure_mistakes(exposures, settings.open_surfaces):
        environment.mistake(mistake)


def _check_credentials(environment: Environment) -> None:
    unknown = environment.names(SHORT_SECRETS_VARIABLE) - {*CREDENTIALS}
    if unknown:
        environment.mistake(
            f"{SHORT_SECRETS_VARIABLE} names what is no secret of callers: {', '.join(sorted(unknown))}; there is"
            f" {', '.join(CREDENTIALS)}"
        )
