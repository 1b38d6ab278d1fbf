"""Words the pool's refusals as a stock node or as the recorded one does."""

from typing import Any

import msgspec

from strongroom_sandbox.bittensor.execution.failures import PoolRefusal
from strongroom_sandbox.bittensor.node.faults import Wording
from strongroom_sandbox.bittensor.server.rpc import RpcError

VERIFICATION, INVALID, UNKNOWN = 1002, 1010, 1011
REASONS = {
    "stale": "Transaction is outdated",
    "future": "Transaction will be valid in the future",
    "badProof": "Transaction has a bad signature",
    "ancientBirthBlock": "Transaction has an ancient birth block",
    "payment": "Inability to pay some fees (e.g. account balance too low)",
    "call": "Transaction call is not expected",
    "exhaustsResources": "Transaction would exhaust the block limits",
    "badSigner": "Invalid signing address",
}
UNKNOWN_REASONS = {"cannotLookup": "Could not lookup information required to validate the transaction"}


def refused(refusal: PoolRefusal, wording: Wording) -> RpcError:
    """Returns what `author_submitExtrinsic` answers to an extrinsic that is not valid."""
    reason = refusal.reason
    if isinstance(reason, str) and reason in UNKNOWN_REASONS:
        return RpcError(UNKNOWN, "Unknown Transaction Validity", UNKNOWN_REASONS[reason])
    if wording is Wording.RECORDED:
        inner: dict[str, Any] = {"custom": reason} if isinstance(reason, int) else {reason: None}
        return RpcError(INVALID, msgspec.json.encode({"invalid": inner}).decode())
    data = f"Custom error: {reason}" if isinstance(reason, int) else REASONS[reason]
    return RpcError(INVALID, "Invalid Transaction", data)


def bad_format(error: Exception, wording: Wording) -> RpcError:
    """Returns what it answers to bytes that are not an extrinsic, and when the runtime trapped."""
    if wording is Wording.RECORDED:
        return RpcError(UNKNOWN, "Error: wasm `unreachable` instruction executed")
    return RpcError(
        VERIFICATION, f"Inspection Error: Runtime error: Execution failed: {error}", f"RuntimeApi({error})"
    )
