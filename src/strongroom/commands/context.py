"""What the administrative commands share: the ledger's settings and database, without serving."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import typer

from strongroom.atto.ledger import AttoLedger
from strongroom.bittensor.ledger import BittensorLedger
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.database import Database
from strongroom.core.telemetry import Health, Metrics, configure_logging
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
async def atto_ledger(settings: Settings) -> AsyncIterator[AttoLedger]:
    """The Atto ledger with its database migrated and nothing running."""
    if settings.atto is None:
        typer.echo("strongroom: Atto is not configured", err=True)
        raise typer.Exit(2)
    settings.data.mkdir(parents=True, exist_ok=True)
    ledger = AttoLedger(
        settings.atto,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        health=Health(),
        metrics=Metrics("strongroom"),
    )
    try:
        await ledger.migrate()
        yield ledger
    finally:
        await ledger.database.close()


async def migrate_all(settings: Settings) -> list[str]:
    """Migrates the database of every configured ledger; returns where they are."""
    databases: list[str] = []
    if settings.atto is not None:
        async with atto_ledger(settings) as atto:
            databases.append(shown(atto.database))
    if settings.hathor is not None:
        async with hathor_ledger(settings) as hathor:
            databases.append(shown(hathor.database))
    if settings.bittensor is not None:
        async with bittensor_ledger(settings) as bittensor:
            databases.append(shown(bittensor.database))
    return databases


@asynccontextmanager
async def hathor_ledger(settings: Settings) -> AsyncIterator[HathorLedger]:
    """The Hathor ledger, its database migrated and nothing running."""
    if settings.hathor is None:
        typer.echo("strongroom: Hathor is not configured", err=True)
        raise typer.Exit(2)
    settings.data.mkdir(parents=True, exist_ok=True)
    ledger = HathorLedger(
        settings.hathor,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        health=Health(),
        metrics=Metrics("strongroom"),
    )
    try:
        await ledger.open()
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def bittensor_ledger(settings: Settings) -> AsyncIterator[BittensorLedger]:
    """The Bittensor ledger, its database migrated and nothing running."""
    if settings.bittensor is None:
        typer.echo("strongroom: Bittensor is not configured: set network", err=True)
        raise typer.Exit(2)
    settings.data.mkdir(parents=True, exist_ok=True)
    ledger = BittensorLedger(
        settings.bittensor,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        health=Health(),
        metrics=Metrics("strongroom"),
    )
    try:
        await ledger.open()
        yield ledger
    finally:
        await ledger.close()


def shown(database: Database) -> str:
    """Where a database is, without its password."""
    return database.url.render_as_string(hide_password=True)
