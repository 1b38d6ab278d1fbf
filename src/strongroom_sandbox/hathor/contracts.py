"""The one blueprint of the sandbox node: a vault, which keeps what is deposited until anybody withdraws it.

It has two public methods, `initialize` and `noop`, without arguments: what a call does are its actions.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from strongroom.hathor.protocol.addresses import Network, parse_address
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.hashes import base58check_encode
from strongroom.hathor.protocol.headers import NanoHeader
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.protocol.signatures import verify_input
from strongroom.hathor.protocol.transactions import MELT, MINT, Transaction
from strongroom_sandbox.hathor.vertices import Nano, Vertex

BLUEPRINT = hashlib.sha256(b"sandbox vault").hexdigest()
NAME = "Vault"
INITIALIZE = "initialize"
METHODS = (INITIALIZE, "noop")
MAX_SEQNUM_JUMP = 10
SUCCESS = "success"

DEPOSIT, WITHDRAWAL, GRANT, ACQUIRE = 1, 2, 3, 4
ACTIONS = {
    DEPOSIT: "deposit",
    WITHDRAWAL: "withdrawal",
    GRANT: "grant_authority",
    ACQUIRE: "acquire_authority",
}
ALL_TOKENS = "__all__"


@dataclass(slots=True)
class Content:
    """The amount and the authorities of one token in a vault."""

    value: int = 0
    authorities: int = 0


def contract_of(vertex: Vertex, nano: Nano) -> str:
    """The contract that a transaction calls; it is the one it makes, too."""
    return vertex.hash if nano.method == INITIALIZE else nano.contract_id


def calls(vertices: Iterable[Vertex], contract_id: str) -> list[Vertex]:
    """Everything that called the contract, the oldest first."""
    return [
        vertex
        for vertex in vertices
        if (nano := vertex.nano) is not None and nano.vault and contract_of(vertex, nano) == contract_id
    ]


def contents(vertices: Iterable[Vertex], contract_id: str) -> dict[str, Content] | None:
    """The contents by token, after all executed calls; None if no transaction has created the contract yet."""
    executed = [vertex for vertex in calls(vertices, contract_id) if vertex.nc_execution == SUCCESS]
    found: dict[str, Content] = defaultdict(Content)
    for vertex in executed:
        _apply(vertex, found)
    return dict(found) if executed else None


def _apply(vertex: Vertex, found: dict[str, Content]) -> None:
    for action in vertex.nano.actions if vertex.nano else ():
        content = found[vertex.token_id(action.token_index)]
        if action.kind == DEPOSIT:
            content.value += action.value
        elif action.kind == WITHDRAWAL:
            content.value -= action.value
        elif action.kind == GRANT:
            content.authorities |= action.value
        elif action.value & ~content.authorities:
            content.value = -1  # what it has not got it cannot give


def cannot_run(vertex: Vertex, vertices: Iterable[Vertex]) -> bool:
    """Whether the vault has too little, or the caller's sequence number is used. Only for calls that a wallet has pushed."""
    nano = vertex.nano
    if nano is None or not nano.vault:
        return False
    everything = list(vertices)
    contract_id = contract_of(vertex, nano)
    found: dict[str, Content] = defaultdict(Content, contents(everything, contract_id) or {})
    _apply(vertex, found)
    overdrawn = any(content.value < 0 for content in found.values())
    return overdrawn or nano.seqnum <= last_seqnum(everything, nano.address)


def last_seqnum(vertices: Iterable[Vertex], address: str) -> int:
    """The highest sequence number of the caller's executed calls; -1 before the first one."""
    numbers = [
        nano.seqnum
        for vertex in vertices
        if (nano := vertex.nano) is not None and nano.address == address and vertex.nc_execution == SUCCESS
    ]
    return max(numbers, default=-1)


def verify_call(
    transaction: Transaction, header: NanoHeader, vertices: Iterable[Vertex], network: Network
) -> None:
    """Checks that the node accepts such a call. Raises: ProtocolError: it does not."""
    everything = list(vertices)
    if header.method not in METHODS:
        raise ProtocolError(f"The blueprint has no method {header.method}")
    contract_id = header.contract_id.hex()
    if header.method == INITIALIZE and contract_id != BLUEPRINT:
        raise ProtocolError(f"Blueprint {contract_id} does not exist")
    if header.method != INITIALIZE and not calls(everything, contract_id):
        raise ProtocolError(f"Contract {contract_id} does not exist")
    caller = base58check_encode(header.address[:-4])
    jump = header.seqnum - last_seqnum(everything, caller)
    if not 0 < jump <= MAX_SEQNUM_JUMP:
        raise ProtocolError(f"The sequence number {header.seqnum} jumps by {jump}")
    verify_input(transaction.signing_digest(), header.script, Payment(address=parse_address(caller, network)))


def describe_call(vertex: Vertex) -> dict[str, Any]:
    """What the node's document of a transaction says of the contract that it calls."""
    nano = vertex.nano
    if nano is None or not nano.vault:
        return {}
    actions = [
        {
            "type": ACTIONS.get(action.kind, "unknown"),
            "token_uid": vertex.token_id(action.token_index),
            "amount": action.value,
        }
        for action in nano.actions
    ]
    return {
        "nc_id": contract_of(vertex, nano),
        "nc_seqnum": nano.seqnum,
        "nc_blueprint_id": BLUEPRINT,
        "nc_method": nano.method,
        "nc_args": nano.arguments.hex(),
        "nc_address": nano.address,
        "nc_context": {"actions": actions, "caller_id": nano.address, "timestamp": vertex.timestamp_s},
    }


def describe_blueprint() -> dict[str, Any]:
    method: dict[str, Any] = {"args": [], "return_type": "null", "docstring": None}
    return {
        "id": BLUEPRINT,
        "name": NAME,
        "attributes": {},
        "public_methods": dict.fromkeys(METHODS, method),
        "view_methods": {},
        "docstring": __doc__,
    }


def describe_state(
    contract_id: str, found: dict[str, Content], fields: Iterable[str], tokens: Iterable[str]
) -> dict[str, Any]:
    asked = [token for name in tokens for token in (found if name == ALL_TOKENS else (name,))]
    balances = {}
    for token_id in asked:
        content = found.get(token_id, Content())
        balances[token_id] = {
            "value": str(content.value),
            "can_mint": bool(content.authorities & MINT),
            "can_melt": bool(content.authorities & MELT),
        }
    return {
        "success": True,
        "nc_id": contract_id,
        "blueprint_id": BLUEPRINT,
        "blueprint_name": NAME,
        "fields": {name: {"errmsg": "field not found"} for name in fields},
        "balances": balances,
        "calls": {},
    }
