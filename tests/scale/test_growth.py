"""What the service asks its database costs the same whatever the tables hold, but for what is known to grow, and no more than in proportion.

Rows that a server hands over and steps of SQLite are counted: neither depends on the machine or on other load. `benchmarks/scale.py`
measures the same cases with tables of up to a million rows.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy.engine import URL

from strongroom.core.storage.database import sqlite_url
from support.mariadb import MariaDB
from support.scale.cases import PARTS, Case, Kind, prepared
from support.scale.counting import Meter, ServerMeter, counted_steps
from support.scale.every_case import cases_of

pytestmark = pytest.mark.anyio
BENCHMARK: Final = Path(__file__).parents[2] / "benchmarks" / "scale.py"
SMALL, LARGE = 300, 3_000
LARGER, LARGEST = 10_000, 100_000
TEN_TIMES: Final = 10
SLACK: Final = 500
"""A page fills up, a tree gets a level, and with few rows a plan may be another one."""
FACTOR: Final = 1.6
WHOLE_TABLES: Final = 4
"""So many tables of the large size a question may read that reads whole ones on purpose."""


class Engine:
    """Fresh databases of one engine, and how work on them is measured."""

    def __init__(self, server: MariaDB | None, folder: Path, steps: Meter | None) -> None:
        self._server = server
        self._folder = folder
        self._steps = steps

    def new_database(self) -> URL:
        if self._server is not None:
            return self._server.new_database()
        number = len(list(self._folder.glob("*.sqlite3")))
        return sqlite_url(str(self._folder / f"{number}.sqlite3"))

    def meter(self, url: URL) -> Meter:
        return self._steps or ServerMeter(url)


@contextmanager
def engine_named(name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Engine]:
    with ExitStack() as stack:
        if name == "sqlite":
            yield Engine(None, folder, stack.enter_context(counted_steps()))
        else:
            yield Engine(request.getfixturevalue("mariadb"), folder, None)


@pytest.fixture(params=["sqlite", "mariadb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with engine_named(request.param, request, tmp_path) as made:
        yield made


async def costs(engine: Engine, part: str, size: int) -> dict[str, tuple[Kind, int]]:
    """Of each case, what it reads the second time: the first time may find caches empty."""
    url = engine.new_database()
    async with prepared(part, url, size) as database:
        meter = engine.meter(url)
        return {
            case.name: (case.kind, await _read(meter, case)) for case in await cases_of(part, database, size)
        }


async def _read(meter: Meter, case: Case) -> int:
    await case.work()
    return (await meter.cost(case.work)).read


async def too_costly(engine: Engine, part: str, small: int, large: int) -> dict[str, tuple[int, int]]:
    """The cases that grow by more than they may, with what they read at both sizes."""
    before, after = await costs(engine, part, small), await costs(engine, part, large)
    assert before.keys() == after.keys()
    return {
        name: (least, most)
        for name, (kind, most) in after.items()
        if most > SLACK + _allowed(kind, least := before[name][1], large)
    }


def _allowed(kind: Kind, least: int, large: int) -> float:
    """What a case that reads `least` from small tables may read from large ones."""
    if kind is Kind.FLAT:
        return FACTOR * least
    # Where a tenth of a table is asked for, reading all of it may be the quickest way.
    return max(TEN_TIMES * FACTOR * least, WHOLE_TABLES * large)


@pytest.mark.parametrize("part", PARTS)
async def test_no_question_costs_more_with_larger_tables(engine: Engine, part: str) -> None:
    assert await too_costly(engine, part, SMALL, LARGE) == {}


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
async def test_nor_with_tables_of_a_hundred_thousand_rows(engine: Engine, part: str) -> None:
    assert await too_costly(engine, part, LARGER, LARGEST) == {}


async def test_a_scan_is_noticed(engine: Engine) -> None:
    """The counters see what a question without an index reads."""
    url = engine.new_database()
    async with prepared("atto", url, LARGE) as database:
        cases = {case.name: case for case in await cases_of("atto", database, LARGE)}
        read = await _read(engine.meter(url), cases["atto: open accounts"])
    assert read > LARGE // 10


def test_the_benchmark_runs() -> None:
    command = [sys.executable, str(BENCHMARK), "--sqlite", "--parts", "atto", "--sizes", "100", "1000"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "| atto: account |" in done.stdout
