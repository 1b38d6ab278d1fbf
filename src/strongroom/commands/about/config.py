"""`strongroom config`: which variables are set, what counts where none is, and which are misspelt. It shows no secret."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.table import Table
from rich.text import Text

from strongroom.commands.about.configuration_page import explained, page
from strongroom.core.described import FILE_ENDING
from strongroom.core.environment import SettingsError
from strongroom.core.terminal import print_table
from strongroom.core.variables import without_service_links
from strongroom.settings import Settings, known_names, read_settings

ENVIRONMENT = "environment"
DEFAULT = "default"
HIDDEN = "[set]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """One variable as it counts now."""

    name: str
    value: str
    """A secret only as `[set]`; of a URL no user, path or query."""
    source: str
    """`environment`, `default`, or the file with the value."""
    meaning: str


def config(
    show_all: Annotated[bool, typer.Option("--all", help="Also what is not set, with its default.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page of all variables, docs/configuration.md.")
    ] = False,
) -> None:
    """Show which variables are set in this environment, and every mistake in them. Status 2: there are mistakes."""
    if markdown:
        typer.echo(page(), nl=False)
        return
    settings, mistakes = _read(os.environ)
    found = [one for one in effective(os.environ) if show_all or one.source != DEFAULT]
    if as_json:
        typer.echo(json.dumps(_document(settings, found, mistakes), indent=2, ensure_ascii=False))
    else:
        _print(settings, found, mistakes)
    if mistakes:
        raise typer.Exit(2)


def _read(variables: Mapping[str, str]) -> tuple[Settings | None, list[str]]:
    try:
        return read_settings(variables), []
    except SettingsError as error:
        return None, error.mistakes


def effective(variables: Mapping[str, str]) -> Iterator[Effective]:
    """Every variable there is, in the order of docs/configuration.md; then those that are set and not of this page."""
    given = {name: value for name, value in without_service_links(variables).items() if value}
    shown = set()
    for _, _, one in explained():
        shown |= {one.name, f"{one.name}{FILE_ENDING}"}
        value, source = one.default, DEFAULT
        path = given.get(f"{one.name}{FILE_ENDING}") if one.has_file else None
        if one.name in given:
            value, source = _shown(given[one.name], is_secret=one.is_secret), ENVIRONMENT
        elif path is not None:
            value, source = HIDDEN, path
        yield Effective(name=one.name, value=value, source=source, meaning=one.meaning)
    for name in sorted(given.keys() & known_names() - shown):
        yield Effective(name=name, value=HIDDEN, source=ENVIRONMENT, meaning="")


def _shown(value: str, *, is_secret: bool) -> str:
    if is_secret:
        return HIDDEN
    return ",".join(_without_credentials(part) for part in value.split(","))


def _without_credentials(text: str) -> str:
    """Of a URL its scheme and host: passwords and keys of providers are in the rest."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return HIDDEN
    rest = "/…" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{rest}"


def _databases(settings: Settings | None) -> dict[str, str]:
    if settings is None:
        return {}
    return {name: one.database.render_as_string(hide_password=True) for name, one in settings.ledgers.items()}


def _document(settings: Settings | None, found: list[Effective], mistakes: list[str]) -> dict[str, Any]:
    return {
        "databases": _databases(settings),
        "variables": [asdict(one) for one in found],
        "mistakes": mistakes,
        "warnings": [] if settings is None else [*settings.warnings],
    }


def _print(settings: Settings | None, found: list[Effective], mistakes: list[str]) -> None:
    table = Table("variable", "value", "source")
    for one in found:
        table.add_row(Text(one.name), Text(one.value), Text(one.source))
    print_table(table)
    for name, database in _databases(settings).items():
        typer.echo(f"{name}: {database}")
    for warning in () if settings is None else settings.warnings:
        typer.echo(f"warning: {warning}")
    for mistake in mistakes:
        typer.secho(f"strongroom: {mistake}", err=True, fg="red")
