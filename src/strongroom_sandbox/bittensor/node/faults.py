"""The faults that a test asks for, and how much of each is left."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Count = Annotated[int, Meta(ge=0)]


class Wording(StrEnum):
    """The words of refusals and statuses."""

    STOCK = "stock"
    """The words of a node of the main network."""
    RECORDED = "recorded"
    """The words of the node of the recorded extrinsics: JSON in the message, and no memory of what was included."""


class Refusal(Struct, frozen=True, kw_only=True):
    """The node answers the next `count` requests of a method with this error and does not carry them out."""

    method: str
    code: int
    message: str
    data: Any = None
    count: int = 1


class Lies(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """False values that the node gives about itself; null means the true one."""

    genesis_hash: str | None = None
    spec_version: int | None = None
    next_index_by: int | None = None
    """This is added to every next nonce that the node gives."""
    is_syncing: bool | None = None


class FaultRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /_fault`; a field that is absent changes nothing."""

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
    """The faults in force, as `GET /_fault` shows them."""

    stall_ms: int = 0
    """Every request waits this long before anything is done."""
    silent: bool = False
    """The node reads requests and answers none."""
    drop_submission: int = 0
    """The node ignores the next n extrinsics, and their connection breaks."""
    drop_reply: int = 0
    """The node takes the next n extrinsics, and their connection breaks before the answer."""
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
        """Removes all faults; the wording stays, because it is not one."""
        for name, value in msgspec.structs.asdict(Faults(wording=self.wording)).items():
            setattr(self, name, value)

    def take_refusal(self, method: str) -> Refusal | None:
        """Returns the error that this request is answered with, and counts it; None if there is none."""
        refusal = self.refusal
        if refusal is None or refusal.method != method or not refusal.count:
            return None
        left = refusal.count - 1
        self.refusal = msgspec.structs.replace(refusal, count=left) if left else None
        return refusal

    def take(self, name: str) -> bool:
        """Returns whether a counted fault concerns this request, and counts it."""
        left: int = getattr(self, name)
        setattr(self, name, max(left - 1, 0))
        return left > 0
