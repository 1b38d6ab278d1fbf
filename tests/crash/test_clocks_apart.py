"""Two processes on one MariaDB whose hosts' clocks are half a minute apart: one leads, and the other one follows it."""

import asyncio
from pathlib import Path

import pytest

from support.atto_payments import Books, Payers, new_payment, open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram
from support.atto_service import NOBODY, database_variables
from support.callback_sink import running_sink
from support.mariadb import MariaDB
from support.seeds import seeded

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
ACCOUNTS = 2
PAYMENTS = 10
WORKERS = '"atto.workers"'
"""In the line that says that a process took the lease."""


def calendar(seconds: int) -> dict[str, str]:
    """What shifts a program's calendar by so much; its monotonic clock stays as it is."""
    return {"LD_PRELOAD": LIBRARY, "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.parametrize("ahead_s", [30, -30])
async def test_a_living_leader_stays_and_a_dead_one_is_followed(
    mariadb: MariaDB, network: NetworkProgram, tmp_path: Path, ahead_s: int
) -> None:
    url = mariadb.new_database()
    async with running_sink(seeded("clocks")) as sink:
        variables = network.variables | database_variables(url, tmp_path) | {"CALLBACK_URL": sink.url}
        async with ServiceProgram(variables) as first:
            await asyncio.to_thread(first.process.wait_for, WORKERS)
            async with ServiceProgram(variables | calendar(ahead_s)) as second:
                addresses, _ = await open_accounts(second, network, ACCOUNTS)
                payers, other_way = Payers(first, second), Payers(second, first)
                for _ in range(PAYMENTS):
                    payments = [new_payment(address, NOBODY) for address in addresses]
                    await asyncio.gather(*(payers.pay(one) for one in payments))
                    await asyncio.gather(*(other_way.pay(one) for one in payments))
                assert payers.answers == other_way.answers
                assert not [line for line in second.process.stderr if WORKERS in line]
                first.kill()
                await asyncio.to_thread(second.process.wait_for, WORKERS)
                last = [new_payment(address, NOBODY) for address in addresses]
                await asyncio.gather(*(other_way.pay(one) for one in last))
                books = Books(
                    service=second, network=network, database_url=url, addresses=addresses, sink=sink
                )
                await books.assert_agree(other_way.answers)
