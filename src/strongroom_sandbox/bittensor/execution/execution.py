"""Makes one block: opens it, applies extrinsics to the state, closes it with its events."""

from typing import Any

from strongroom_sandbox.bittensor.codec.runtime import Event, Runtime
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import (
    NOBODY,
    ON_FINALIZE,
    ON_INITIALIZE,
    ROOT,
    Context,
    Origin,
    Post,
    Weight,
)
from strongroom_sandbox.bittensor.execution.extrinsics import Extrinsic, timestamp_inherent
from strongroom_sandbox.bittensor.execution.failures import DispatchError, PoolRefusal
from strongroom_sandbox.bittensor.execution.fees import dispatch_info, inclusion_fee
from strongroom_sandbox.bittensor.execution.validity import validate
from strongroom_sandbox.bittensor.state.state import State

BLOCK_HASHES = 2400
"""How many blocks back a birth block may lie."""
INHERENT_WEIGHT = Weight(160_560_000, 1493, dispatch_class="Mandatory")


class BlockExecution:
    """A block in the making. `extrinsics` are its bytes so far."""

    def __init__(self, runtime: Runtime, state: State, genesis: bytes) -> None:
        self.ctx = Context(runtime, state)
        self.extrinsics: list[bytes] = []
        self._genesis = genesis
        self._events: list[tuple[Any, Event]] = []

    def open(self, number: int, parent: bytes, now_ms: int) -> None:
        """Numbers the block, lets the pallets begin, and puts the timestamp first."""
        ctx = self.ctx
        ctx.put("System", "Number", value=number)
        ctx.put("System", "ParentHash", value=parent)
        ctx.put("System", "BlockHash", number - 1, value=parent)
        if number > BLOCK_HASHES + 1:
            ctx.remove("System", "BlockHash", number - BLOCK_HASHES - 1)
        ctx.put("System", "Events", value=[])
        for hook in ON_INITIALIZE:
            hook(ctx)
        self._note_events("Initialization")
        now_ms = max(now_ms, ctx.now_ms + 1)
        ctx.put("Timestamp", "Now", value=now_ms)
        self._end(INHERENT_WEIGHT, None)
        self.extrinsics.append(timestamp_inherent(ctx.runtime, now_ms))

    def apply(self, extrinsic: Extrinsic) -> None:
        """Includes an extrinsic, whether its call then succeeds or fails.

        Raises:
            PoolRefusal: it may not stand here, and nothing happened.
        """
        ctx = self.ctx
        validate(ctx, extrinsic, self._genesis)
        who = extrinsic.signer
        if extrinsic.nonce > accounts.nonce(ctx, who):
            raise PoolRefusal("future")
        declared = ctx.weight_of(extrinsic.call)
        paid = inclusion_fee(declared, len(extrinsic.raw)) + extrinsic.tip
        ctx.origin = NOBODY
        accounts.use_nonce(ctx, who)
        if paid:
            accounts.withdraw(ctx, who, paid, preserve=True)
        error: DispatchError | None = None
        try:
            post = ctx.dispatch(extrinsic.call, Origin(account=who))
        except DispatchError as raised:
            post, error = raised.post, raised
        actual = _corrected(declared, post)
        fee = inclusion_fee(actual, len(extrinsic.raw)) + extrinsic.tip
        if paid:
            self._settle(who, paid, fee)
        fee_paid = {"who": who, "actual_fee": fee, "tip": extrinsic.tip}
        ctx.deposit_event("TransactionPayment", "TransactionFeePaid", fee_paid)
        self._end(actual, error)
        self.extrinsics.append(extrinsic.raw)

    def _settle(self, who: bytes, paid: int, fee: int) -> None:
        """Gives back what was paid too much; an account that the call ended gets nothing."""
        kept = paid
        if accounts.exists(self.ctx, who):
            accounts.deposit(self.ctx, who, paid - fee)
            kept = fee
        self.ctx.change("Balances", "TotalIssuance", by=lambda issued: issued - kept)

    def amend(self, change: Any) -> None:
        """Lets the sandbox change the state by itself, as root, in the block's first phase."""
        with self.ctx.savepoint():
            self.ctx.origin = ROOT
            try:
                change(self.ctx)
            finally:
                self.ctx.origin = NOBODY
        self._note_events("Initialization")

    def close(self) -> None:
        for hook in ON_FINALIZE:
            hook(self.ctx)
        self._note_events("Finalization")
        encoded = self.ctx.runtime.encode_events(self._events)
        self.ctx.state.put(self.ctx.runtime.storage_key("System", "Events"), encoded)
        self.ctx.put("System", "EventCount", value=len(self._events))

    def _end(self, weight: Weight, error: DispatchError | None) -> None:
        content: dict[str, Any] = {"dispatch_info": dispatch_info(weight, with_base=True)}
        if error is None:
            self.ctx.deposit_event("System", "ExtrinsicSuccess", content)
        else:
            failed = {"dispatch_error": error.value(self.ctx.runtime)} | content
            self.ctx.deposit_event("System", "ExtrinsicFailed", failed)
        self._note_events(("ApplyExtrinsic", len(self.extrinsics)))

    def _note_events(self, phase: Any) -> None:
        self._events += ((phase, event) for event in self.ctx.events)
        self.ctx.events.clear()


def _corrected(weight: Weight, post: Post | None) -> Weight:
    if post is None:
        return weight
    return weight._replace(**{name: value for name, value in post._asdict().items() if value is not None})
