"""`strongroom atto rekey` gives a wallet another key of its own, `strongroom atto export` shows its mnemonic."""

import asyncio
import os
import secrets
import sys
from typing import Annotated
from urllib.parse import quote

import typer

from strongroom.atto.definition import LEDGER
from strongroom.atto.protocol import Mnemonic, ProtocolError
from strongroom.atto.wallets.own_keys import Proof
from strongroom.core.errors import InvalidInput
from strongroom.core.ledger.contract import administration_of
from strongroom.core.ledger.exporting import fetch_secret
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.vault import KEY_BYTES

Url = Annotated[str, typer.Option(envvar="STRONGROOM_ATTO_URL", help="Where the service answers.")]
ApiToken = Annotated[
    str | None, typer.Option(envvar="STRONGROOM_ATTO_TOKEN", help="An API token, if one is needed.")
]
DEFAULT_URL = f"http://127.0.0.1:{os.environ.get('ATTO_PORT') or 8080}"


def export(
    wallet: str,
    url: Url = DEFAULT_URL,
    token: ApiToken = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
) -> None:
    """Show the mnemonic of an unlocked wallet, after somebody else has approved it. The token needs the scope atto:export."""
    path = f"/wallets/{quote(wallet, safe='')}/exports"
    what = f"the mnemonic of {wallet}"
    answer = fetch_secret(url, token, path, None, what=what, reach="the wallet's money", yes=yes)
    typer.echo(answer["mnemonic"])


def rekey(
    context: typer.Context,
    wallet: str,
    with_mnemonic: Annotated[
        bool,
        typer.Option("--mnemonic", help="Show the wallet's mnemonic in place of its key, which is lost."),
    ] = False,
    is_unlocked: Annotated[
        bool,
        typer.Option("--unlocked", help="Show nothing: the wallet is unlocked, and you operate the service."),
    ] = False,
    is_given: Annotated[
        bool,
        typer.Option("--given", help="Ask for the new key too. Default: a random one is made and printed."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether the new key is stored.")] = False,
) -> None:
    """Change a wallet's own key, which unlocks it. Secrets come from the terminal or from lines of standard input."""
    if with_mnemonic and is_unlocked:
        raise typer.BadParameter("--mnemonic or --unlocked")
    proof = Proof()
    if with_mnemonic:
        proof = Proof(mnemonic=_parse(_ask(f"Mnemonic of {wallet}")))
    elif not is_unlocked:
        proof = Proof(encryption_key=_ask(f"Key of {wallet} until now"))
    if is_given:
        new_key = _ask(f"New key of {wallet}")
    else:
        new_key = secrets.token_hex(KEY_BYTES).upper()
        # Before the change, so that no key is lost with an answer.
        typer.echo(new_key)
        if not yes and not typer.confirm("Is it stored where it is safe? It is not shown again", err=True):
            raise typer.Exit(1)

    async def work() -> None:
        async with administration_of(context).opened(LEDGER) as ledger:
            await ledger.use_cases.services.own_keys.change(OPERATOR, wallet, proof, new_key)

    asyncio.run(work())
    typer.echo(f"{wallet} has the new key; the one before opens nothing any more", err=True)


def _ask(what: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True, err=True)).strip()
    return sys.stdin.readline().strip()


def _parse(phrase: str) -> Mnemonic:
    try:
        return Mnemonic.parse(phrase)
    except ProtocolError as error:
        raise InvalidInput(str(error), code="invalid_mnemonic") from None
