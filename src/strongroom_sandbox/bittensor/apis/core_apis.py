"""Runtime APIs of every substrate chain: metadata, nonces, fees."""

from typing import Any

from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import Context, Weight, runtime_api
from strongroom_sandbox.bittensor.execution.extrinsics import read_call
from strongroom_sandbox.bittensor.execution.fees import BASE_FEE, dispatch_info, inclusion_fee
from strongroom_sandbox.bittensor.state.storage import Storage

FEE_PER_BYTE = 1


@runtime_api("Metadata_metadata_at_version")
def metadata_at_version(storage: Storage, version: int) -> bytes | None:
    return {14: storage.runtime.metadata_v14, 15: storage.runtime.metadata_v15}.get(version)


@runtime_api("Metadata_metadata_versions")
def metadata_versions(_storage: Storage) -> list[int]:
    return [14, 15]


@runtime_api("Metadata_metadata")
def metadata(storage: Storage) -> bytes:
    return storage.runtime.metadata_v14


@runtime_api("AccountNonceApi_account_nonce")
def account_nonce(storage: Storage, account: bytes) -> int:
    return accounts.nonce(storage, account)


@runtime_api("TransactionPaymentApi_query_info")
def query_info(storage: Storage, extrinsic: bytes, length: int) -> dict[str, Any]:
    """`extrinsic` without the length in front, `length` with it."""
    weight = _weight(storage, extrinsic)
    info = dispatch_info(weight, with_base=False)
    return {"weight": info["weight"], "class": info["class"], "partial_fee": inclusion_fee(weight, length)}


@runtime_api("TransactionPaymentApi_query_fee_details")
def query_fee_details(storage: Storage, extrinsic: bytes, length: int) -> dict[str, Any]:
    weight = _weight(storage, extrinsic)
    if not weight.pays_fee:
        return {"inclusion_fee": None, "tip": 0}
    weight_fee = inclusion_fee(weight, length) - BASE_FEE - length * FEE_PER_BYTE
    parts = {"base_fee": BASE_FEE, "len_fee": length * FEE_PER_BYTE, "adjusted_weight_fee": weight_fee}
    return {"inclusion_fee": parts, "tip": 0}


def _weight(storage: Storage, extrinsic: bytes) -> Weight:
    call = read_call(extrinsic, storage.runtime)
    return Context(storage.runtime, storage.state).weight_of(call)
