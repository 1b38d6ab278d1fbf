"""Pages by cursor stay where they are while the history grows; the export is all of it, a page at a time."""

import csv
import io
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection

from strongroom.core.storage.database import Database
from strongroom.hathor import tables
from strongroom.hathor.api.wallets import history
from strongroom.hathor.protocol.transactions import HATHOR_TOKEN
from support.clock import ManualClock
from support.hathor.api import WALLET_ID, Api, recorded_rows, serving_api

pytestmark = pytest.mark.anyio

START_S = 1_800_000_000


def _rows() -> dict[str, list[dict[str, Any]]]:
    return {**recorded_rows(), "wallet_tx_history": [], "transaction": []}


async def _add(database: Database, *moments: tuple[int, int], token: str = HATHOR_TOKEN) -> None:
    """Transactions, by second and number."""

    def insert(connection: Connection) -> None:
        for second, number in moments:
            row = {"tx_id": f"{number:064x}", "timestamp": START_S + second}
            connection.execute(tables.transaction.insert(), {**row, "version": 1})
            entry = {"wallet_id": WALLET_ID, "token_id": token, "balance": 2**60 + number}
            connection.execute(tables.wallet_tx_history.insert(), {**row, **entry})

    await database.write(insert)


async def _walk(api: Api, database: Database, *, count: int) -> list[int]:
    """The numbers of every transaction met by cursor; between the pages others arrive."""
    found: list[int] = []
    cursor, arrivals = "first", 1_000
    while cursor:
        status, page = await api.get("/wallet/history", cursor=cursor, count=str(count))
        assert (status, set(page)) == (200, {"success", "history", "count", "nextCursor"})
        found += [int(entry["txId"], 16) for entry in page["history"]]
        cursor = page["nextCursor"]
        arrivals += 2
        await _add(database, (500, arrivals), (500, arrivals + 1))
    return found


@pytest.mark.parametrize("count", [1, 3, 4, 50])
async def test_arrivals_move_no_page(database: Database, clock: ManualClock, count: int) -> None:
    async with serving_api(database, clock, rows=_rows()) as api:
        moments = [(0, 1), (0, 2), (0, 3), (1, 4), (1, 5), (2, 6), (3, 7), (3, 8)]
        await _add(database, *moments)
        assert await _walk(api, database, count=count) == [8, 7, 6, 5, 4, 3, 2, 1]


async def test_a_cursor_is_ours_or_refused(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=_rows()) as api:
        for cursor in ("nonsense", "MTIz", "é", "AAAA"):
            status, body = await api.get("/wallet/history", cursor=cursor)
            assert (status, body["error"]) == (400, "invalid-payload")
            assert body["details"][0]["path"] == ["cursor"]
        status, body = await api.get("/wallet/history", cursor="first", skip="1")
        message = '"skip" must not exist simultaneously with [cursor]'
        assert (status, body["details"]) == (400, [{"message": message, "path": []}])


async def test_the_export_is_everything(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "EXPORT_PAGE", 3)
    async with serving_api(database, clock, rows=_rows()) as api:
        await _add(database, *((number // 4, number) for number in range(12)))
        await _add(database, (7, 100), (3, 101), token="ab" * 32)
        answer = await api.client.get("/wallet/history/export", headers=api.read_only())
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="history.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        numbers = [*range(12), 101, 100]
        assert [int(row["txId"], 16) for row in rows] == numbers
        assert rows[0] == {
            "txId": "0" * 64,
            "timestamp": str(START_S),
            "time": "2027-01-15T08:00:00.000Z",
            "tokenId": "00",
            "balance": str(2**60),
            "voided": "0",
            "version": "1",
            "tx_kind": "transparent",
        }
        lines = await api.client.get(
            "/wallet/history/export", params={"format": "jsonl", "amounts": "safe"}, headers=api.full()
        )
        assert lines.headers["content-type"] == "application/x-ndjson"
        entries = [msgspec.json.decode(line) for line in lines.content.splitlines()]
        assert [int(entry["balance"]) - 2**60 for entry in entries] == numbers
        assert entries[0]["balanceBreakdown"] == {"transparent": str(2**60), "shielded": 0}
        assert [entry["tokenId"] for entry in entries[-2:]] == ["ab" * 32] * 2
        one = await api.client.get(
            "/wallet/history/export", params={"token_id": "ab" * 32}, headers=api.full()
        )
        assert len(one.text.splitlines()) == 3
        wrong = await api.client.get("/wallet/history/export", params={"format": "xls"}, headers=api.full())
        assert wrong.json()["details"] == [
            {"message": '"format" must be one of [csv, jsonl]', "path": ["format"]}
        ]
