"""`system_*` and `rpc_methods`: the node itself."""

from typing import Any

from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom_sandbox.bittensor.server.rpc import INVALID_PARAMS, METHODS, RpcError, Session, method

NAME = "Strongroom sandbox"
VERSION = "1.0.0"
CHAIN = "Bittensor"
PROPERTIES = {"isEthereum": False, "ss58Format": 42, "tokenDecimals": 9, "tokenSymbol": "TAO"}


@method("rpc_methods")
def methods(_session: Session) -> dict[str, Any]:
    return {"methods": sorted(METHODS)}


@method("system_chain")
def chain(_session: Session) -> str:
    return CHAIN


@method("system_name")
def name(_session: Session) -> str:
    return NAME


@method("system_version")
def version(_session: Session) -> str:
    return VERSION


@method("system_chainType")
def chain_type(_session: Session) -> str:
    return "Local"


@method("system_properties")
def properties(_session: Session) -> dict[str, Any]:
    return PROPERTIES


@method("system_health")
def health(session: Session) -> dict[str, Any]:
    is_syncing = bool(session.node.faults.lies.is_syncing)
    return {"peers": 0, "isSyncing": is_syncing, "shouldHavePeers": False}


@method("system_syncState")
def sync_state(session: Session) -> dict[str, int]:
    number = session.node.chain.head.number
    return {"startingBlock": 0, "currentBlock": number, "highestBlock": number}


@method("system_accountNextIndex", "account_nextIndex")
def account_next_index(session: Session, address: Any) -> int:
    try:
        account = decode_address(str(address))
    except ProtocolError as error:
        raise RpcError(INVALID_PARAMS, "Invalid params", str(error)) from None
    return session.node.next_index(account) + (session.node.faults.lies.next_index_by or 0)
