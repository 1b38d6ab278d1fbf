"""The faults that are switched on, and how often each still happens."""

from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Count = Annotated[int, Meta(ge=0)]


class Lie(StrEnum):
    """The kinds of false answers. `encoding` and the work server apply them."""

    BALANCE = "balance"
    NETWORK = "network"
    PREVIOUS = "previous"
    HEIGHT = "height"
    REPRESENTATIVE = "representative"
    SENDER = "sender"
    HASH = "hash"
    SIGNATURE = "signature"
    WORK = "work"


class Refusal(Struct, frozen=True, kw_only=True):
    """Answers with `status` to the next `count` requests whose path starts with `path`."""

    status: HTTPStatus
    count: int
    path: str


class FaultRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /_fault`; what is absent stays as it is.

    `count` and `path` belong to `status`, `down_ms` belongs to `restart`.
    """

    drop_reply: Count | UnsetType = UNSET
    drop_request: Count | UnsetType = UNSET
    hang_reply: Count | UnsetType = UNSET
    stall_ms: Count | UnsetType = UNSET
    status: HTTPStatus | UnsetType = UNSET
    count: Count = 1
    path: str = "/"
    confirmation_delay_ms: Count | UnsetType | None = UNSET
    election_expired: Count | UnsetType = UNSET
    then_confirm: bool | UnsetType = UNSET
    silent_duplicates: bool | UnsetType = UNSET
    lie: Lie | UnsetType | None = UNSET
    silent_rivals: bool | UnsetType = UNSET
    clock_ahead_ms: int | UnsetType = UNSET
    drop_streams: bool = False
    restart: bool = False
    down_ms: Count = 0


class Faults(Struct, kw_only=True):
    """Faults in force, as `GET /_fault` shows them."""

    drop_reply: int = 0
    """The next n publishes (on a work server: requests for work) are carried out and not answered."""
    drop_request: int = 0
    """The next n publishes (or requests for work) are neither carried out nor answered."""
    hang_reply: int = 0
    """The next n publishes (or requests for work) are never answered, and their connections stay open."""
    stall_ms: int = 0
    """Every request waits this long before it is handled."""
    refusal: Refusal | None = None
    confirmation_delay_ms: int | None = None
    """How long an election takes, instead of the configured time."""
    election_expired: int = 0
    """The next n publishes that the ledger would accept are answered with ELECTION_EXPIRED."""
    then_confirm: bool = False
    """Whether such a publish is confirmed all the same, a confirmation delay after the answer."""
    silent_duplicates: bool = False
    """Whether a transaction that was published in the last minute is ignored, as by a real node, so that its
    publisher waits in vain. Without it the frontier of an account is acknowledged again at once."""
    lie: Lie | None = None
    silent_rivals: bool = False
    """Whether the publisher of a block whose place another one takes is left without an answer, as by a real node."""
    clock_ahead_ms: int = 0
    """How far the node's clock is ahead of the true time; negative, behind it."""

    def set(self, request: FaultRequest) -> None:
        for name in self.__struct_fields__:
            value = getattr(request, name, UNSET)
            if value is not UNSET:
                setattr(self, name, value)
        if request.status is not UNSET:
            self.refusal = Refusal(status=request.status, count=request.count, path=request.path)

    def clear(self) -> None:
        for name, value in msgspec.structs.asdict(Faults()).items():
            setattr(self, name, value)

    def take_refusal(self, path: str) -> HTTPStatus | None:
        """The status to answer this request with, if any; uses up one."""
        refusal = self.refusal
        if refusal is None or refusal.count == 0 or not path.startswith(refusal.path):
            return None
        left = refusal.count - 1
        self.refusal = msgspec.structs.replace(refusal, count=left) if left else None
        return refusal.status

    def take_dropped_request(self) -> bool:
        taken = self.drop_request > 0
        self.drop_request -= taken
        return taken

    def take_hung_reply(self) -> bool:
        taken = self.hang_reply > 0
        self.hang_reply -= taken
        return taken

    def take_dropped_reply(self) -> bool:
        taken = self.drop_reply > 0
        self.drop_reply -= taken
        return taken

    def take_expired_election(self) -> bool:
        taken = self.election_expired > 0
        self.election_expired -= taken
        return taken
