"""`strongroom explain`: what an error code means and what helps. docs/errors.md is made of the same tables."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated

import typer

from strongroom.admin.advice import ADVICE as OF_ADMIN
from strongroom.console.advice import ADVICE as OF_CONSOLE
from strongroom.core.advice import Chapter
from strongroom.core.advice.of_callers import OF_CALLERS
from strongroom.core.advice.of_operators import FINDINGS, OF_ADMINISTRATION, OF_COPIES, OF_KEYS
from strongroom.registry import LEDGERS

COMMAND = ".venv/bin/strongroom explain --markdown > docs/errors.md"
HEAD = f"""# Error codes

Every stable code that the service says, what it means, and what to do. Beside the code an answer has a message, which names the value,
the wallet or the variable. `strongroom explain CODE` says the same on the terminal.

- The status is that of the HTTP answer. Codes without one are said by commands, by the log, by `/health`, or when the service does
  not start.
- **Did it happen?** With 4xx and 503 nothing was signed. With 504 something was: do not pay again, but repeat with the same
  `Idempotency-Key`, or look. Without any answer, act as with 504.

This page is made from the code, with `{COMMAND}`.
"""
COLUMNS = "| code | status | what it means | what to do |\n|---|---|---|---|"


def chapters() -> Iterator[Chapter]:
    """All tables, those of clients first."""
    yield Chapter("All ledgers", "Any API gives them.", OF_CALLERS)
    for ledger in LEDGERS:
        if chapter := ledger.advice():
            yield chapter
    shared = "The admin API gives them as `code`, beside `detail` and `requestId`, and commands say them."
    yield Chapter("Rules, tokens, webhooks, payments, checkpoints", shared, OF_ADMINISTRATION)
    yield Chapter("The admin API alone", "No command gives them.", OF_ADMIN)
    yield Chapter("The console alone", "Its pages say them.", OF_CONSOLE)
    yield Chapter("Keys", "The start and `strongroom keys`, `seal`, `unseal` say them.", OF_KEYS)
    yield Chapter(
        "Backups and copies", "`strongroom backup`, `restore`, `verify`, `copy` say them.", OF_COPIES
    )
    yield Chapter("Findings in the audit trail", "`strongroom audit verify` and `doctor` say them.", FINDINGS)


def explain(
    code: Annotated[str | None, typer.Argument(help="An error code, as wallet_locked.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print all, as docs/errors.md.")] = False,
) -> None:
    """Say what an error code means and what to do."""
    if markdown or code is None:
        typer.echo(page(), nl=False)
        return
    found = [(chapter, chapter.codes[code]) for chapter in chapters() if code in chapter.codes]
    if not found:
        typer.echo(f"strongroom: {code} is no error code of this service", err=True)
        raise typer.Exit(2)
    for chapter, advice in found:
        typer.echo(f"{chapter.title}, {_status(advice.status)}: {advice.meaning}\n{advice.help}")


def page() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD]
    for chapter in chapters():
        parts.append(f"## {chapter.title}\n\n{chapter.surfaces}\n\n{COLUMNS}")
        parts += [
            f"| `{code}` | {advice.status or 'none'} | {advice.meaning} | {advice.help} |"
            for code, advice in chapter.codes.items()
        ]
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}" if status else "no HTTP answer"
