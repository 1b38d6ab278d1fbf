"""What `strongroom audit verify` checks: the trail, and rows of other tables that the trail should know."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.errors import VaultError
from strongroom.core.guard.rows.check import find_problems
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.custody.turned_back import CODE as TURNED_BACK
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage.database import Database
from strongroom.core.transparency.comparing.counted import windows_altered
from strongroom.core.transparency.comparing.payments import payments_altered
from strongroom.core.transparency.inspection import Finding, Inspection, TrailCheck
from strongroom.core.transparency.making import Checkpoints
from strongroom.core.transparency.verification import restart_of, verify

ALTERED = "row_altered"
SEALED_ALTERED = "sealed_row_altered"


class Inspected(Protocol):
    """What is known of a ledger that is prepared."""

    definition: AnyLedger
    database: Database
    checkpoints: Checkpoints
    trail_key: TrailKey
    custody: Custody | None
    """The keys of sealed rows; None: the ledger seals nothing."""
    clock: Clock

    def keeps_payment(self, kind: str, at_ms: int) -> bool: ...

    def own_checks(self) -> Sequence[TrailCheck]: ...


def make_inspection(ledger: Inspected) -> Inspection:
    database, key = ledger.database, ledger.trail_key
    checks: list[TrailCheck] = [partial(rows_altered, database, key)]
    if ledger.custody is not None:
        checks.append(partial(sealed_rows_altered, database, ledger.custody))
    checks += [
        partial(payments_altered, database, ledger.keeps_payment),
        partial(windows_altered, database, ledger.clock),
        *ledger.own_checks(),
    ]
    return Inspection(
        ledger.definition.name,
        database,
        ledger.checkpoints.public_key,
        partial(verify, database, key),
        checks,
        partial(restart_of, database, key),
    )


async def rows_altered(database: Database, key: TrailKey) -> list[Finding]:
    """Tokens, rules, freezes and requests for approval that this service did not write as they stand. Raises: Sealed."""
    problems = await database.read(partial(find_problems, key=key, in_full=True))
    return [Finding(code=ALTERED, detail=one.words) for one in problems]


async def sealed_rows_altered(database: Database, custody: Custody) -> list[Finding]:
    """Rows with sealed secrets that this service did not write as they stand. Raises: VaultError: there is no key."""
    if not custody.ring.is_open:
        try:
            await custody.open()
        except VaultError as error:
            if error.instance_code != TURNED_BACK:
                raise
            return [Finding(code=TURNED_BACK, detail=error.message)]
    kind, holdings = custody.keeping.holdings.kind, custody.keeping.holdings
    bindings = Bindings(custody.ring, kind)

    def work(connection: Connection) -> dict[str, str]:
        return bindings.problems(connection, holdings.rows(connection))

    problems = sorted((await database.read(work)).items())
    return [Finding(code=SEALED_ALTERED, detail=f"{kind.noun} {name} {why}") for name, why in problems]
