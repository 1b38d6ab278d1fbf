"""`state_*`: the state at a block, the runtime, and its APIs."""

from typing import Any

from strongroom_sandbox.bittensor.chain.blocks import Block
from strongroom_sandbox.bittensor.codec.hashers import blake2_256
from strongroom_sandbox.bittensor.codec.scale import ScaleError
from strongroom_sandbox.bittensor.execution.dispatch import PanicError, call_api
from strongroom_sandbox.bittensor.server.rpc import (
    INVALID_PARAMS,
    RpcError,
    Session,
    method,
    read_hex,
    write_hex,
)

EXECUTION_FAILED = 4003
MAX_KEYS = 1000


@method("state_getStorage", "state_getStorageAt")
def get_storage(session: Session, key: Any, block_hash: Any) -> Any:
    value = session.storage(block_hash).state.get(read_hex(key))
    return None if value is None else write_hex(value)


@method("state_getStorageHash", "state_getStorageHashAt")
def get_storage_hash(session: Session, key: Any, block_hash: Any) -> Any:
    value = session.storage(block_hash).state.get(read_hex(key))
    return None if value is None else write_hex(blake2_256(value))


@method("state_getStorageSize", "state_getStorageSizeAt")
def get_storage_size(session: Session, key: Any, block_hash: Any) -> Any:
    value = session.storage(block_hash).state.get(read_hex(key))
    return None if value is None else len(value)


@method("state_getKeys")
def get_keys(session: Session, prefix: Any, block_hash: Any) -> list[str]:
    return [write_hex(key) for key in session.storage(block_hash).state.keys(read_hex(prefix or "0x"))]


@method("state_getKeysPaged", "state_getKeysPagedAt")
def get_keys_paged(session: Session, prefix: Any, count: Any, start: Any, block_hash: Any) -> list[str]:
    if not isinstance(count, int) or not 0 <= count <= MAX_KEYS:
        raise RpcError(INVALID_PARAMS, "Invalid params", f"count must be at most {MAX_KEYS}")
    keys = session.storage(block_hash).state.keys(read_hex(prefix or "0x"))
    after = read_hex(start) if start else b""
    return [write_hex(key) for key in keys if not after or key > after][:count]


@method("state_queryStorageAt")
def query_storage_at(session: Session, keys: Any, block_hash: Any) -> list[dict[str, Any]]:
    block = session.block(block_hash)
    session.storage(block_hash)
    return [_changes(session, block, _keys(keys))]


@method("state_getMetadata")
def get_metadata(session: Session, block_hash: Any) -> str:
    session.storage(block_hash)
    return write_hex(session.block(block_hash).runtime.metadata_v14)


@method("state_getRuntimeVersion", "chain_getRuntimeVersion")
def get_runtime_version(session: Session, block_hash: Any) -> dict[str, Any]:
    session.storage(block_hash)
    return _version(session, session.block(block_hash))


@method("state_call", "state_callAt")
def call(session: Session, name: Any, data: Any, block_hash: Any) -> str:
    try:
        return write_hex(call_api(session.storage(block_hash), str(name), read_hex(data or "0x")))
    except (ScaleError, PanicError) as error:
        message = f"Client error: Execution failed: {error}"
        raise RpcError(EXECUTION_FAILED, message) from error


@method("state_subscribeRuntimeVersion", "chain_subscribeRuntimeVersion")
def subscribe_runtime_version(session: Session) -> str:
    callbacks = session.node.listeners.callbacks

    def tell(happened: str, block: Block) -> None:
        if happened == "runtime":
            session.notify(name, "state_runtimeVersion", _version(session, block))

    callbacks.add(tell)
    name = session.subscribe(lambda: callbacks.discard(tell))
    session.notify(name, "state_runtimeVersion", _version(session, session.node.chain.head))
    return name


@method("state_subscribeStorage")
def subscribe_storage(session: Session, keys: Any) -> str:
    wanted = _keys(keys)
    callbacks = session.node.listeners.callbacks
    last = _changes(session, session.node.chain.head, wanted)
    seen = dict(last["changes"])

    def tell(happened: str, block: Block) -> None:
        if happened != "best":
            return
        changes = _changes(session, block, wanted)
        changes["changes"] = [change for change in changes["changes"] if seen[change[0]] != change[1]]
        seen.update(changes["changes"])
        if changes["changes"]:
            session.notify(name, "state_storage", changes)

    callbacks.add(tell)
    name = session.subscribe(lambda: callbacks.discard(tell))
    session.notify(name, "state_storage", last)
    return name


@method(
    *("state_unsubscribeStorage", "state_unsubscribeRuntimeVersion"),
    "chain_unsubscribeRuntimeVersion",
)
def unsubscribe(session: Session, name: Any) -> bool:
    return session.unsubscribe(name)


def _keys(keys: Any) -> list[bytes]:
    if not isinstance(keys, list):
        raise RpcError(INVALID_PARAMS, "Invalid params", "a list of keys expected")
    return [read_hex(key) for key in keys]


def _changes(session: Session, block: Block, keys: list[bytes]) -> dict[str, Any]:
    storage = session.storage(write_hex(block.hash))
    values = [(key, storage.state.get(key)) for key in keys]
    changes = [[write_hex(key), None if value is None else write_hex(value)] for key, value in values]
    return {"block": write_hex(block.hash), "changes": changes}


def _version(session: Session, block: Block) -> dict[str, Any]:
    lie = session.node.faults.lies.spec_version
    return block.runtime.version if lie is None else block.runtime.version | {"specVersion": lie}
