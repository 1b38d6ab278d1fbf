"""Blocks and transactions as the sandbox node keeps them, and the JSON that its events carry."""

import base64
from dataclasses import dataclass, field
from typing import Any

from strongroom.hathor.protocol.addresses import Network
from strongroom.hathor.protocol.headers import NanoAction
from strongroom.hathor.protocol.scripts import Payment, parse_script

Outpoint = tuple[str, int]
BLOCK = 0
TRANSACTION = 1
TOKEN_CREATION = 2


@dataclass(slots=True, kw_only=True)
class Output:
    value: int
    token_data: int
    script: bytes
    address: str | None = None
    """None when no wallet understands the script."""
    kind: str = "P2PKH"
    timelock_s: int | None = None

    def to_json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = {}
        if self.address is not None:
            decoded = {"type": self.kind, "address": self.address, "timelock": self.timelock_s}
        return {
            "value": self.value,
            "token_data": self.token_data,
            "script": base64.b64encode(self.script).decode(),
            "decoded": decoded,
        }


def read_output(value: int, token_data: int, script: bytes, network: Network) -> Output:
    """An output with what its script says."""
    parsed = parse_script(script)
    if not isinstance(parsed, Payment):
        return Output(value=value, token_data=token_data, script=script)
    return Output(
        value=value,
        token_data=token_data,
        script=script,
        address=parsed.address.encode(network),
        kind=parsed.address.kind.value,
        timelock_s=parsed.timelock_s,
    )


@dataclass(slots=True, kw_only=True)
class Nano:
    """The call of a contract: who calls what, and how its execution will end."""

    contract_id: str
    seqnum: int
    method: str
    address: str
    fails: bool = False
    creates_token: str | None = None
    arguments: bytes = b""
    actions: tuple[NanoAction, ...] = ()
    vault: bool = False
    """Of the sandbox's own blueprint, which runs it; else it ends as `fails` says."""


@dataclass(slots=True, kw_only=True)
class Vertex:
    hash: str
    version: int
    timestamp_s: int
    weight: float = 1.0
    nonce: int = 0
    signal_bits: int = 0
    parents: list[str] = field(default_factory=list)
    inputs: list[Outpoint] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    token_name: str | None = None
    token_symbol: str | None = None
    token_version: int = 1
    nano: Nano | None = None
    raw: bytes = b""

    height: int = 0
    """Of a block."""
    previous: str | None = None
    """The block before it."""
    confirms: list[str] = field(default_factory=list)
    """The transactions that a block confirms when it is on the best chain."""
    first_block: str | None = None
    voided_by: set[str] = field(default_factory=set)
    nc_execution: str | None = None

    @property
    def is_block(self) -> bool:
        return self.version == BLOCK

    @property
    def live(self) -> bool:
        return not self.voided_by

    def token_id(self, token_data: int) -> str:
        index = token_data & 0x7F
        return "00" if index == 0 else self.tokens[index - 1]

    def to_json(self, spent: list[Output], *, with_metadata: bool = True) -> dict[str, Any]:
        """The data of an event; `spent` are the outputs that the inputs spend, in their order."""
        inputs = [
            {"tx_id": tx_id, "index": index, "spent_output": output.to_json()}
            for (tx_id, index), output in zip(self.inputs, spent, strict=True)
        ]
        data: dict[str, Any] = {
            "hash": self.hash,
            "nonce": self.nonce,
            "timestamp": self.timestamp_s,
            "signal_bits": self.signal_bits,
            "version": self.version,
            "weight": self.weight,
            "inputs": inputs,
            "outputs": [output.to_json() for output in self.outputs],
            "parents": self.parents,
            "tokens": self.tokens,
            "token_name": self.token_name,
            "token_symbol": self.token_symbol,
            "aux_pow": None,
            "headers": [] if self.nano is None else [_nano_json(self.nano)],
            "name": None,
        }
        if with_metadata:
            data["metadata"] = self._metadata()
        return data

    def _metadata(self) -> dict[str, Any]:
        return {
            "hash": self.hash,
            "spent_outputs": [],
            "conflict_with": [],
            "voided_by": sorted(self.voided_by),
            "received_by": [],
            "twins": [],
            "accumulated_weight": self.weight,
            "score": self.weight,
            "accumulated_weight_raw": "0",
            "score_raw": "0",
            "first_block": self.first_block,
            "height": self.height,
            "validation": "full",
            "nc_execution": self.nc_execution,
        }


def _nano_json(nano: Nano) -> dict[str, Any]:
    return {
        "id": "10",
        "nc_seqnum": nano.seqnum,
        "nc_id": nano.contract_id,
        "nc_method": nano.method,
        "nc_address": nano.address,
    }
