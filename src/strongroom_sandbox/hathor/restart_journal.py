"""Keeps a sandbox node over restarts: a file records each request that changed it, and the next start repeats them."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from strongroom.core.clock import Clock, Entropy
from strongroom.core.json_decoder import JsonDecoder
from strongroom.hathor.protocol.addresses import Network
from strongroom_sandbox.hathor.node import Node, new_node


class Start(msgspec.Struct, tag="start", frozen=True):
    """The first line: when the chain began, and the id of its event stream."""

    now_s: int
    stream_id: str


class Push(msgspec.Struct, tag="push", frozen=True):
    now_s: int
    hex_tx: str


class Mine(msgspec.Struct, tag="mine", frozen=True):
    now_s: int
    address: str | None


Entry = Start | Push | Mine
_decode = JsonDecoder[Entry](Entry).decode  # type: ignore[arg-type]


class _ReplayClock:
    """The time at which a line was written."""

    def __init__(self) -> None:
        self.now_s = 0

    def now_ms(self) -> int:
        return self.now_s * 1000

    def monotonic_s(self) -> float:
        return float(self.now_s)

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError("a replay does not wait")


def open_node(path: Path, clock: Clock, entropy: Entropy, network: Network) -> Node:
    """Opens the node with the journal at `path`, or makes a new one if there is none."""
    entries = iter(list(_read(path)))
    start = next(entries, None)
    if not isinstance(start, Start):
        start = Start(now_s=clock.now_ms() // 1000, stream_id=f"sandbox-{entropy.token(8).hex()}")
        _write(path, start)
    told = _ReplayClock()
    told.now_s = start.now_s
    node = new_node(told, network)
    node.chain.journal.stream_id = start.stream_id
    for entry in entries:
        told.now_s = entry.now_s
        if isinstance(entry, Push):
            node.push(bytes.fromhex(entry.hex_tx))
        elif isinstance(entry, Mine):
            node.mine(entry.address)
    node.clock = clock
    node.pushed = lambda raw: _write(path, Push(now_s=node.now_s(), hex_tx=raw.hex()))
    node.mined = lambda address, now_s: _write(path, Mine(now_s=now_s, address=address))
    return node


def _read(path: Path) -> Iterator[Entry]:
    if not path.exists():
        return
    whole = path.read_bytes()
    for line in whole[: whole.rfind(b"\n") + 1].splitlines():  # a line cut short by a crash never happened
        yield _decode(line)
    if not whole.endswith(b"\n"):
        path.write_bytes(whole[: whole.rfind(b"\n") + 1])


def _write(path: Path, entry: Entry) -> None:
    with path.open("ab") as file:
        file.write(msgspec.json.encode(entry) + b"\n")
