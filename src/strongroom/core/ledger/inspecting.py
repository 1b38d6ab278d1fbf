"""What `strongroom audit verify` checks: the trail, and rows of other tables that the trail should know."""

from functools import partial

from sqlalchemy import Connection

from strongroom.core.errors import VaultError
from strongroom.core.guard.rows.check import find_problems
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.custody.turned_back import CODE as TURNED_BACK
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage.database import Database
from strongroom.core.transparency.inspection import Finding, Inspection, TrailCheck
from strongroom.core.transparency.making import Checkpoints
from strongroom.core.transparency.verification import restart_of, verify

ALTERED = "row_altered"
SEALED_ALTERED = "sealed_row_altered"


def make_inspection(
    ledger: str, database: Database, checkpoints: Checkpoints, key: TrailKey, custody: Custody | None
) -> Inspection:
    """`custody`: the keys of sealed rows; None: the ledger seals nothing."""
    checks: list[TrailCheck] = [partial(rows_altered, database, key)]
    if custody is not None:
        checks.append(partial(sealed_rows_altered, database, custody))
    return Inspection(
        ledger,
        database,
        checkpoints.public_key,
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
