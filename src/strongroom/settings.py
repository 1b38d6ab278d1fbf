"""Every variable of the process, parsed once, all mistakes reported together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import structlog

from strongroom.admin.settings import SURFACE as CONSOLE
from strongroom.admin.settings import AdminSettings, read_admin_settings
from strongroom.core.described import Read, Recorder, Subject
from strongroom.core.environment import SHORT_SECRETS_VARIABLE, Environment, Secret
from strongroom.core.guard.settings import GuardSettings, read_guard_settings
from strongroom.core.http.connections.limits import ConnectionLimits, read_connection_limits
from strongroom.core.http.door import AllowedCallers, read_allowed_callers
from strongroom.core.http.exposure import ALLOW_VARIABLE, Access, Exposure, exposure_mistakes
from strongroom.core.http.requests.access_log import AccessLogged, read_access_log
from strongroom.core.http.requests.traced import read_traces_url
from strongroom.core.http.tls.settings import COMMON, TlsSettings, read_tls
from strongroom.core.ledger.contract import LedgerDefinition, LedgerSettings
from strongroom.core.messaging.bus import read_redis_url
from strongroom.core.security.attempts import FREE
from strongroom.core.transparency.settings import CheckpointSettings, read_checkpoint_settings
from strongroom.core.webhooks.settings import WebhookSettings, read_webhook_settings
from strongroom.registry import LEDGERS
from strongroom.variables import process_subjects

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=LedgerSettings)

NAMES = tuple(ledger.name for ledger in LEDGERS)
MANAGEMENT = "management"
SURFACES = tuple(surface for ledger in LEDGERS for surface in ledger.surfaces)
CREDENTIALS = tuple(name for ledger in LEDGERS for name in ledger.credentials)
OWN_FAMILIES = (
    "STRONGROOM",
    "SANDBOX",
    "CONSOLE",
    "MANAGEMENT",
    *(family for ledger in LEDGERS for family in ledger.variables.families),
)
OTHER_NAMES = frozenset(name for ledger in LEDGERS for name in ledger.variables.others)
UNSEAL_KEY = "STRONGROOM_UNSEAL_KEY"
"""Only `strongroom unseal` reads it."""
COPY_PASSWORD = "STRONGROOM_COPY_PASSWORD"  # noqa: S105 - its name
"""Of the database that `strongroom copy` and `restore` fill."""
BACKUP_PASSPHRASE = "STRONGROOM_BACKUP_PASSPHRASE"  # noqa: S105 - as above
"""What `strongroom backup` encrypts with, and `restore` and `verify` decrypt."""
OF_COMMANDS = frozenset(
    {
        UNSEAL_KEY,
        *(f"{name}{ending}" for name in (COPY_PASSWORD, BACKUP_PASSPHRASE) for ending in ("", "_FILE")),
    }
)
OBSOLETE = {
    "MANAGEMENT_SERVER_PORT": "MANAGEMENT_PORT",
    "LOGGING_LEVEL_ROOT": "LOG_LEVEL",
    **{name: ours for ledger in LEDGERS for name, ours in ledger.variables.obsolete.items()},
}
"""Names that other programs gave such settings, and ours."""
EVERYTHING_SET = {name: value for ledger in LEDGERS for name, value in ledger.variables.all_set.items()}
"""With these, and with none, the readers come to every variable there is."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    data: Path
    """Folder of the embedded databases and of keys that the installation keeps itself."""
    host: str
    management_port: int
    admin: AdminSettings | None
    """None: the admin API is off."""
    open_surfaces: frozenset[str]
    """Surfaces that may be reached from elsewhere without a token, because the operator named them."""
    callers: AllowedCallers
    """Callers that the operator lets through the doors of such surfaces."""
    connections: ConnectionLimits
    tls: Mapping[str, TlsSettings]
    """Of the surfaces that speak it, by their names."""
    log_as_json: bool
    log_level: str
    access_log: AccessLogged
    traces_url: str | None
    """The collector of traces; None: nothing is traced."""
    guard: GuardSettings
    webhooks: WebhookSettings
    free_attempts: int
    """So many failed authentications in a row slow nobody down."""
    checkpoints: CheckpointSettings
    redis: Secret | None
    """The URL of the Redis in which processes count together; None: there is none."""
    ledgers: Mapping[str, LedgerSettings]
    """The settings of each ledger that is read, by its name."""
    warnings: tuple[str, ...] = ()
    """Mistakes in variables that are not used."""

    def of(self, ledger: LedgerDefinition[S, Any]) -> S | None:
        """The settings of one ledger; None: it is not configured, or not asked for."""
        found: Any = self.ledgers.get(ledger.name)
        return None if found is None else cast("S", found)

    def log_warnings(self) -> None:
        for warning in self.warnings:
            log.warning("setting", warning=warning)

    @property
    def exposures(self) -> list[Exposure]:
        """Every surface that these settings open, and who reaches it."""
        of_ledgers = (exposure for ledger in self.ledgers.values() for exposure in ledger.exposures)
        admin = [] if self.admin is None else [self.admin.exposure]
        return [self.management_exposure, *admin, *of_ledgers]

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
    names = {
        *OTHER_NAMES,
        *OF_COMMANDS,
        SHORT_SECRETS_VARIABLE,
        *(name for ledger in LEDGERS for name in ledger.named_by),
    }
    for environment in _recorded():
        names |= environment.names_read
    return frozenset(names)


@cache
def _recorded() -> tuple[Recorder, ...]:
    """What was read with no variable set, and with those that lead to all others."""
    environments = tuple(Recorder(variables) for variables in ({}, EVERYTHING_SET))
    for environment in environments:
        _read(environment, NAMES)
    return environments


def how_read() -> Mapping[str, Read]:
    """How each variable of the settings is read, by its name."""
    found: dict[str, Read] = {}
    for environment in _recorded():
        for name, read in environment.reads.items():
            if name not in found or found[name].weight < read.weight:
                found[name] = read
    return found


@cache
def subjects() -> tuple[Subject, ...]:
    """Every variable with its meaning: those of the process, then those of each ledger."""
    of_ledgers = (subject for ledger in LEDGERS for subject in ledger.explained_variables())
    return (*process_subjects((MANAGEMENT, CONSOLE, *SURFACES), COMMON), *of_ledgers)


def check_names(variables: Mapping[str, str]) -> None:
    """For commands that read no settings. Raises: SettingsError."""
    environment = Environment(variables)
    environment.check_names(known_names(), OWN_FAMILIES, OBSOLETE)
    environment.raise_mistakes()


def _read(environment: Environment, wanted: tuple[str, ...]) -> Settings:
    data = Path(environment.text("STRONGROOM_DATA", "./data"))
    host = environment.text("STRONGROOM_HOST", "127.0.0.1")
    if not wanted:
        ways = ", ".join(f"{ledger.example} for {ledger.title}" for ledger in LEDGERS)
        environment.mistake(f"no ledger is configured: set {ways}, or start with --sandbox")
    return Settings(
        data=data,
        host=host,
        management_port=environment.port("MANAGEMENT_PORT", 8081),
        admin=read_admin_settings(environment),
        open_surfaces=environment.names(ALLOW_VARIABLE),
        callers=read_allowed_callers(environment),
        connections=read_connection_limits(environment),
        tls=read_tls(environment, (MANAGEMENT, CONSOLE, *SURFACES)),
        log_as_json=_log_as_json(environment),
        log_level=_log_level(environment),
        access_log=read_access_log(environment),
        traces_url=read_traces_url(environment),
        guard=read_guard_settings(environment),
        webhooks=read_webhook_settings(environment),
        free_attempts=environment.integer("STRONGROOM_FREE_ATTEMPTS", FREE, low=1, high=1_000_000),
        checkpoints=read_checkpoint_settings(environment),
        redis=read_redis_url(environment),
        ledgers={
            ledger.name: ledger.read_settings(environment, data, host)
            for ledger in LEDGERS
            if ledger.name in wanted
        },
    )


def configured(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The ledgers whose outside is named."""
    return tuple(ledger.name for ledger in LEDGERS if any(variables.get(name) for name in ledger.named_by))


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
