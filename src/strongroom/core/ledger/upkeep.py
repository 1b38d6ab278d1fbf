"""The loops that every ledger runs, besides its own: they keep the tables and the health that all ledgers have."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from strongroom.core.clock import Clock
from strongroom.core.coordination.idempotency import Idempotency, instance_lease
from strongroom.core.coordination.lease import Lease, Leases
from strongroom.core.coordination.loops import Loop, LoopContext, Loops
from strongroom.core.coordination.rate_store import DatabaseRates
from strongroom.core.guard.rows.watch import RowWatch
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.security.audit import Audit
from strongroom.core.security.upkeep.token_expiry import CHECK_S as LOOK_S
from strongroom.core.security.upkeep.token_expiry import TokenExpiry
from strongroom.core.security.upkeep.token_uses import WRITE_S, TokenUses
from strongroom.core.storage.check import CHECK_S, check_database
from strongroom.core.storage.database import Database
from strongroom.core.storage.rolling.watch import SchemaWatch
from strongroom.core.transparency.making import Checkpoints

PURGE_S: Final = 3600.0
RATES_PURGE_S: Final = 300.0


class Kept(Protocol):
    """What is asked of a ledger."""

    definition: AnyLedger
    surroundings: Surroundings
    database: Database
    audit: Audit
    token_uses: TokenUses
    checkpoints: Checkpoints
    clock: Clock
    leases: Leases
    loops: Loops

    def component(self, part: str) -> str: ...

    def under(self, lease: str, loops: Sequence[Loop]) -> None: ...


def start_upkeep(ledger: Kept, own_rates: DatabaseRates | None) -> None:
    """`own_rates`: what counts requests in the ledger's database; None: Redis does."""
    loops, tokens = ledger.loops, ledger.component("Tokens")
    _watch_database(ledger)
    _report_life(ledger)
    loops.start(loops.every(tokens, WRITE_S, ledger.token_uses.write, part="uses"))
    expiry = TokenExpiry(ledger.definition.name, database=ledger.database, clock=ledger.clock)
    loops.start(loops.every(tokens, LOOK_S, expiry.look, part="expiry"))
    if interval_s := ledger.surroundings.checkpoints.interval_s:
        make = loops.every(ledger.component("Checkpoints"), interval_s, ledger.checkpoints.make_due)
        ledger.under("checkpoints", [make])
    RowWatch(ledger.database, ledger.audit).start(loops, ledger.component("Rows"))
    if own_rates is not None:
        loops.start(loops.every(tokens, RATES_PURGE_S, own_rates.purge, part="purge"))


def start_remembering(ledger: Kept, idempotency: Idempotency) -> None:
    """Drops Idempotency-Keys that are over."""
    ledger.loops.start(ledger.loops.every(ledger.component("Purge"), PURGE_S, idempotency.purge))


def _report_life(ledger: Kept) -> None:
    """Holds the lease that says that this process lives."""
    loops, leases = ledger.loops, ledger.leases

    async def hold(_lease: Lease) -> None:
        await asyncio.Event().wait()

    async def live(context: LoopContext) -> None:
        await leases.lead(instance_lease(leases.holder), hold, context.health)

    loops.start(loops.run(ledger.component("Instance"), live))


def _watch_database(ledger: Kept) -> None:
    """Starts the check of the database; the vital component is DOWN after one failure and UP after one success.

    From now on the database takes no write of this process once a newer version has changed its schema beyond what this
    process bears.
    """
    loops, database, component = ledger.loops, ledger.database, ledger.component("Database")
    watch = SchemaWatch([ledger.definition.revisions], database.clock)
    database.watched_by(watch)
    loops.check(component, watch.check, part="schema")
    look = partial(check_database, database, watch)
    loops.start(
        loops.every(component, CHECK_S, look, down_after=1, max_pause_s=CHECK_S, vital=True),
    )
