"""`strongroom audit restart`: the audit trail of a ledger without key-encryption key begins anew, because its secret is lost."""

import asyncio
from functools import partial
from typing import Annotated

import typer
from sqlalchemy import Connection

from strongroom.commands.context import AsOperator, operator, prepared
from strongroom.core.errors import Conflict
from strongroom.core.ledger.contract import Ledger
from strongroom.core.security.access import Principal
from strongroom.core.security.trail.lanes import exclude_signatures
from strongroom.core.transparency.store import last_for_restart
from strongroom.registry import LEDGERS

WITHOUT_KEY = [one.name for one in LEDGERS if one.holdings() is None]


def restart(
    ledger: Annotated[str, typer.Option("--ledger", help=f"{' or '.join(WITHOUT_KEY)}.")],
    reason: Annotated[
        str, typer.Option("--reason", help="Why; the audit trail keeps it.", show_default=False)
    ],
    name: AsOperator = None,
) -> None:
    """Begin the trail anew under the present AUTH_SECRET, after the one before was lost. Earlier rows cannot be verified any more."""
    if ledger not in WITHOUT_KEY:
        raise typer.BadParameter(
            f"the trail of {ledger} begins anew with its key: strongroom keys abandon {ledger} --all, or accept"
        )
    asyncio.run(_restart(ledger, reason, operator(name)))
    typer.echo(
        f"the audit trail of {ledger} begins anew. Look at tokens and rules now: strongroom rows list {ledger}"
    )


async def _restart(ledger: str, reason: str, principal: Principal) -> None:
    async with prepared(ledger) as running:
        if not await running.database.write(partial(_begin, running=running, reason=reason, by=principal)):
            raise Conflict(
                "The trail was written with the present secret, or not at all: it does not begin anew"
            )


def _begin(connection: Connection, running: Ledger, reason: str, by: Principal) -> bool:
    exclude_signatures(connection)
    checkpoint = last_for_restart(connection, running.definition.name)
    return running.audit.restart(connection, by, reason, checkpoint)
