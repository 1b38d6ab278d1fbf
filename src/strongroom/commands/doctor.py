"""`strongroom doctor`: is everything that this installation needs there and in order? It only looks."""

import asyncio
from collections.abc import Mapping
from functools import partial

import typer
from rich.table import Table
from rich.text import Text
from sqlalchemy import select

from strongroom.commands.context import administrative_settings
from strongroom.commands.installed import installed
from strongroom.core.clock import SystemClock
from strongroom.core.errors import StrongroomError, Unavailable, VaultError
from strongroom.core.http.tls.files import check_files
from strongroom.core.ledger.contract import Check
from strongroom.core.ledger.inspecting import rows_altered
from strongroom.core.ledger.installed import Installed, check_schema, reading
from strongroom.core.ledger.trail import look_up_trail_key
from strongroom.core.security.audit import AuditBroken
from strongroom.core.security.upkeep.token_expiry import SOON_DAYS, find_expiring
from strongroom.core.storage import tables
from strongroom.core.terminal import print_table
from strongroom.core.transparency.checkpoint import public_key
from strongroom.core.transparency.comparing.counted import windows_altered
from strongroom.core.transparency.comparing.payments import payments_altered
from strongroom.core.transparency.file import read_checkpoints
from strongroom.core.transparency.inspection import Inspection
from strongroom.core.transparency.verification import restart_of, verify
from strongroom.registry import BROKEN, BY_NAME
from strongroom.settings import Settings


def doctor() -> None:
    """Check databases, audit trails, keys, nodes and work. It changes nothing and makes nothing."""
    settings = administrative_settings()
    if not asyncio.run(_report(_checks(settings))):
        raise typer.Exit(1)


def _checks(settings: Settings) -> dict[str, Check]:
    """What there is to check, by its name."""
    checks: dict[str, Check] = {}
    if BROKEN:
        checks["installed ledgers"] = _broken
    for one in installed(settings):
        checks[f"{one.ledger} database"] = partial(check_schema, one)
        checks[f"{one.ledger} audit trail"] = partial(_audit_trail, one, settings)
        if BY_NAME[one.ledger].scopes():
            checks[f"{one.ledger} tokens"] = partial(_tokens, one)
        checks |= BY_NAME[one.ledger].checks(one, settings.ledgers[one.ledger])
    for surface, files in settings.tls.items():
        checks[f"{surface} certificate"] = partial(check_files, files, SystemClock())
    return checks


async def _broken() -> str:
    raise Unavailable("; ".join(BROKEN))


async def _audit_trail(one: Installed, settings: Settings) -> str:
    async with reading(one) as database:
        try:
            key = await look_up_trail_key(BY_NAME[one.ledger], settings.ledgers[one.ledger], database)
        except VaultError as error:
            if error.instance_code != "key_missing" or await database.fetch_one(
                select(tables.audit.c.sequence).limit(1)
            ):
                raise
            return "nothing was recorded yet, and there is no key: the first `strongroom serve` makes it"
        chains = partial(verify, database, key)
        clock, definition = SystemClock(), BY_NAME[one.ledger]

        def keeps(kind: str, at_ms: int) -> bool:
            return definition.keeps_payment(settings.ledgers[one.ledger], kind, clock.now_ms() - at_ms)

        inspection = Inspection(
            one.ledger,
            database,
            public_key(key),
            chains,
            [
                partial(rows_altered, database, key),
                partial(payments_altered, database, keeps),
                partial(windows_altered, database, clock),
            ],
            partial(restart_of, database, key),
        )
        file = settings.checkpoints.file
        report = await inspection.run([] if file is None else read_checkpoints(file))
    if report.findings:
        told = [*report.findings, *report.notices]
        raise AuditBroken("; ".join(f"{found.code}: {found.detail}" for found in told))
    return "; ".join([report.summary, *(f"{found.code}: {found.detail}" for found in report.notices)])


async def _tokens(one: Installed) -> str:
    """Tokens that expire soon are nothing bad, but somebody should know."""
    async with reading(one) as database:
        found = await find_expiring(database, SystemClock().now_ms())
    return "; ".join(each.sentence for each in found) or f"none expires within {SOON_DAYS} days"


async def _report(checks: Mapping[str, Check]) -> bool:
    table = Table("check", "result")
    table.add_column("detail", overflow="fold")
    healthy = True
    for name, check in checks.items():
        try:
            table.add_row(name, "[green]good[/]", Text(await check()))
        except StrongroomError as error:
            healthy = False
            table.add_row(name, "[red]bad[/]", Text(error.message))
        except OSError as error:
            healthy = False
            table.add_row(name, "[red]bad[/]", Text(str(error)))
    print_table(table)
    return healthy
