"""A question of a wallet costs two statements: one for the wallet, one for the answer."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from strongroom.core.storage import statements
from strongroom.core.storage.database import Database
from strongroom.core.storage.mysql_queries import Answer, QueryPool, run_on_driver
from support.clock import ManualClock
from support.hathor.api import recorded_rows, serving_api

pytestmark = pytest.mark.anyio

MOST = 2
QUESTIONS = (
    "/wallet/status",
    "/wallet/balances",
    "/wallet/balances?token_id=00",
    "/wallet/history",
    "/wallet/history?cursor=first",
    "/wallet/addresses",
    "/wallet/addresses?index=1",
    "/wallet/addresses/new",
    "/wallet/tokens",
    "/wallet/tx_outputs",
    "/wallet/tx_outputs?totalAmount=300",
    "/wallet/utxos",
)


async def test_two_statements_are_enough(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = recorded_rows()
    for balance in rows["wallet_balance"]:
        balance["timelock_expires"] = None  # one that has ended takes a third, until the sync lifts it
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement not in {"BEGIN", "COMMIT"}:
            seen.append(statement)

    query = QueryPool.query

    async def noted(pool: QueryPool, sql: str, parameters: Sequence[Any]) -> Any:
        seen.append(sql)
        return await query(pool, sql, parameters)

    def noted_in_unit(connection: Connection, text: str, parameters: Sequence[Any]) -> Answer:
        seen.append(text)
        return run_on_driver(connection, text, parameters)

    monkeypatch.setattr(QueryPool, "query", noted)
    monkeypatch.setattr(statements, "run_on_driver", noted_in_unit)
    async with serving_api(database, clock, rows=rows) as api:
        event.listen(Engine, "before_cursor_execute", note)
        try:
            for question in QUESTIONS:
                seen.clear()
                answer = await api.client.get(question, headers=api.full())
                assert answer.status_code == 200
                assert 1 <= len(seen) <= MOST, (question, seen)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
