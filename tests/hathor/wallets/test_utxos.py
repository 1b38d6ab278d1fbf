"""Which outputs are chosen for an amount, and for an authority."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from strongroom.core.storage.database import Database
from strongroom.hathor import tables
from strongroom.hathor.wallets.balances import MELT, MINT
from strongroom.hathor.wallets.utxos import Filter, covering, find_outputs, read_outputs, within
from support.clock import ManualClock
from support.hathor.api import WALLET_ID, recorded_rows, serving_api

pytestmark = pytest.mark.anyio

TOKEN = "cd" * 32
MINE = "HBCQgVR8Xsyv1BLDjf9NJPK1Hwg4rKUh62"


def _outputs(values: Sequence[int]) -> Any:
    return [SimpleNamespace(value=value) for value in values]


def _values(chosen: Any) -> list[int]:
    return [output.value for output in chosen]


@pytest.mark.parametrize(
    ("values", "amount", "chosen"),
    [
        ([9, 7, 5, 3], 5, [5]),  # the smallest that covers it alone
        ([9, 7, 5, 3], 6, [7]),
        ([9, 7, 5, 3], 10, [9, 7]),  # none does: the largest, added up
        ([9, 7, 5, 3], 16, [9, 7]),
        ([9, 7, 5, 3], 17, [9, 7, 5]),
        ([9, 7, 5, 3], 24, [9, 7, 5, 3]),
        ([9, 7, 5, 3], 25, []),
        ([5, 5, 5], 5, [5]),
        ([2**63, 2**63 - 1], 2**63 + 1, [2**63, 2**63 - 1]),
        ([], 1, []),
    ],
)
def test_covering(values: list[int], amount: int, chosen: list[int]) -> None:
    assert _values(covering(_outputs(values), amount)) == chosen


@pytest.mark.parametrize(
    ("values", "amount", "chosen"),
    [
        ([9, 7, 5, 3], 30, [9, 7, 5, 3]),
        ([9, 7, 5, 3], 24, [9, 7, 5, 3]),
        ([9, 7, 5, 3], 15, [9, 5]),  # one that does not fit is passed over
        ([9, 7, 5, 3], 8, [7]),
        ([9, 7, 5, 3], 2, []),
        ([2**63, 1], 2**63, [2**63]),
        ([], 1, []),
    ],
)
def test_within(values: list[int], amount: int, chosen: list[int]) -> None:
    assert _values(within(_outputs(values), amount)) == chosen


async def test_the_routes_choose_so(database: Database, clock: ManualClock) -> None:
    """The wallet's unspent outputs: 9007199254740993, 500, 300 and, locked, 250."""
    async with serving_api(database, clock, rows=recorded_rows()) as api:

        async def values(**query: str) -> list[int]:
            return [
                output["value"] for output in (await api.get("/wallet/tx_outputs", **query))[1]["txOutputs"]
            ]

        small = {"smallerThan": "1000"}
        assert await values(**small) == [500, 300, 250]
        assert await values(**small, ignoreLocked="true") == [500, 300]
        assert await values(**small, totalAmount="251") == [300]
        assert await values(**small, totalAmount="501") == [500, 300]
        assert await values(**small, totalAmount="1051") == []
        assert await values(**small, maxAmount="760") == [500, 250]
        assert await values(**small, maxAmount="249") == []
        assert await values(**small, biggerThan="300") == [500]
        assert await values(**small, maxOutputs="2", totalAmount="1000") == []
        assert await values(maxAmount=str(2**63)) == [9007199254740993, 500, 300, 250]


@pytest.mark.parametrize(
    ("authority", "found"), [(MINT, [0, 2]), (MELT, [1, 2]), (MINT | MELT, [0, 1, 2]), (4, []), (0, [3])]
)
async def test_an_authority_is_a_mask(
    database: Database, clock: ManualClock, authority: int, found: list[int]
) -> None:
    async with serving_api(database, clock, rows=recorded_rows()):
        for index, authorities in enumerate((MINT, MELT, MINT | MELT, 0)):
            row = {"tx_id": "f" * 64, "index": index, "token_id": TOKEN, "address": MINE, "locked": False}
            row |= {"value": 0 if authorities else 5, "authorities": authorities}
            await database.write(lambda c, row=row: c.execute(tables.tx_output.insert(), row))  # type: ignore[misc] # bound at once
        wanted = Filter(token_id=TOKEN, authority=authority)
        outputs = await read_outputs(database, WALLET_ID, wanted, 0)
        assert sorted(output.position for output in outputs) == found
        assert outputs == await database.read(lambda c: find_outputs(c, WALLET_ID, wanted, 0))
