"""The events of a full node, decoded. Unknown fields are ignored, unknown kinds of events are kept as `data=None`."""

from typing import Any

import msgspec

from strongroom.hathor.protocol.transactions import HATHOR_TOKEN

LOAD_EVENTS = frozenset({"LOAD_STARTED", "LOAD_FINISHED", "REORG_FINISHED", "FULL_NODE_CRASHED", "NC_EVENT"})
NEW_VERTEX = "NEW_VERTEX_ACCEPTED"
METADATA_CHANGED = "VERTEX_METADATA_CHANGED"
VERTEX_REMOVED = "VERTEX_REMOVED"
REORG_STARTED = "REORG_STARTED"
TOKEN_CREATED = "TOKEN_CREATED"  # noqa: S105 - a kind of event
VERTEX_EVENTS = frozenset({NEW_VERTEX, METADATA_CHANGED, VERTEX_REMOVED})
KNOWN_EVENTS = LOAD_EVENTS | VERTEX_EVENTS | {REORG_STARTED, TOKEN_CREATED}

BLOCK_VERSIONS = frozenset({0, 3, 5})


class Decoded(msgspec.Struct, frozen=True):
    """A script that the node understood; all fields are absent for one that it did not."""

    type: str | None = None
    address: str | None = None
    timelock: int | None = None


class Output(msgspec.Struct, frozen=True):
    value: int
    token_data: int
    script: str
    decoded: Decoded | None = None


class SpentOutput(msgspec.Struct, frozen=True):
    """What an input spends, as the node tells it again. Ours is what counts, so nothing of it is needed."""

    value: int | None = None
    token_data: int | None = None
    script: str = ""
    decoded: Decoded | None = None


class Input(msgspec.Struct, frozen=True):
    tx_id: str
    index: int
    spent_output: SpentOutput = SpentOutput()


class Header(msgspec.Struct, frozen=True):
    id: str
    nc_seqnum: int | None = None
    nc_address: str | None = None


class Metadata(msgspec.Struct, frozen=True):
    voided_by: list[str] = []
    first_block: str | None = None
    height: int | None = None
    nc_execution: str | None = None


class Vertex(msgspec.Struct, frozen=True):
    """A block or transaction as the node sees it at the time of the event."""

    hash: str
    timestamp: int
    version: int
    weight: float
    nonce: int = 0
    signal_bits: int = 0
    inputs: list[Input] = []
    outputs: list[Output] = []
    parents: list[str] = []
    tokens: list[str] = []
    token_name: str | None = None
    token_symbol: str | None = None
    headers: list[Header] = []
    metadata: Metadata | None = None

    @property
    def is_block(self) -> bool:
        return self.version in BLOCK_VERSIONS

    @property
    def voided(self) -> bool:
        return self.metadata is not None and bool(self.metadata.voided_by)

    @property
    def first_block(self) -> str | None:
        return None if self.metadata is None else self.metadata.first_block

    @property
    def height(self) -> int | None:
        """A block's own height, a confirmed transaction's, or None in the mempool."""
        if self.metadata is None or not (self.is_block or self.metadata.first_block):
            return None
        return self.metadata.height

    def token_id(self, token_data: int) -> str | None:
        index = token_data & 0x7F
        if index == 0:
            return HATHOR_TOKEN
        tokens = self.tokens or ([self.hash] if self.version == 2 else [])  # noqa: PLR2004 - a token's creation
        return tokens[index - 1] if index <= len(tokens) else None


class Execution(msgspec.Struct, frozen=True):
    nc_tx: str
    nc_block: str


class TokenCreated(msgspec.Struct, frozen=True):
    token_uid: str
    token_name: str
    token_symbol: str
    token_version: int = 1
    nc_exec_info: Execution | None = None

    @property
    def creator(self) -> str:
        """The transaction that made it: its own creation, or the call of a contract."""
        return self.nc_exec_info.nc_tx if self.nc_exec_info else self.token_uid

    @property
    def first_block(self) -> str | None:
        return self.nc_exec_info.nc_block if self.nc_exec_info else None


class Reorg(msgspec.Struct, frozen=True):
    reorg_size: int
    previous_best_block: str
    new_best_block: str
    common_block: str


class Event(msgspec.Struct, frozen=True):
    id: int
    type: str
    data: Vertex | TokenCreated | Reorg | None


class RawEvent(msgspec.Struct, frozen=True):
    id: int
    type: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Page(msgspec.Struct, frozen=True):
    """An answer of `GET event`."""

    events: list[RawEvent]
    latest_event_id: int


class Frame(msgspec.Struct, frozen=True):
    """What the node sends over the WebSocket: an event, or the refusal of a request."""

    type: str
    peer_id: str | None = None
    network: str | None = None
    stream_id: str | None = None
    event: RawEvent | None = None
    latest_event_id: int = -1
    error_message: str | None = None


# The frame around the data was looked at already, for its depth too.
_VERTEX = msgspec.json.Decoder(Vertex)
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    **dict.fromkeys(VERTEX_EVENTS, _VERTEX),
    TOKEN_CREATED: msgspec.json.Decoder(TokenCreated),
    REORG_STARTED: msgspec.json.Decoder(Reorg),
}


def read_event(raw: RawEvent) -> Event:
    """Decodes the data of an event.

    Raises:
        msgspec.DecodeError: a known field has an impossible value.
    """
    decoder = _DECODERS.get(raw.type)
    return Event(id=raw.id, type=raw.type, data=None if decoder is None else decoder.decode(raw.data))
