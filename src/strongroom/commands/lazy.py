"""Commands that are loaded when they are asked for: the start of one ledger shall not pay for the others."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from strongroom.core.ledger.contract import AnyLedger
from strongroom.registry import LEDGERS

Loader = Callable[[], typer.Typer | Callable[..., Any] | None]

OF_EVERY_LEDGER = {
    "token": "token:application",
    "keys": "keys:application",
    "rows": "rows.commands:application",
    "policy": "policy:application",
    "approvals": "approvals:application",
    "audit": "audit:application",
    "freeze": "freeze:freeze",
    "unfreeze": "freeze:unfreeze",
    "webhook": "webhooks.endpoints:application",
    "seal": "seal:seal",
    "unseal": "seal:unseal",
    "copy": "databases.copy:copy",
    "config": "about.config:config",
    "explain": "about.explain:explain",
    "adopt": "adoption.adopt:adopt",
    "restore": "databases.restore:restore",
    "verify": "databases.restore:verify",
    "payments": "payments:payments",
    "payment": "payments:payment",
}
"""Commands of the service that ask every ledger for what they offer: modules beside this one, and what they define there."""


class LazyCommands(TyperGroup):
    """The commands that are there already, then those that ask every ledger, then the ledgers' own."""

    def list_commands(self, ctx: Any) -> list[str]:
        own = super().list_commands(ctx)
        return own + [name for name, load in _loaders() if name not in own and load() is not None]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found: Any = super().get_command(ctx, cmd_name)
        for name, load in _loaders():
            if found is None and name == cmd_name and (loaded := load()) is not None:
                found = _command(name, loaded)
        return found


def _loaders() -> Iterator[tuple[str, Loader]]:
    for name, place in OF_EVERY_LEDGER.items():
        yield name, _of_module(*place.split(":"))
    for ledger in LEDGERS:
        yield ledger.name, ledger.commands
        for name, load in ledger.root_commands().items():
            yield name, load


def _of_module(module: str, attribute: str) -> Loader:
    def loader() -> typer.Typer | Callable[..., Any]:
        found: typer.Typer | Callable[..., Any] = getattr(import_module(f"{__package__}.{module}"), attribute)
        return found

    return loader


def _command(name: str, loaded: typer.Typer | Callable[..., Any]) -> Any:
    """A group of commands, or one."""
    outer = typer.Typer(add_completion=False)
    if not isinstance(loaded, typer.Typer):
        outer.command(name)(loaded)
        return typer.main.get_command(outer)
    outer.add_typer(loaded, name=name)
    group: Any = typer.main.get_command(outer)
    return group.commands[name]


def titles(ledgers: tuple[AnyLedger, ...] = LEDGERS) -> str:
    """The ledgers' names for people: `One, Two and Three`."""
    *first, last = (ledger.title for ledger in ledgers)
    return f"{', '.join(first)} and {last}" if first else last
