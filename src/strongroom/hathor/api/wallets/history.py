"""A wallet's history: pages by number, pages by cursor, and the whole of it as a file."""

import base64
import csv
import io
import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Literal

import msgspec
from litestar import Controller, get
from litestar.response import Stream
from msgspec import UNSET, Meta, UnsetType

from strongroom.core.clock import iso_instant
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.access import Caller
from strongroom.hathor.api.answers import Amount, Hash, Seconds, Success, encode_json
from strongroom.hathor.api.requests import Request, read_query
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Problem, Schema, invalid_payload, number, text
from strongroom.hathor.api.wallets.wallet import NOT_READY
from strongroom.hathor.wallets import history as histories
from strongroom.hathor.wallets.history import NEWEST, OLDEST, Entry, HistoryCursor

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


class Breakdown(msgspec.Struct, kw_only=True):
    transparent: Amount
    shielded: Amount


class HistoryEntry(
    msgspec.Struct,
    kw_only=True,
    rename={"tx_id": "txId", "balance_breakdown": "balanceBreakdown", "token_id": "tokenId"},
):
    """`tokenId` is in exports alone."""

    tx_id: Hash
    timestamp: Seconds
    voided: Literal[0, 1]
    balance: Annotated[Amount, Meta(description="What the transaction changed")]
    version: int | None
    tx_kind: Literal["transparent", "shielded", "mixed"]
    balance_breakdown: Breakdown
    token_id: str | UnsetType = UNSET


class HistoryAnswer(Success, kw_only=True, rename="camel"):
    """`skip` without a cursor, `nextCursor` with one."""

    history: list[HistoryEntry]
    skip: int | UnsetType = UNSET
    count: int
    next_cursor: str | UnsetType | None = UNSET


class HistoryController(Controller):
    path = "/wallet/history"
    tags = ("Wallet",)

    @get(
        "/",
        summary="The wallet's transactions of a token, the latest first",
        opt=Terms(access=Access.TOKEN, query=HISTORY, amounts=True).opt,
        responses=NOT_READY,
    )
    async def history(self, request: Request) -> HistoryAnswer:
        """With `cursor` also `nextCursor`: what to send for the next page, null behind the last."""
        caller = request.caller
        query = HISTORY.check(read_query(request), convert=True)
        token, skip, count = query["token_id"], query["skip"], query["count"]
        if query["cursor"] is None:
            wallet = await caller.ready_wallet()
            found = await histories.history(caller.database, wallet.id, token, skip, count)
            return HistoryAnswer(history=[history_entry(entry) for entry in found], skip=skip, count=count)
        cursor = _read_cursor(query["cursor"])
        wallet = await caller.ready_wallet()
        found = await histories.history_before(caller.database, wallet.id, token, cursor, count)
        more = len(found) == count
        return HistoryAnswer(
            history=[history_entry(entry) for entry in found],
            count=count,
            next_cursor=_write_cursor(HistoryCursor.behind(found[-1])) if more else None,
        )

    @get(
        "/export",
        summary="The whole history as a file, streamed",
        opt=Terms(access=Access.TOKEN, query=EXPORT, amounts=True, text=tuple(MEDIA.values())).opt,
        responses=NOT_READY,
    )
    async def export(self, request: Request) -> Stream:
        """One token's history after the other, the oldest entry first; never more than a page in memory."""
        caller = request.caller
        query = EXPORT.check(read_query(request), convert=True)
        wallet = await caller.ready_wallet()
        tokens = await histories.tokens(caller.database, wallet.id)
        if query["token_id"] is not None:
            tokens = [query["token_id"]]
        encode = _csv if query["format"] == CSV else partial(_lines, form=request.amounts)
        name = f"history.{query['format']}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Stream(encode(_pages(caller, tokens)), media_type=MEDIA[query["format"]], headers=headers)


async def _pages(caller: Caller, tokens: list[str]) -> AsyncIterator[list[HistoryEntry]]:
    for token in tokens:
        cursor: HistoryCursor | None = OLDEST
        while cursor is not None:
            wallet = await caller.ready_wallet()  # a token may end on the way
            page = await histories.history_after(caller.database, wallet.id, token, cursor, EXPORT_PAGE)
            cursor = HistoryCursor.behind(page[-1]) if len(page) == EXPORT_PAGE else None
            yield [history_entry(entry, token) for entry in page]


def history_entry(entry: Entry, token_id: str | UnsetType = UNSET) -> HistoryEntry:
    transparent, shielded = entry.transparent, entry.shielded
    return HistoryEntry(
        tx_id=entry.tx_id,
        timestamp=entry.timestamp_s,
        voided=1 if entry.voided else 0,
        balance=transparent + shielded,
        version=entry.version,
        tx_kind="transparent" if not shielded else "mixed" if transparent else "shielded",
        balance_breakdown=Breakdown(transparent=transparent, shielded=shielded),
        token_id=token_id,
    )


async def _csv(pages: AsyncIterator[list[HistoryEntry]]) -> AsyncIterator[bytes]:
    yield (",".join(COLUMNS) + "\r\n").encode()
    async for page in pages:
        text = io.StringIO()
        csv.writer(text).writerows(
            (
                entry.tx_id,
                entry.timestamp,
                iso_instant(entry.timestamp * 1000),
                entry.token_id,
                entry.balance,
                entry.voided,
                entry.version,
                entry.tx_kind,
            )
            for entry in page
        )
        yield text.getvalue().encode()


async def _lines(pages: AsyncIterator[list[HistoryEntry]], form: AmountForm) -> AsyncIterator[bytes]:
    async for page in pages:
        yield b"".join(encode_json(entry, form) + b"\n" for entry in page)


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
