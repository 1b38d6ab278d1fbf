"""Routes about a wallet's history: pages by number, pages by cursor, and the whole of it as a file."""

import base64
import csv
import io
import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from litestar import Response
from litestar.response import Stream

from strongroom.core.clock import iso_instant
from strongroom.hathor.api.amounts import AmountForm
from strongroom.hathor.api.requests import Request, answer, bearer, encode_json, read_query
from strongroom.hathor.api.validation import Key, Problem, Schema, invalid_payload, number, text
from strongroom.hathor.wallets import history as histories
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.history import NEWEST, OLDEST, HistoryCursor
from strongroom.hathor.wallets.jwt import Principal, Tokens

MAX_ENTRIES = 50
EXPORT_PAGE = 1_000
FIRST = "first"
CSV, LINES = "csv", "jsonl"
MEDIA = {CSV: "text/csv", LINES: "application/x-ndjson"}
CURSOR = re.compile(r"([0-9]{1,10})\.([0-9a-f]{64})")
COLUMNS = ("txId", "timestamp", "time", "tokenId", "balance", "voided", "version", "tx_kind")
HISTORY = Schema(
    keys={
        "token_id": Key(check=text(alphanumeric=True), default="00"),
        "skip": Key(check=number(integer=True, low=0), default=0),
        "count": Key(check=number(integer=True, positive=True, high=MAX_ENTRIES), default=MAX_ENTRIES),
        "cursor": Key(check=text()),
    },
    apart=(("skip", "cursor"),),
)
EXPORT = Schema(
    keys={
        "token_id": Key(check=text(alphanumeric=True)),
        "format": Key(check=text(only=(CSV, LINES)), default=CSV),
    }
)


class HistoryRoutes:
    def __init__(self, reader: WalletReader, tokens: Tokens) -> None:
        self._reader = reader
        self._tokens = tokens

    async def history(self, request: Request) -> Response[bytes]:
        """With `cursor` also `nextCursor`: what to send for the next page, null behind the last."""
        principal = bearer(request, self._tokens, full=False)
        query = HISTORY.check(read_query(request), convert=True)
        token, skip, count = query["token_id"], query["skip"], query["count"]
        database = self._reader.database
        if query["cursor"] is None:
            wallet = await self._reader.ready_wallet(principal)
            found = await histories.history(database, wallet.id, token, skip, count)
            return answer(history=found, skip=skip, count=count)
        cursor = _read_cursor(query["cursor"])
        wallet = await self._reader.ready_wallet(principal)
        found = await histories.history_before(database, wallet.id, token, cursor, count)
        more = len(found) == count
        return answer(
            history=found,
            count=count,
            nextCursor=_write_cursor(HistoryCursor.behind(found[-1])) if more else None,
        )

    async def export(self, request: Request) -> Response[Any]:
        """One token's history after the other, the oldest entry first; never more than a page in memory."""
        principal = bearer(request, self._tokens, full=False)
        query = EXPORT.check(read_query(request), convert=True)
        wallet = await self._reader.ready_wallet(principal)
        tokens = await histories.tokens(self._reader.database, wallet.id)
        if query["token_id"] is not None:
            tokens = [query["token_id"]]
        encode = _csv if query["format"] == CSV else partial(_lines, form=AmountForm.of(request))
        pages = self._pages(principal, tokens)
        name = f"history.{query['format']}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Stream(encode(pages), media_type=MEDIA[query["format"]], headers=headers)

    async def _pages(self, principal: Principal, tokens: list[str]) -> AsyncIterator[list[dict[str, Any]]]:
        for token in tokens:
            cursor: HistoryCursor | None = OLDEST
            while cursor is not None:
                wallet = await self._reader.ready_wallet(principal)  # a token may end on the way
                page = await histories.history_after(
                    self._reader.database, wallet.id, token, cursor, EXPORT_PAGE
                )
                cursor = HistoryCursor.behind(page[-1]) if len(page) == EXPORT_PAGE else None
                yield [{**entry, "tokenId": token} for entry in page]


async def _csv(pages: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[bytes]:
    yield (",".join(COLUMNS) + "\r\n").encode()
    async for page in pages:
        text = io.StringIO()
        rows = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
        rows.writerows({**entry, "time": iso_instant(entry["timestamp"] * 1000)} for entry in page)
        yield text.getvalue().encode()


async def _lines(pages: AsyncIterator[list[dict[str, Any]]], form: AmountForm) -> AsyncIterator[bytes]:
    async for page in pages:
        yield b"".join(encode_json(form.applied(entry)) + b"\n" for entry in page)


def _read_cursor(written: str) -> HistoryCursor:
    """Raises: Refusal."""
    if written == FIRST:
        return NEWEST
    try:
        decoded = base64.urlsafe_b64decode(written.encode("ascii")).decode("ascii")
    except ValueError:
        decoded = ""
    found = CURSOR.fullmatch(decoded)
    if found is None:
        message = '"cursor" must be "first" or a nextCursor of this service'
        raise invalid_payload([Problem(message=message, path=("cursor",))])
    return HistoryCursor(timestamp_s=int(found[1]), tx_id=found[2])


def _write_cursor(cursor: HistoryCursor) -> str:
    return base64.urlsafe_b64encode(f"{cursor.timestamp_s}.{cursor.tx_id}".encode()).decode()
