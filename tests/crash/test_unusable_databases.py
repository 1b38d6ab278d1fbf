"""All three ledgers over databases that cannot store anything: a full disk, and a Galera node without quorum."""

import asyncio
import resource
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.galera import Galera, GaleraNode, running_galera
from support.household import Household, assert_refused
from support.waiting import eventually, until_true

pytestmark = pytest.mark.anyio

FEW_BYTES = 4096
"""Of a file, beyond which nothing can be written: less than the write-ahead logs have."""


async def until_databases_are(household: Household, status: str) -> None:
    async def holds() -> bool:
        return await household.databases() == {status}

    await until_true(holds)


async def assert_works(household: Household) -> None:
    answers = await household.writes() | {
        f"read {name}": each for name, each in (await household.reads()).items()
    }
    assert {answer.status_code for answer in answers.values()} <= {200, 404}, answers


async def test_a_disk_that_is_full_is_said_by_all_and_got_over_by_all(tmp_path: Path) -> None:
    endless = resource.RLIM_INFINITY
    async with Household(tmp_path) as household:
        await assert_works(household)
        await until_databases_are(household, "UP")
        pid = household.process.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FEW_BYTES, endless))
        assert_refused(await household.writes())
        assert {answer.status_code for answer in (await household.reads()).values()} <= {200, 404}
        await until_databases_are(household, "DOWN")
        assert (await household.management.get("/health")).status_code == 503
        assert_refused(await household.writes())
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (endless, endless))
        await until_databases_are(household, "UP")
        await assert_works(household)
        assert "Traceback" not in household.process.logs()


def variables_of(galera: Galera, node: GaleraNode) -> Mapping[str, str]:
    """A database for each ledger, over this node."""
    found: dict[str, str] = {}
    for prefix, ends in (
        ("ATTO_DB_", ("HOST", "PORT", "NAME", "USER", "PASSWORD")),
        ("BITTENSOR_DB_", ("HOST", "PORT", "NAME", "USER", "PASSWORD")),
        ("DB_", ("ENDPOINT", "PORT", "NAME", "USER", "PASS")),
    ):
        url = node.url(galera.new_database())
        values = (url.host, url.port, url.database, url.username, url.password)
        found |= {prefix + end: str(value) for end, value in zip(ends, values, strict=True)}
    return found


@pytest.mark.slow
async def test_a_node_without_quorum_is_said_by_all_and_got_over_by_all(tmp_path: Path) -> None:
    with running_galera() as galera:
        async with Household(tmp_path, variables_of(galera, galera.first)) as household:
            await assert_works(household)
            await until_databases_are(household, "UP")
            await asyncio.to_thread(galera.second.kill)
            await eventually(lambda: not galera.first.has_quorum())
            assert_refused(await household.writes())
            assert_refused(await household.reads())
            await until_databases_are(household, "DOWN")
            assert (await household.management.get("/health")).status_code == 503
            await asyncio.to_thread(galera.first.give_quorum)
            await until_databases_are(household, "UP")
            await assert_works(household)
            assert "Traceback" not in household.process.logs()
