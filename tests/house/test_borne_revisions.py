"""A revision that running processes bear only adds; any other one begins a new epoch, which its id says."""

import itertools
import re

import pytest
from alembic.script import Script
from sqlalchemy.engine import URL

from strongroom.core.storage.rolling.watch import epoch
from support.schema_statements import COMPONENTS, statements_of

pytestmark = pytest.mark.anyio

FIRST_WITH_EPOCHS = {"core": 22, "atto": 5, "bittensor": 6, "hathor": 8}
"""No running process of before knows of epochs: only a process without a lease may apply what it does not bear."""
ADDS = re.compile(
    r"CREATE TABLE .*|CREATE INDEX .*|ALTER TABLE \w+ ADD COLUMN (?!.*\bUNIQUE\b)(?:(?!.*NOT NULL).*|.*\bDEFAULT\b.*)"
)


def revisions(component: str) -> list[Script]:
    return [*COMPONENTS[component].script.walk_revisions()][::-1]


def is_borne(one: Script) -> bool:
    return getattr(one.module, "BORNE", False) is True


@pytest.mark.parametrize("component", COMPONENTS)
async def test_what_is_borne_only_adds(database_url: URL, component: str) -> None:
    made = await statements_of(database_url, component)
    for revision in [one.revision for one in revisions(component) if is_borne(one)]:
        assert made[revision]
        for statement in made[revision]:
            assert ADDS.fullmatch(statement), (revision, statement)


@pytest.mark.parametrize("component", COMPONENTS)
def test_what_is_not_borne_begins_an_epoch(component: str) -> None:
    known = revisions(component)
    for before, one in itertools.pairwise(known):
        was, now = epoch(before.revision), epoch(one.revision)
        assert was is not None
        begins = not is_borne(one) and int(one.revision[-4:]) >= FIRST_WITH_EPOCHS[component]
        assert now == was + begins, one.revision


@pytest.mark.parametrize(
    ("statement", "adds"),
    [
        ("ALTER TABLE cat ADD COLUMN name VARCHAR(16)", True),
        ("ALTER TABLE cat ADD COLUMN age INTEGER DEFAULT '0' NOT NULL", True),
        ("ALTER TABLE cat ADD COLUMN age INTEGER NOT NULL", False),
        ("ALTER TABLE cat ADD COLUMN age INTEGER UNIQUE", False),
        ("CREATE UNIQUE INDEX cat_name ON cat (name)", False),
        ("ALTER TABLE cat DROP COLUMN name", False),
        ("UPDATE cat SET name = ''", False),
    ],
)
def test_only_what_old_statements_do_not_meet_counts_as_added(statement: str, *, adds: bool) -> None:
    assert (ADDS.fullmatch(statement) is not None) is adds
