"""Nodes that only send events: a recorded stream, or a chain that is generated while they run."""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from strongroom.core.clock import Clock
from strongroom.core.errors import InvalidInput
from strongroom_sandbox.hathor.chain import Chain
from strongroom_sandbox.hathor.generate import Generator
from strongroom_sandbox.hathor.journal import Journal
from strongroom_sandbox.hathor.node import Node

TICK_S = 0.05


def replaying_node(journal: Journal, clock: Clock, *, reward_spend_min_blocks: int = 10) -> Node:
    """A node with the events of `journal`, and no chain that could be changed."""
    chain = Chain(Journal(), [], reward_spend_min_blocks=reward_spend_min_blocks)
    chain.journal = journal
    return Node(chain, clock)


def recorded_journal(path: Path) -> Journal:
    """Frames as a node sent them: a JSON list, or one a line; `.gz` is unpacked. Peer, network and stream are theirs."""
    journal = Journal()
    for frame in _frames(path):
        journal.peer_id, journal.network = frame["peer_id"], frame["network"]
        journal.stream_id = frame["stream_id"]
        journal.append_encoded(msgspec.json.encode(frame["event"]))
    return journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the events come from: a recorded file, or (seed, events a second)."""

    recorded: Path | None = None
    seed: int = 0
    rate_per_s: float = 0.0


def parse_source(text: str) -> Source:
    """Reads `recorded:<file>` or `generated:<seed>:<events a second>`.

    Raises:
        InvalidInput: it is neither.
    """
    kind, _, rest = text.partition(":")
    if kind == "recorded" and Path(rest).is_file():
        return Source(recorded=Path(rest))
    seed, _, rate = rest.partition(":")
    try:
        if kind == "generated":
            return Source(seed=int(seed), rate_per_s=float(rate))
    except ValueError:
        pass
    raise InvalidInput(
        f"SANDBOX_HATHOR_STREAM must be recorded:<file> or generated:<seed>:<events a second>, not {text!r}"
    )


async def feed(generator: Generator, rate_per_s: float, clock: Clock) -> None:
    """Makes changes to a chain at about this rate, until cancelled."""
    due = float(len(generator.chain.journal.events))
    while True:
        await clock.sleep(TICK_S)
        due += rate_per_s * TICK_S
        generator.run(int(due))


def _frames(path: Path) -> Iterator[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    frames: Iterable[Any] = json.loads(data) if data.startswith(b"[") else map(json.loads, data.splitlines())
    yield from frames
