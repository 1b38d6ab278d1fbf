"""What is made to go wrong on purpose, and how much of it is left."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Count = Annotated[int, Meta(ge=0)]


class Wording(StrEnum):
    """How refusals and statuses are worded."""

    STOCK = "stock"
    """As a node of the main network words them."""
    RECORDED = "recorded"
    """As the node of the recorded extrinsics does: JSON in the message, no memory of what was included."""


class Refusal(Struct, frozen=True, kw_only=True):
    """The next `count` requests of a method are answered with this error and not carried out."""

    method: str
    code: int
    message: str
    data: Any = None
    count: int = 1


class Lies(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the node says of itself against the truth; null is the truth."""

    genesis_hash: str | None = None
    spec_version: int | None = None
    next_index_by: int | None = None
    """Added to every next nonce it names."""
    is_syncing: bool | None = None


class FaultRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /_fault`; what is absent stays as it is."""

    stall_ms: Count | UnsetType = UNSET
    silent: bool | UnsetType = UNSET
    drop_submission: Count | UnsetType = UNSET
    drop_reply: Count | UnsetType = UNSET
    drop_notifications: Count | UnsetType = UNSET
    refusal: Refusal | UnsetType | None = UNSET
    lies: Lies | UnsetType = UNSET
    wording: Wording | UnsetType = UNSET
    drop_connections: bool = False
    down_ms: Count = 0


class Faults(Struct, kw_only=True):
    """Faults in force, as `GET /_fault` shows them."""

    stall_ms: int = 0
    """Every request waits this long before anything is done."""
    silent: bool = False
    """Requests are taken and nothing is answered."""
    drop_submission: int = 0
    """The next n extrinsics are not even looked at; their connection breaks."""
    drop_reply: int = 0
    """The next n extrinsics are taken; their connection breaks before the answer."""
    drop_notifications: int = 0
    """The next n notifications of subscriptions are lost."""
    refusal: Refusal | None = None
    lies: Lies = Lies()
    wording: Wording = Wording.STOCK

    def set(self, request: FaultRequest) -> None:
        for name in self.__struct_fields__:
            value = getattr(request, name)
            if value is not UNSET:
                setattr(self, name, value)

    def clear(self) -> None:
        """Removes all but the wording, which is no fault."""
        for name, value in msgspec.structs.asdict(Faults(wording=self.wording)).items():
            setattr(self, name, value)

    def take_refusal(self, method: str) -> Refusal | None:
        """The error to answer this request with, if any; uses up one."""
        refusal = self.refusal
        if refusal is None or refusal.method != method or not refusal.count:
            return None
        left = refusal.count - 1
        self.refusal = msgspec.structs.replace(refusal, count=left) if left else None
        return refusal

    def take(self, name: str) -> bool:
        """Whether a counted fault strikes; uses up one."""
        left: int = getattr(self, name)
        setattr(self, name, max(left - 1, 0))
        return left > 0
