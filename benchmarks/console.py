"""How long the server takes for each page of the console, with many payments.

    .venv/bin/python benchmarks/console.py [PAYMENTS]

Two ledgers on SQLite have 50,000 payments each, unless another number is named; of them 200 are in flight. One signed-in browser asks for
each page thirty times over HTTP, one after the other. Printed are the median and the slowest, of the whole answer with its network on
this machine, and the size of the page. The limit is 100 ms for the median.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from sqlalchemy import Connection

from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.tables import intent
from strongroom.core.security.access import ADMIN
from support.admin_office import Office, running_office
from support.clock import ManualClock
from support.console import Visitor

PAYMENTS = 50_000
IN_FLIGHT = 200
ROUNDS = 30
CHUNK = 500
LIMIT_MS = 100


async def fill(office: Office, ledger: str, payments: int) -> None:
    now_ms = office.clock.now_ms()

    def rows(first: int) -> list[dict[str, object]]:
        return [
            {
                "id": number.to_bytes(32, "big"),
                "account": f"account-{number % 100}",
                "kind": "SEND",
                "payload": b"signed",
                "principal": "token:shop",
                "request": '{"amountRaw": "1000000000", "destination": "somebody"}',
                "stage": "signed",
                "outcome": (Outcome.OPEN if number < IN_FLIGHT else Outcome.ACCEPTED).value,
                "attempts": 1,
                "created_at_ms": now_ms - number * 500,
                "wallet": f"wallet-{number % 10}",
            }
            for number in range(first, min(first + CHUNK, payments))
        ]

    for first in range(0, payments, CHUNK):
        statement = intent.insert().values(rows(first))
        await office.ledgers[ledger].database.write(partial(Connection.execute, statement=statement))


async def main(payments: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_office(Path(folder), ManualClock()) as office:
            for ledger in office.ledgers:
                await fill(office, ledger, payments)
            visitor = Visitor(str(office.client.base_url))
            await visitor.sign_in(await office.token(ADMIN, on=[*office.ledgers]))
            paths = (
                "/",
                "/payments",
                "/payments?wallet=wallet-3&state=ACCEPTED",
                f"/payments/find?id={5:064x}",
            )
            for path in (*paths, "/payments/find?id=no-such-request", "/approvals", "/freezes"):
                taken, size = [], 0
                for _ in range(ROUNDS):
                    started_s = time.perf_counter()
                    page = await visitor.open(path)
                    taken.append((time.perf_counter() - started_s) * 1000)
                    size = len(page.html)
                median = statistics.median(taken)
                verdict = "" if median < LIMIT_MS else "  ABOVE THE LIMIT"
                print(
                    f"{path:45} median {median:6.1f} ms, slowest {max(taken):6.1f} ms, {size / 1000:5.1f} kB{verdict}"
                )
            await visitor.client.aclose()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else PAYMENTS))
