"""Loading of Hathor wallets: addresses claimed, balances and history summed up from what is stored.

    .venv/bin/python benchmarks/hathor_wallets.py [--mariadb]

Aims: 1,000 used addresses in under 1 s; 10,000 with 100,000 history rows in under 5 s.
"""

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import URL

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from strongroom.core.chunks import chunks
from strongroom.core.clock import SystemClock
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.statements import upsert_rows
from strongroom.hathor import tables
from strongroom.hathor.definition import REVISIONS
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.wallets.loading import Progress, load_wallet
from support.hathor.wallets import WALLET, insert_wallet, wallet_addresses
from support.mariadb import running_mariadb
from support.sql import execute

SIZES = ((1_000, 1_000), (10_000, 100_000))
"""Addresses and history rows."""


def store_history(connection: Connection, addresses: list[str], rows: int) -> None:
    """Histories of a wallet's addresses: transactions that touch two of them."""
    each = rows // len(addresses)
    used = [(address, each) for address in addresses]
    upsert_rows(connection, tables.address, ("address", "transactions"), used, ("transactions",))
    columns = ("address", "token_id", "unlocked_balance", "transactions", "total_received")
    balances = [(address, "00", 7 * each, each, 7 * each) for address in addresses]
    upsert_rows(connection, tables.address_balance, columns, balances, ("transactions",))
    columns = ("address", "tx_id", "token_id", "balance", "timestamp")
    history = (
        (address, f"{(number * each + step) // 2 * 2**200:064x}", "00", 7, 1_700_000_000 + step)
        for number, address in enumerate(addresses)
        for step in range(each)
    )
    for chunk in chunks(history, 20_000):
        upsert_rows(connection, tables.address_tx_history, columns, chunk, ("balance",))


async def measure(url: URL, addresses: int, rows: int) -> None:
    database = Database(url)
    await migrate(database, [REVISIONS])
    await database.write(lambda c: store_history(c, wallet_addresses(addresses), rows))
    await database.write(insert_wallet)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reports: list[Progress] = []
    started_s = time.monotonic()
    await load_wallet(database, SystemClock(), MAINNET, WALLET, reports.append)
    took_s = time.monotonic() - started_s
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    stored = await database.read(lambda c: execute(c, "SELECT COUNT(*) FROM wallet_tx_history"))
    print(
        f"{url.get_backend_name():7} {addresses:,} addresses, {rows:,} history rows: {took_s:.2f} s,"
        f" {len(reports)} steps, {stored[0][0]:,} transactions, memory grew by {grown} MiB",
        flush=True,
    )
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mariadb", action="store_true")
    arguments = parser.parse_args()
    for addresses, rows in SIZES:
        if arguments.mariadb:
            with running_mariadb(durable=True, memory_mib=1024) as server:
                asyncio.run(measure(server.new_database(), addresses, rows))
            continue
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measure(sqlite_url(str(Path(folder) / "hathor.sqlite3")), addresses, rows))


if __name__ == "__main__":
    main()
