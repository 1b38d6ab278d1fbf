"""The result of a call to the service."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


class Fate(enum.StrEnum):
    """What became of the request."""

    ACCEPTED = "accepted"
    """Submitted; how far depends on what the call waited for."""
    REFUSED = "refused"
    """By the service or the chain: it will not take effect."""
    UNKNOWN = "unknown"
    """It may have been signed. It is found out before anything else is sent for this slot."""
    NOT_SENT = "not sent"
    """Nothing was signed anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Unpacks to `(success, message)` as the SDK's answers do, and names the fields of its `ExtrinsicResponse`."""

    success: bool
    message: str
    fate: Fate
    source: str
    """`service`, `local` (the node's own wallet) or `client` (nothing was asked of either)."""
    extrinsic_function: str = "set_weights"
    extrinsic_hash: str | None = None
    extrinsic_fee: int | None = None
    """In rao."""
    extrinsic_receipt: Any = None
    extrinsic: Any = None
    block_hash: str | None = None
    block_number: int | None = None
    blocks_to_wait: int | None = None
    error: Any = None
    data: dict[str, Any] = field(default_factory=dict)
    """The service's whole answer."""

    def __iter__(self) -> Iterator[Any]:
        return iter((self.success, self.message))

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return (self.success, self.message)[index]


def of_service(document: dict[str, Any], function: str = "set_weights") -> Result:
    """Reads the result from an answer of the service. `success: null`: it is in a block whose events are not known."""
    success = document.get("success")
    fate = Fate.ACCEPTED if success is True else Fate.REFUSED if success is False else Fate.UNKNOWN
    return Result(
        success=fate is Fate.ACCEPTED,
        message=str(document.get("message") or fate),
        fate=fate,
        source="service",
        extrinsic_function=function,
        extrinsic_hash=document.get("extrinsic_hash"),
        extrinsic_fee=document.get("fee"),
        block_hash=document.get("block_hash"),
        block_number=document.get("block_number"),
        blocks_to_wait=document.get("blocks_to_wait"),
        error=document.get("error"),
        data=document,
    )


def not_sent(message: str) -> Result:
    return Result(success=False, message=message, fate=Fate.NOT_SENT, source="client")


def unknown(message: str) -> Result:
    return Result(success=False, message=message, fate=Fate.UNKNOWN, source="service")
