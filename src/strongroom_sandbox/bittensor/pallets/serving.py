"""Where neurons serve: axons and prometheus endpoints."""

from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.pallets.shared import neurons
from strongroom_sandbox.bittensor.pallets.shared.cost import db
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, Pallet, View

_IPV4, _IPV6 = 4, 6
_LOCALHOST_V4: Final = 0x7F000001
_MAX_CERTIFICATE: Final = 65


@call(SUBTENSOR, "serve_axon", ref_time=db(35_670_000, reads=4, writes=1), pays_fee=False)
def serve_axon(ctx: Context, netuid: int, **endpoint: int) -> None:
    _serve(Pallet(ctx), netuid, endpoint)


@call(SUBTENSOR, "serve_axon_tls", ref_time=db(33_890_000, reads=4, writes=1), pays_fee=False)
def serve_axon_tls(ctx: Context, netuid: int, certificate: bytes, **endpoint: int) -> None:
    pallet = Pallet(ctx)
    _serve(pallet, netuid, endpoint, certificate)


@call(SUBTENSOR, "serve_prometheus", ref_time=db(31_170_000, reads=4, writes=1), pays_fee=False)
def serve_prometheus(ctx: Context, netuid: int, **endpoint: int) -> None:
    pallet = Pallet(ctx)
    check_prometheus(pallet, ctx.signer, netuid, endpoint)
    pallet.put("Prometheus", netuid, ctx.signer, value={"block": pallet.block, **endpoint})
    pallet.event("PrometheusServed", netuid, ctx.signer)


def check_axon(view: View, hotkey: bytes, netuid: int, endpoint: dict[str, Any]) -> None:
    """In the chain's order.

    Raises:
        DispatchError: the first check that fails.
    """
    _ensure_member(view, hotkey)
    _check_address(view, endpoint, zero=True)
    _check_pace(view, view.get("Axons", netuid, hotkey), netuid)
    _check_port(view, endpoint)


def check_prometheus(view: View, hotkey: bytes, netuid: int, endpoint: dict[str, Any]) -> None:
    """In the chain's order.

    Raises:
        DispatchError: the first check that fails.
    """
    _check_address(view, endpoint, zero=False)
    _ensure_member(view, hotkey)
    _check_pace(view, view.get("Prometheus", netuid, hotkey), netuid)
    _check_port(view, endpoint)


def _serve(pallet: Pallet, netuid: int, endpoint: dict[str, int], certificate: bytes = b"") -> None:
    check_axon(pallet, pallet.signer, netuid, endpoint)
    if 1 < len(certificate) <= _MAX_CERTIFICATE:
        value = {"public_key": certificate[1:], "algorithm": certificate[0]}
        pallet.put("NeuronCertificates", netuid, pallet.signer, value=value)
    pallet.put("Axons", netuid, pallet.signer, value={"block": pallet.block, **endpoint})
    pallet.event("AxonServed", netuid, pallet.signer)


def _ensure_member(view: View, hotkey: bytes) -> None:
    if not neurons.is_member_anywhere(view, hotkey):
        raise view.error("HotKeyNotRegisteredInNetwork")


def _check_address(view: View, endpoint: dict[str, Any], *, zero: bool) -> None:
    kind, address = endpoint["ip_type"], endpoint["ip"]
    if kind not in (_IPV4, _IPV6):
        raise view.error("InvalidIpType")
    if _is_wrong(kind, address) or (not zero and address == 0):
        raise view.error("InvalidIpAddress")


def _is_wrong(kind: int, address: int) -> bool:
    if kind == _IPV4:
        return address >= (1 << 32) - 1 or address == _LOCALHOST_V4
    return address in (1, (1 << 128) - 1)


def _check_pace(view: View, served: dict[str, Any] | None, netuid: int) -> None:
    last, limit = served["block"] if served else 0, view.get("ServingRateLimit", netuid)
    if limit and last and view.block - last < limit:
        raise view.error("ServingRateLimitExceeded")


def _check_port(view: View, endpoint: dict[str, Any]) -> None:
    if not endpoint["port"]:
        raise view.error("InvalidPort")
