"""What the administrative commands share: the ledger's settings and database, without serving."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypedDict, TypeVar

import typer

from strongroom.atto.ledger import AttoLedger
from strongroom.bittensor.ledger import BittensorLedger
from strongroom.commands.installed import require_installed
from strongroom.core.clock import Clock, Entropy, SystemClock, SystemEntropy
from strongroom.core.runtime.telemetry import Health, Metrics, configure_logging
from strongroom.core.storage.database import Database
from strongroom.hathor.ledger import HathorLedger
from strongroom.sandbox.local_network import LocalNetworks
from strongroom.settings import Settings, configured, read_settings


def administrative_settings(ledgers: list[str] | None = None) -> Settings:
    """Settings of the environment; where no node is named, those of `serve --sandbox` in the same folder."""
    variables = dict(os.environ)
    if not configured(variables):
        variables = LocalNetworks.default_variables(variables) | variables
    settings = read_settings(variables, tuple(ledgers or ()))
    configure_logging(as_json=settings.log_as_json, level="WARNING")
    return settings


def print_ready(urls: dict[str, str]) -> None:
    """One line that says where everything is: people read it, scripts wait for it."""
    typer.echo("ready " + " ".join(f"{name}={url}" for name, url in urls.items()))
    sys.stdout.flush()


@asynccontextmanager
async def atto_ledger(settings: Settings, *, makes: bool = False) -> AsyncIterator[AttoLedger]:
    """The Atto ledger and nothing running. `makes`: its database is made, or migrated; else it must be there."""
    if settings.atto is None:
        raise _not_configured("Atto")
    if not makes:
        await require_installed(settings, "atto")
    settings.data.mkdir(parents=True, exist_ok=True)
    ledger = AttoLedger(settings.atto, **_surroundings())
    try:
        await ledger.migrate()
        yield ledger
    finally:
        await ledger.database.close()


def hathor_ledger(settings: Settings, *, makes: bool = False) -> AbstractAsyncContextManager[HathorLedger]:
    """The Hathor ledger and nothing running. `makes`: as for Atto."""
    if settings.hathor is None:
        raise _not_configured("Hathor")
    ledger = HathorLedger(settings.hathor, **_surroundings())
    return _opened(ledger, settings, None if makes else "hathor")


def bittensor_ledger(
    settings: Settings, *, makes: bool = False
) -> AbstractAsyncContextManager[BittensorLedger]:
    """The Bittensor ledger and nothing running. `makes`: as for Atto."""
    if settings.bittensor is None:
        raise _not_configured("Bittensor", ": set network")
    ledger = BittensorLedger(settings.bittensor, **_surroundings())
    return _opened(ledger, settings, None if makes else "bittensor")


class _Surroundings(TypedDict):
    clock: Clock
    entropy: Entropy
    health: Health
    metrics: Metrics


class _Ledger(Protocol):
    async def open(self) -> None: ...
    async def close(self) -> None: ...


L = TypeVar("L", bound=_Ledger)


def _surroundings() -> _Surroundings:
    return {
        "clock": SystemClock(),
        "entropy": SystemEntropy(),
        "health": Health(),
        "metrics": Metrics("strongroom"),
    }


def _not_configured(ledger: str, advice: str = "") -> typer.Exit:
    typer.echo(f"strongroom: {ledger} is not configured{advice}", err=True)
    return typer.Exit(2)


@asynccontextmanager
async def _opened(ledger: L, settings: Settings, required: str | None) -> AsyncIterator[L]:
    if required is not None:
        await require_installed(settings, required)
    settings.data.mkdir(parents=True, exist_ok=True)
    try:
        await ledger.open()
        yield ledger
    finally:
        await ledger.close()


def shown(database: Database) -> str:
    """Where a database is, without its password."""
    return database.url.render_as_string(hide_password=True)
