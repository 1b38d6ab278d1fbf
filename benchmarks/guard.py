"""What rules add to the processor time of a signature, against the stated limit of 0.3 ms for 100 rules.

    .venv/bin/python benchmarks/guard.py

One run decides the same signatures without rules, with 100 rules for other wallets or for who is paid, and with 100 of which ten
have a window of a day that counts and is full of payments: within one moment, and with so much time between two signatures that
each begins a new bucket of every window. All are decided in one transaction on SQLite: the decision is measured, and not the disk.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection

from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.coordination.spent import BUCKETS
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.guard.vocabulary import Vocabulary
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate

LIMIT_MS = 0.3
RULES = 100
SIGNATURES = 2_000
BUCKET_MS = 86_400_000 // BUCKETS
OTHERS = (
    '{"effect":"deny","when":{"wallets":["cold-%d"],"kinds":["SEND"]},"unless":{"destinations":["bank"]}}'
)
PAID = '{"effect":"deny","when":{"kinds":["SEND"],"destinations":["thief-%d"]}}'
WINDOW = (
    '{"effect":"deny","when":{"wallets":["hot"]},"limit":{"amount_raw":"%d","seconds":86400,"per":"wallet"}}'
)
ASKED = SignatureRequest(
    principal=Principal(name="token:trader", scopes=frozenset({"*"})),
    scope="toy:send",
    account="hot/0",
    kind="SEND",
    payload_hash=bytes(32),
    wallet="hot",
    amount_raw=1,
    destination="shop",
)


class SteppingClock(SystemClock):
    """Stands still, but for what the benchmark adds."""

    def __init__(self) -> None:
        self.at_ms = super().now_ms()

    def now_ms(self) -> int:
        return self.at_ms


async def decided_ms(folder: Path, documents: list[str], step_ms: int = 0) -> float:
    """Milliseconds of processor time of one decision; `step_ms` passes between two of them."""
    clock = SteppingClock()
    database = Database(sqlite_url(str(folder / f"{len(documents)}-{time.monotonic_ns()}.sqlite3")))
    await migrate(database, [])
    key = TrailKey(SystemEntropy().token(32))
    rules = GuardAdministration(
        database,
        Audit(clock, key),
        clock,
        SystemEntropy(),
        vocabulary=Vocabulary(),
        loosening_delay_ms=0,
    )
    for number, document in enumerate(documents):
        await rules.add(OPERATOR, f"rule {number}", document)
    guard = Guard(clock, Default.ALLOW, key=key)

    def work(connection: Connection) -> float:
        for _ in range(BUCKETS):
            clock.at_ms += BUCKET_MS
            guard.authorize(connection, ASKED)
        started_s = time.thread_time()
        for _ in range(SIGNATURES):
            clock.at_ms += step_ms
            guard.authorize(connection, ASKED)
        return time.thread_time() - started_s

    spent_s = await database.write(work)
    await database.close()
    return spent_s / SIGNATURES * 1000


async def main() -> None:
    others = [OTHERS % number for number in range(RULES)]
    paid = [PAID % number for number in range(RULES)]
    counting = [WINDOW % (10**9 + number) for number in range(10)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = min([await decided_ms(folder, []) for _ in range(3)])
        many = min([await decided_ms(folder, others) for _ in range(3)])
        destinations = min([await decided_ms(folder, paid) for _ in range(3)])
        mixed = min([await decided_ms(folder, paid[:-10] + counting) for _ in range(3)])
        windows = min([await decided_ms(folder, others[:-10] + counting) for _ in range(3)])
        rolling = min([await decided_ms(folder, others[:-10] + counting, BUCKET_MS) for _ in range(3)])
    sys.stdout.write(f"no rules              {bare:.3f} ms\n")
    ways = (
        (f"{RULES} for other wallets", many),
        ("10 of them windows", windows),
        ("each a new bucket", rolling),
        (f"{RULES} for who is paid", destinations),
        ("10 of them windows", mixed),
    )
    ratios = [(title, spent, (spent - bare) / LIMIT_MS) for title, spent in ways]
    for title, spent, ratio in ratios:
        sys.stdout.write(f"{title:<21} {spent:.3f} ms, adds {spent - bare:.3f}: {ratio:.2f} of the limit\n")
    if any(ratio > 1 for _, _, ratio in ratios):
        raise SystemExit("more than the limit")


if __name__ == "__main__":
    asyncio.run(main())
