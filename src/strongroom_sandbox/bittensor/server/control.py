"""The sandbox's own routes: blocks on command, forks, faults, a faucet, and changes of the state."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, delete, get, post
from msgspec import UNSET, Struct, UnsetType

from strongroom.core.json_decoder import decode_json
from strongroom_sandbox.bittensor import changes
from strongroom_sandbox.bittensor.chain.keys import read_account
from strongroom_sandbox.bittensor.codec.runtime import SPECS, Runtime, shipped_runtime
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import Context
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.node.faults import Count, FaultRequest
from strongroom_sandbox.bittensor.node.node import Node, status_of
from strongroom_sandbox.bittensor.pallets.shared.neurons import mechanism_index
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.pallets.weights import timelocked
from strongroom_sandbox.bittensor.server.connections import Connections
from strongroom_sandbox.bittensor.server.rpc import write_hex

AnyRequest = Request[Any, Any, Any]


class Fork(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Retracts the last `retract` blocks and builds `build` (one more) others.

    What was in them returns to the pool; the first `empty` of the new blocks leave it there.
    """

    retract: Count
    build: Count | None = None
    empty: Count = 0


class ChainRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /_chain`; a field that is absent changes nothing. The changes are made in the order of the fields."""

    interval_ms: Count | UnsetType | None = UNSET
    stalled: bool | UnsetType = UNSET
    finality_lag: Count | UnsetType = UNSET
    finality_stalled: bool | UnsetType = UNSET
    upgrade: Count | None = None
    """The new spec_version: one whose metadata the package contains, or any other for the same runtime under that number."""
    fork: Fork | None = None
    drop_pool: bool = False
    blocks: Count = 0
    """Blocks to make now."""
    empty: bool = False
    """Whether these blocks include nothing from the pool."""


class FaucetRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: str
    amount: Count


class SubnetRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`settings` are items of SubtensorModule with one key, such as `{"Tempo": 10, "WeightsSetRateLimit": 0}`.

    With `netuid` they are set on that subnet; without it a new one is registered.
    """

    netuid: Count | None = None
    coldkey: str = "//Alice"
    hotkey: str = "//Alice//hk0"
    settings: dict[str, Any] = {}


class NeuronRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    netuid: Count
    hotkey: str
    coldkey: str
    stake: Count = 0
    permit: bool | None = None


class RevealRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The weights that a hotkey's last timelocked commit hides. A test gives them, because drand does not run here."""

    netuid: Count
    hotkey: str
    uids: list[Count]
    values: list[Count]
    version_key: Count = 0
    mechid: Count = 0


class StorageRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sets a storage item. Accounts are addresses or development URIs, other bytes `0x...`; without a value the item is removed."""

    pallet: str
    item: str
    keys: list[Any] = []
    value: Any = None


def control_routes(node: Node, connections: Connections) -> list[Any]:
    return [
        *_fault_routes(node, connections),
        *_chain_routes(node),
        _route("/_faucet", FaucetRequest, lambda body: _faucet(node, body)),
        _route("/_subnet", SubnetRequest, lambda body: _subnet(node, body)),
        _route("/_neuron", NeuronRequest, lambda body: _neuron(node, body)),
        _route("/_reveal", RevealRequest, lambda body: _reveal(node, body)),
        _route("/_storage", StorageRequest, lambda body: _storage(node, body)),
    ]


def _fault_routes(node: Node, connections: Connections) -> list[Any]:
    def set_faults(body: FaultRequest) -> Any:
        node.faults.set(body)
        if body.drop_connections or body.down_ms:
            connections.drop(body.down_ms)
        return node.faults

    @get("/_fault")
    async def show() -> Response[bytes]:
        return _json(node.faults)

    @delete("/_fault", status_code=200)
    async def clear() -> Response[bytes]:
        node.faults.clear()
        return _json(node.faults)

    return [_route("/_fault", FaultRequest, set_faults), show, clear]


def _chain_routes(node: Node) -> list[Any]:
    @get("/_chain")
    async def show() -> Response[bytes]:
        return _json(status_of(node))

    return [_route("/_chain", ChainRequest, lambda body: _command(node, body)), show]


def _command(node: Node, body: ChainRequest) -> dict[str, Any]:
    for name in ("interval_ms", "stalled", "finality_lag", "finality_stalled"):
        if (value := getattr(body, name)) is not UNSET:
            setattr(node.production, name, value)
    made = []
    if body.upgrade is not None:
        made.append(node.produce(upgrade=_runtime(node, body.upgrade)))
    if body.fork is not None:
        build = body.fork.retract + 1 if body.fork.build is None else body.fork.build
        made += node.fork(body.fork.retract, build, empty=body.fork.empty)
    if body.drop_pool:
        node.drop_pool()
    made += [node.produce(empty=body.empty) for _ in range(body.blocks)]
    node.catch_up()
    return status_of(node) | {"made": [write_hex(block.hash) for block in made]}


def _runtime(node: Node, spec_version: int) -> Runtime:
    if spec_version in SPECS:
        return shipped_runtime(spec_version)
    return node.chain.runtime.with_spec_version(spec_version)


def _faucet(node: Node, body: FaucetRequest) -> dict[str, Any]:
    account = read_account(body.address)
    block = node.produce(changes.fund(account, body.amount))
    return {"block": write_hex(block.hash), "free": accounts.free(node.chain.storage, account)}


def _subnet(node: Node, body: SubnetRequest) -> dict[str, Any]:
    settings = {item: _value(value) for item, value in body.settings.items()}
    if body.netuid is None:
        create = changes.create_subnet(read_account(body.coldkey), read_account(body.hotkey), settings)
        return {"netuid": _produced(node, create)}

    def change(ctx: Context) -> None:
        for item, value in settings.items():
            ctx.put(changes.SUBTENSOR, item, body.netuid, value=value)

    node.produce(change)
    return {"netuid": body.netuid}


def _neuron(node: Node, body: NeuronRequest) -> dict[str, Any]:
    neuron = changes.Neuron(
        netuid=body.netuid,
        hotkey=read_account(body.hotkey),
        coldkey=read_account(body.coldkey),
        stake=body.stake,
        permit=body.permit,
    )
    return {"uid": _produced(node, changes.add_neuron(neuron))}


def _reveal(node: Node, body: RevealRequest) -> dict[str, Any]:
    view = View(node.chain.storage)
    index = mechanism_index(body.netuid, body.mechid)
    ciphertext = timelocked.last_ciphertext(view, index, read_account(body.hotkey))
    if ciphertext is None:
        raise ValueError(f"{body.hotkey} has no timelocked commit on netuid {body.netuid}")
    plain = timelocked.Plain(uids=body.uids, values=body.values, version_key=body.version_key)
    timelocked.REVEALS.add(ciphertext, plain)
    return {"ciphertext": write_hex(ciphertext)}


def _storage(node: Node, body: StorageRequest) -> dict[str, Any]:
    keys = [_value(key) for key in body.keys]
    block = node.produce(changes.put(body.pallet, body.item, keys, _value(body.value)))
    return {"block": write_hex(block.hash)}


def _produced(node: Node, change: Callable[[Context], Any]) -> Any:
    results: list[Any] = []
    node.produce(lambda ctx: results.append(change(ctx)))
    return results[0]


def _value(value: Any) -> Any:
    """Returns a JSON value as the codec takes it."""
    if isinstance(value, list):
        return [_value(member) for member in value]
    if isinstance(value, dict):
        return {name: _value(member) for name, member in value.items()}
    if isinstance(value, str) and value.startswith("0x"):
        return bytes.fromhex(value[2:])
    if isinstance(value, str):
        try:
            return read_account(value)
        except ValueError:
            return value
    return value


def _route(path: str, kind: type[Any], act: Callable[[Any], Any]) -> Any:
    """Makes a route that answers a caller's mistake with 400 and the reason."""

    @post(path, status_code=200, name=path)
    async def handle(request: AnyRequest) -> Response[bytes]:
        try:
            return _json(act(decode_json(await request.body() or b"{}", kind)))
        except (msgspec.MsgspecError, ValueError, DispatchError) as error:
            return _json({"error": str(error)}, 400)

    return handle


def _json(body: Any, status_code: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status_code, media_type=MediaType.JSON)
