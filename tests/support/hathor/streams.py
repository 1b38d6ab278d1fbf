"""Recorded streams, what the original daemon wrote for them, and our tables in the same form."""

import csv
import gzip
import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection

from strongroom.core.clock import SystemClock
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import Revisions, migrate
from strongroom.hathor import revisions
from strongroom.hathor.gateway.events import decode_frame
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.events import Event, RawEvent, read_event
from strongroom.hathor.sync.batch import Applied, Rules, apply_batch
from strongroom_sandbox.hathor.journal import Journal
from support.sql import execute

VECTORS = Path(__file__).parents[2] / "vectors" / "hathor"
SCENARIOS = sorted(path.stem for path in (VECTORS / "events").glob("*.json"))
HATHOR = Revisions(component="hathor", folder=Path(revisions.__file__).parent)
RULES = Rules(network=MAINNET, reward_spend_min_blocks=300)
NOW_S = 1_800_000_000
OUTBOX = Outbox(SystemClock())


def read_frames(frames: Iterable[bytes]) -> list[Event]:
    events: list[Event] = []
    for frame in frames:
        raw = decode_frame(frame).event
        assert raw is not None
        events.append(read_event(raw))
    return events


def read_lines(journal: Journal) -> list[Event]:
    """The events of a generated chain."""
    return [read_event(msgspec.json.decode(line, type=RawEvent)) for line in journal.events]


def scenario(name: str) -> list[Event]:
    frames = json.loads((VECTORS / "events" / f"{name}.json").read_text())
    return read_frames(json.dumps(frame).encode() for frame in frames)


def bench_stream() -> list[Event]:
    with gzip.open(VECTORS / "bench_stream.jsonl.gz") as lines:
        return read_frames(lines)


async def prepare(database: Database) -> None:
    await migrate(database, [HATHOR])


async def apply(
    database: Database, events: Sequence[Event], *, window: int, now_s: int = NOW_S, rules: Rules = RULES
) -> Applied | None:
    """Applies all events, `window` at a time."""
    applied: Applied | None = None
    for start in range(0, len(events), window):
        batch = events[start : start + window]
        work = partial(apply_batch, events=batch, rules=rules, outbox=OUTBOX, now_s=now_s)
        applied = await database.write(work)
    return applied


def recorded_table(name: str, table: str, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Rows of the original's table, as text, sorted."""
    path = VECTORS / "tables" / name / f"{table}.tsv"
    with path.open() as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        return sorted(tuple(row[column] for column in columns) for row in rows)


def our_table(connection: Connection, table: str, columns: Sequence[str]) -> list[tuple[str, ...]]:
    names = ", ".join(f"`{column}`" for column in columns)
    rows = execute(connection, f"SELECT {names} FROM `{table}`")  # noqa: S608 - our own names
    return sorted(tuple(_text(value) for value in row) for row in rows)


def _text(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return str(int(text)) if text.isdigit() and len(text) < 64 and text != "00" else text
