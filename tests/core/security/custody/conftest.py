"""A ledger that seals, with its database and its keys, of each kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.atto.definition import REVISIONS as ATTO_REVISIONS
from strongroom.bittensor.definition import LEDGER as BITTENSOR_LEDGER
from support.schema import Schemas
from support.sealed_rows import ATTO, BITTENSOR, Estate, ImpatientClock, KeyPlace, SealingLedger


@pytest.fixture(params=[ATTO, BITTENSOR], ids=str)
def ledger(request: pytest.FixtureRequest) -> SealingLedger:
    found: SealingLedger = request.param
    return found


@pytest.fixture
async def estate(
    database_url: URL, ledger: SealingLedger, schemas: Schemas, tmp_path: Path
) -> AsyncIterator[Estate]:
    schemas.fill(database_url, [ATTO_REVISIONS if ledger is ATTO else BITTENSOR_LEDGER.revisions])
    estate = Estate(database_url, KeyPlace(ledger=ledger, folder=tmp_path), ImpatientClock())
    yield estate
    await estate.close()
