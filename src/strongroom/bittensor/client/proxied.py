"""Calls of a coldkey that the service makes by its proxy: around the SDK's call comes the proxy's.

The chain counts an extrinsic as a success even if the call inside has failed, and says that in an event. SDKs look at the
former alone, so their receipt of such an extrinsic is made to say what became of the call inside.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from strongroom.bittensor.client.remote import Delegate, RemoteKeypair

WRAPPED = "_remote_proxied"
"""Attribute of a client of the chain: what it has signed and not submitted yet of such calls."""


def delegate_of(remote: RemoteKeypair, named: dict[str, Any]) -> Delegate | None:
    """Who signs in the key's place, or None. Takes the nonce, which is one of the coldkey's, out of the arguments.

    Raises:
        ServiceError: the service is away.
    """
    delegate = remote.delegate()
    if delegate is not None:
        named.pop("nonce", None)
    return delegate


def arguments(remote: RemoteKeypair, delegate: Delegate, call: Any) -> tuple[str, str, dict[str, Any]]:
    """What the client composes the proxy's call from."""
    inside = {"real": remote.ss58_address, "force_proxy_type": delegate.proxy_type, "call": call}
    return "Proxy", "proxy", inside


def note(chain: Any, extrinsic: Any) -> Any:
    """Remembers an extrinsic that carries a proxy's call."""
    chain.__dict__.setdefault(WRAPPED, set()).add(bytes(extrinsic.data.data))
    return extrinsic


def receipt_of(chain: Any, extrinsic: Any, receipt: Any, *, is_async: bool) -> Any:
    """The receipt, which says what became of the call inside if the extrinsic is one of those."""
    wrapped = chain.__dict__.get(WRAPPED, set())
    raw = bytes(getattr(getattr(extrinsic, "data", None), "data", b"") or b"")
    if raw not in wrapped:
        return receipt
    wrapped.discard(raw)
    kind: Any = type(receipt)
    receipt.__class__ = _honest(kind, is_async=is_async)
    return receipt


@cache
def _honest(kind: Any, *, is_async: bool) -> type:
    """A class of receipts like this one, whose events end as the call inside ended."""
    events = kind.triggered_events

    async def triggered_later(receipt: Any) -> list[Any]:
        return ends_of(await events.fget(receipt))

    def triggered(receipt: Any) -> list[Any]:
        return ends_of(events.fget(receipt))

    return type(
        kind.__name__, (kind,), {"triggered_events": property(triggered_later if is_async else triggered)}
    )


def ends_of(events: Sequence[Any]) -> list[Any]:
    """The events of an extrinsic; where the call inside has failed, the last one says so instead of a success."""
    errors = [
        event["event"]["attributes"]["result"]["Err"]
        for event in events
        if _name(event) == ("Proxy", "ProxyExecuted") and "Err" in event["event"]["attributes"]["result"]
    ]
    if not errors:
        return list(events)
    return [
        _failed(event, errors[0]) if _name(event) == ("System", "ExtrinsicSuccess") else event
        for event in events
    ]


def _name(event: Any) -> tuple[str, str]:
    return event["event"]["module_id"], event["event"]["event_id"]


def _failed(event: Any, error: Any) -> dict[str, Any]:
    attributes = {**event["event"]["attributes"], "dispatch_error": error}
    return {**event, "event": {**event["event"], "event_id": "ExtrinsicFailed", "attributes": attributes}}
