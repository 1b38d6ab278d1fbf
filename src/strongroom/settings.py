"""Every variable of the process, parsed once, all mistakes reported together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from strongroom.atto.settings import AttoSettings, read_atto_settings
from strongroom.bittensor.settings import BittensorSettings, read_bittensor_settings
from strongroom.core.environment import Environment
from strongroom.core.http.door import AllowedCallers, read_allowed_callers
from strongroom.core.http.hosts import is_loopback
from strongroom.core.http.limits import ConnectionLimits, read_connection_limits
from strongroom.hathor.settings import HathorSettings, read_hathor_settings

log = structlog.get_logger(__name__)

LEDGERS = ("atto", "hathor", "bittensor")
NAMED_BY = {
    "atto": ("NODE_BASE_URL",),
    "hathor": ("DEFAULT_SERVER", "FULLNODE_HOST"),
    "bittensor": ("BITTENSOR_NETWORK", "network", "CHAIN_NETWORK", "chain_endpoint", "CHAIN_ENDPOINT"),
}
MANAGEMENT = "management"
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


def read_settings(variables: Mapping[str, str], ledgers: tuple[str, ...] = ()) -> Settings:
    """Reads the variables of the named ledgers, or of all that are configured.

    Raises:
        SettingsError: with every mistake found.
    """
    environment = Environment(variables)
    data = Path(environment.text("STRONGROOM_DATA", "./data"))
    host = environment.text("STRONGROOM_HOST", "127.0.0.1")
    wanted = ledgers or configured(variables)
    if not wanted:
        environment.mistake(
            "no ledger is configured: set NETWORK and NODE_BASE_URL for Atto, NETWORK and DEFAULT_SERVER for"
            " Hathor, network for Bittensor, or start with --sandbox"
        )
    settings = Settings(
        data=data,
        host=host,
        management_port=environment.port("MANAGEMENT_PORT", 8081),
        open_surfaces=environment.names("STRONGROOM_ALLOW_UNAUTHENTICATED"),
        callers=read_allowed_callers(environment),
        connections=read_connection_limits(environment),
        log_as_json=_log_as_json(environment),
        log_level=_log_level(environment),
        atto=read_atto_settings(environment, data, host) if "atto" in wanted else None,
        hathor=read_hathor_settings(environment, data, host) if "hathor" in wanted else None,
        bittensor=read_bittensor_settings(environment, data, host) if "bittensor" in wanted else None,
    )
    _check_exposure(environment, settings)
    environment.raise_mistakes()
    return replace(settings, warnings=tuple(environment.warnings))


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


def _check_exposure(environment: Environment, settings: Settings) -> None:
    """A surface without authentication listens on loopback only, unless the operator allows it by name."""
    unknown = settings.open_surfaces - {*LEDGERS, MANAGEMENT}
    if unknown:
        environment.mistake(
            f"STRONGROOM_ALLOW_UNAUTHENTICATED names unknown surfaces: {', '.join(sorted(unknown))}"
        )
    if is_loopback(settings.host):
        return
    exposed = {MANAGEMENT}
    if settings.atto is not None and not settings.atto.require_token:
        exposed.add("atto")
    for surface in sorted(exposed - settings.open_surfaces):
        or_tokens = (
            "" if surface == MANAGEMENT else f", or require tokens ({surface.upper()}_REQUIRE_TOKEN=true)"
        )
        environment.mistake(
            f"STRONGROOM_HOST={settings.host} would let the network reach the {surface} surface without"
            f" authentication. If that is wanted, add {surface} to STRONGROOM_ALLOW_UNAUTHENTICATED{or_tokens}"
        )
