"""`chain_*`: blocks, headers, and subscriptions to new ones."""

from typing import Any

from strongroom_sandbox.bittensor.chain.blocks import Block
from strongroom_sandbox.bittensor.server.rpc import (
    INVALID_PARAMS,
    RpcError,
    Session,
    method,
    read_hex,
    write_hex,
)


@method("chain_getBlockHash", "chain_getHead")
def get_block_hash(session: Session, number: Any) -> Any:
    chain, lies = session.node.chain, session.node.faults.lies
    if number is None:
        return write_hex(chain.head.hash)
    if isinstance(number, list):
        return [get_block_hash(session, one) for one in number]
    wanted = _number(number)
    if wanted == 0 and lies.genesis_hash:
        return lies.genesis_hash
    block = chain.best.at(wanted)
    return None if block is None else write_hex(block.hash)


@method("chain_getFinalizedHead", "chain_getFinalisedHead")
def get_finalized_head(session: Session) -> str:
    chain = session.node.chain
    return write_hex(chain.best.known(chain.finalized).hash)


@method("chain_getHeader")
def get_header(session: Session, block_hash: Any) -> Any:
    block = _found(session, block_hash)
    return None if block is None else header_json(block)


@method("chain_getBlock")
def get_block(session: Session, block_hash: Any) -> Any:
    block = _found(session, block_hash)
    if block is None:
        return None
    extrinsics = [write_hex(extrinsic) for extrinsic in block.extrinsics]
    return {"block": {"header": header_json(block), "extrinsics": extrinsics}, "justifications": None}


@method("chain_subscribeNewHeads", "chain_subscribeNewHead", "subscribe_newHead")
def subscribe_new_heads(session: Session) -> str:
    return _subscribe(session, "best", "chain_newHead", session.node.chain.head)


@method("chain_subscribeAllHeads")
def subscribe_all_heads(session: Session) -> str:
    return _subscribe(session, "best", "chain_allHead", session.node.chain.head)


@method("chain_subscribeFinalizedHeads", "chain_subscribeFinalisedHeads")
def subscribe_finalized_heads(session: Session) -> str:
    chain = session.node.chain
    return _subscribe(session, "finalized", "chain_finalizedHead", chain.best.known(chain.finalized))


@method(
    *("chain_unsubscribeNewHeads", "chain_unsubscribeNewHead", "unsubscribe_newHead"),
    *("chain_unsubscribeAllHeads", "chain_unsubscribeFinalizedHeads", "chain_unsubscribeFinalisedHeads"),
)
def unsubscribe(session: Session, name: Any) -> bool:
    return session.unsubscribe(name)


def header_json(block: Block) -> dict[str, Any]:
    header = block.header
    return {
        "parentHash": write_hex(header.parent),
        "number": hex(header.number),
        "stateRoot": write_hex(header.state_root),
        "extrinsicsRoot": write_hex(header.extrinsics_root),
        "digest": {"logs": [write_hex(log) for log in header.logs]},
    }


def _found(session: Session, block_hash: Any) -> Block | None:
    chain = session.node.chain
    return chain.head if block_hash is None else chain.block(read_hex(block_hash))


def _number(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int | str):
        raise RpcError(INVALID_PARAMS, "Invalid params", "a block number expected")
    try:
        wanted = int(number, 16) if isinstance(number, str) else number
    except ValueError:
        wanted = -1
    if wanted < 0:
        raise RpcError(INVALID_PARAMS, "Invalid params", "a block number expected")
    return wanted


def _subscribe(session: Session, event: str, notification: str, current: Block) -> str:
    callbacks = session.node.listeners.callbacks

    def tell(happened: str, block: Block) -> None:
        if happened == event:
            session.notify(name, notification, header_json(block))

    callbacks.add(tell)
    name = session.subscribe(lambda: callbacks.discard(tell))
    session.notify(name, notification, header_json(current))
    return name
