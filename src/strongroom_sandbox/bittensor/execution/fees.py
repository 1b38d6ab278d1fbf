"""What an extrinsic costs, in rao."""

from strongroom_sandbox.bittensor.execution.dispatch import Weight

BASE_REF_TIME = 108_157_000
"""Weight of an extrinsic that does nothing; events count it in, the fee has it as BASE_FEE."""
BASE_FEE = 54_078
OPERATIONAL = "Operational"


def inclusion_fee(weight: Weight, length: int) -> int:
    """The fee without a tip; `length` is all of the extrinsic, in bytes. Half a rao is rounded down."""
    if not weight.pays_fee:
        return 0
    return BASE_FEE + (weight.ref_time + 999) // 2000 + length


def dispatch_info(weight: Weight, *, with_base: bool) -> dict[str, object]:
    """As in ExtrinsicSuccess (with the base) and in answers of the fee API (without it)."""
    return {
        "weight": {
            "ref_time": weight.ref_time + (BASE_REF_TIME if with_base else 0),
            "proof_size": weight.proof_size,
        },
        "class": weight.dispatch_class,
        "pays_fee": "Yes" if weight.pays_fee else "No",
    }
