"""How an extrinsic fails: refused by the pool, or included and failed."""

from typing import Any

from strongroom_sandbox.bittensor.codec.runtime import Runtime


class DispatchError(Exception):
    """The call failed. The extrinsic stays in its block; only its nonce and its fee are kept."""

    def __init__(self, kind: str, detail: Any = None) -> None:
        super().__init__(f"{kind} {detail}" if detail is not None else kind)
        self.kind = kind
        self.detail = detail
        self.post: Any = None
        """A `Post`, when the failed call corrects its weight (as `Sudo.sudo` does)."""

    @classmethod
    def module(cls, pallet: str, name: str) -> "DispatchError":
        """For example `DispatchError.module("SubtensorModule", "SettingWeightsTooFast")`."""
        return cls("Module", (pallet, name))

    @classmethod
    def token(cls, name: str) -> "DispatchError":
        """FundsUnavailable, BelowMinimum, NotExpendable ..."""
        return cls("Token", name)

    @classmethod
    def bad_origin(cls) -> "DispatchError":
        return cls("BadOrigin")

    def value(self, runtime: Runtime) -> Any:
        """As `type_codecs` encodes a DispatchError: in events, also in those of wrappers (`Sudid`, `ProxyExecuted`)."""
        if self.kind == "Module":
            return (self.kind, runtime.module_error(*self.detail).encoded())
        return self.kind if self.detail is None else (self.kind, self.detail)


class PoolRefusal(Exception):
    """The extrinsic is not valid now and is not taken: no block, no nonce, no fee.

    `reason` is the number of a custom refusal, or one of the chain's own: stale, future, badProof,
    ancientBirthBlock, payment, call, exhaustsResources, badSigner.
    """

    def __init__(self, reason: int | str) -> None:
        super().__init__(f"custom {reason}" if isinstance(reason, int) else reason)
        self.reason = reason
