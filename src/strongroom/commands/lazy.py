"""Commands that are loaded when they run: the start of one command, or of one ledger, shall not pay for the others.

The list of commands that `strongroom --help` shows stands here, and in the definitions of ledgers, so that it loads none of them.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from strongroom.core.ledger.contract import AnyLedger
from strongroom.registry import LEDGERS

Loader = Callable[[], typer.Typer | Callable[..., Any] | None]

OF_SERVICE: Final = {
    "serve": ("serve:serve", "Serve the named ledgers, with their workers and the management surface."),
    "sandbox": (
        "serve:sandbox",
        "Run local ledgers alone: nodes and chains to try the service with, and to test against.",
    ),
    "sync": ("sync:sync", "Follow a node into the database, without serving an API."),
    "migrate": ("migrate:migrate", "Bring the databases up to date and end. `serve` does it too."),
    "doctor": (
        "doctor:doctor",
        "Check databases, audit trails, keys, nodes and work. It changes nothing and makes nothing.",
    ),
    "health": (
        "about.health:health",
        "Ask the service on this machine whether it is ready. Status 0: it is; 1: it is not, or does not answer.",
    ),
    "config": (
        "about.config:config",
        "Show which variables are set in this environment, and every mistake in them. Status 2: there are mistakes.",
    ),
    "explain": ("about.explain:explain", "Say what an error code means and what to do."),
    "token": ("token:application", "API tokens: create, list, set, rotate, revoke."),
    "keys": (
        "keys:application",
        "Change the key-encryption key. Look at sealed rows that do not open or were altered, accept or abandon them.",
    ),
    "rows": (
        "rows.commands:application",
        "Tokens, rules, freezes and requests that another program changed: look at them, accept them.",
    ),
    "policy": (
        "policy:application",
        "Rules for what is signed: list, add, remove, test, prove, history, freezes.",
    ),
    "approvals": ("approvals:application", "Requests that wait for approvals: list, show, approve, refuse."),
    "audit": ("audit:application", "The audit trail: who did what, and proof that nobody changed it."),
    "freeze": ("freeze:freeze", "Refuse every signature from now on; reading goes on."),
    "unfreeze": ("freeze:unfreeze", "End what `freeze` began, for the same ledger, wallet or token."),
    "webhook": (
        "webhooks.endpoints:application",
        "Endpoints that are told of events: add, list, show, set, rotate, test, deliveries, replay, remove.",
    ),
    "seal": (
        "seal:seal",
        "Take the keys out of memory, in every process and also after restarts. Nothing is signed; reading goes on.",
    ),
    "unseal": (
        "seal:unseal",
        "Let every process open the keys again. It needs the key-encryption key, or its backend.",
    ),
    "payments": (
        "payments:payments",
        "List what was signed, the newest first, with its state. Status 1 when a ledger's database does not answer.",
    ),
    "payment": (
        "payments:payment",
        "Tell a payment's life: who asked, what allowed it, when it was signed, offered and confirmed, who was told, and what is next.",
    ),
    "wallets": (
        "wallets.commands:wallets",
        "List the wallets of all ledgers with what they hold. Status 1 when a ledger's database does not answer.",
    ),
    "wallet": (
        "wallets.commands:wallet",
        "Show a wallet: what it holds, and if asked for its accounts and its history. The same name may be on several ledgers.",
    ),
    "backup": (
        "databases.backup:backup",
        "Back up the databases of all configured ledgers, and the keys to another place. The service may run.",
    ),
    "restore": (
        "databases.restore:restore",
        "Restore a backup into the databases of all configured ledgers, which must be empty. Of either engine.",
    ),
    "verify": (
        "databases.restore:verify",
        "Check a backup: that it opens, and has every row that was written. Changes nothing.",
    ),
    "copy": (
        "databases.copy:copy",
        "Copy databases to another server or engine and compare every row. The service must be stopped.",
    ),
    "adopt": (
        "adoption.adopt:adopt",
        "Take over the database of the original in place, or give it back with --revert. Stop the original first.",
    ),
    "completion": (
        "about.completion:completion",
        "Print what completes the commands in a shell: bash, zsh or fish.",
    ),
}
"""Commands of the service: modules beside this one with what they define there, and the first sentences of their help."""


class LazyCommands(TyperGroup):
    """The commands of the service, then the ledgers' own."""

    def list_commands(self, _ctx: Any) -> list[str]:
        return [
            *OF_SERVICE,
            *(name for name, load in _of_ledgers() if _is_described(name) or load() is not None),
        ]

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        if cmd_name in OF_SERVICE:
            module, attribute = OF_SERVICE[cmd_name][0].split(":")
            return _command(cmd_name, getattr(import_module(f"{__package__}.{module}"), attribute))
        for name, load in _of_ledgers():
            if name == cmd_name and (loaded := load()) is not None:
                return _command(name, loaded)
        return None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Of all help this part alone says something of every command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summary(ctx, name)) for name in self.list_commands(ctx)])

    def _summary(self, ctx: Any, name: str) -> str:
        known = {**{name: text for name, (_, text) in OF_SERVICE.items()}, **_described()}
        summary: str = known.get(name) or self.get_command(ctx, name).help or ""
        return summary


def _of_ledgers() -> Iterator[tuple[str, Loader]]:
    for ledger in LEDGERS:
        yield ledger.name, ledger.commands
        yield from ledger.root_commands().items()


def _described() -> dict[str, str]:
    return {name: text for ledger in LEDGERS for name, text in ledger.described_commands.items()}


def _is_described(name: str) -> bool:
    return name in _described()


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
