"""`strongroom seal` and `strongroom unseal`: the keys of a ledger leave the memory of every process, until they are given again."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from strongroom.commands.context import (
    AsOperator,
    administrative_settings,
    named_ledger,
    operator,
    prepared,
)
from strongroom.core.errors import InvalidInput, StrongroomError
from strongroom.core.security.keys.local import key_from_hex
from strongroom.core.security.vault import KeyEncryptionKey
from strongroom.registry import LEDGERS
from strongroom.settings import UNSEAL_KEY

SEALING = [ledger for ledger in LEDGERS if ledger.holdings() is not None]
NAMES = " or ".join(one.name for one in SEALING)


def seal(
    ledger: Annotated[str | None, typer.Argument(help=NAMES)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every configured ledger that holds keys.")] = False,
    name: AsOperator = None,
) -> None:
    """Take the keys out of memory, in every process and also after restarts. Nothing is signed; reading goes on."""
    if (ledger is None) != every:
        raise typer.BadParameter(f"name a ledger ({NAMES}), or --all")

    async def one(wanted: str) -> bool:
        async with prepared(wanted) as running:
            assert running.custody is not None  # noqa: S101 - for the type checker: the ledger holds keys
            return await running.custody.seal(operator(name))

    failed = False
    for wanted in _chosen(ledger):
        try:
            is_new = asyncio.run(one(wanted))
        except StrongroomError as error:
            typer.echo(f"{wanted}: not sealed: {error.message}", err=True)
            failed = True
            continue
        typer.echo(f"{wanted}: sealed" if is_new else f"{wanted}: was sealed before")
    if failed:
        raise typer.Exit(1)


def unseal(
    ledger: Annotated[str, typer.Argument(help=NAMES)],
    key_file: Annotated[
        Path | None,
        typer.Option(help=f"A file with the key. Without it: {UNSEAL_KEY}, or the terminal asks."),
    ] = None,
    backend: Annotated[
        bool, typer.Option("--backend", help="The backend that wraps the key opens it.")
    ] = False,
    name: AsOperator = None,
) -> None:
    """Let every process open the keys again. It needs the key-encryption key, or its backend."""
    named_ledger(ledger, SEALING)
    key = None if backend else _key(key_file)

    async def work() -> None:
        async with prepared(ledger) as running:
            assert running.custody is not None  # noqa: S101 - for the type checker: the ledger holds keys
            await running.custody.unseal(operator(name), key)

    asyncio.run(work())
    typer.echo(f"{ledger}: unsealed")


def _chosen(ledger: str | None) -> list[str]:
    if ledger is not None:
        return [named_ledger(ledger, SEALING).name]
    served = administrative_settings().ledgers
    return [one.name for one in SEALING if one.name in served]


def _key(path: Path | None) -> KeyEncryptionKey:
    if path is not None:
        try:
            return key_from_hex(path.read_text())
        except (OSError, UnicodeDecodeError):
            raise InvalidInput(f"{path} cannot be read") from None
    given = os.environ.get(UNSEAL_KEY)
    if given:
        return key_from_hex(given)
    if sys.stdin.isatty():
        return key_from_hex(str(typer.prompt("Key-encryption key", hide_input=True, err=True)))
    return key_from_hex(sys.stdin.readline())
