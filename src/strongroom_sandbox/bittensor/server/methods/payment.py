"""`payment_*`: what an extrinsic would cost."""

from typing import Any

from strongroom_sandbox.bittensor.apis.core_apis import query_info
from strongroom_sandbox.bittensor.codec.scale import Reader, ScaleError
from strongroom_sandbox.bittensor.server.rpc import INVALID_PARAMS, RpcError, Session, method, read_hex


@method("payment_queryInfo")
def payment_query_info(session: Session, raw: Any, block_hash: Any) -> dict[str, Any]:
    data = read_hex(raw)
    try:
        info = query_info(session.storage(block_hash), Reader(data).sized(), len(data))
    except ScaleError as error:
        raise RpcError(INVALID_PARAMS, "Invalid params", str(error)) from error
    return {
        "weight": info["weight"],
        "class": info["class"].lower(),
        "partialFee": str(info["partial_fee"]),
    }
