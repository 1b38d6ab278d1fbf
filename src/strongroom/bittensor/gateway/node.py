"""The chain through the JSON-RPC of a subtensor node (methods and shapes: polkadot-sdk `rpc-api`)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from strongroom.bittensor.gateway import (
    Block,
    ChainUnavailable,
    Event,
    Head,
    Heads,
    InvalidNodeResponse,
    Item,
    PoolRefused,
    StateDiscarded,
    SubmissionUnknown,
)
from strongroom.bittensor.gateway.connection import LONG_CALL_S, Call, Connection, Lost, RpcError
from strongroom.bittensor.gateway.runtime import EVENTS, MetadataRuntime, read_option
from strongroom.bittensor.protocol.extrinsics import HASH_BYTES, blake2_256
from strongroom.bittensor.protocol.failures import pool_refusal
from strongroom.core.clock import Clock, Entropy

T = TypeVar("T")

HEADS_AGE_S = 0.0
VERSION_AGE_S = 5.0
SUBMIT_S = 15.0
RUNTIMES_KEPT = 4
NUMBERS_KEPT = 64
METADATA_VERSION = "0x0f000000"
DISCARDED = ("discarded", "pruned")


class NodeChain:
    """The real client. `check_genesis` runs on every new connection; it raises WrongChain if this is another chain."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        check_genesis: Callable[[bytes], Awaitable[None]],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._check_genesis = check_genesis
        self._genesis = b""
        self._connection = Connection(endpoints, self._greet, clock=clock, entropy=entropy)
        self._runtimes: dict[int, MetadataRuntime] = {}
        self._numbers: dict[bytes, int] = {}
        """The numbers of the latest heads, by hash."""
        self._loading = asyncio.Lock()
        self._version = Recent(clock, VERSION_AGE_S, self._current_runtime)
        self._heads = Recent(clock, HEADS_AGE_S, self._read_heads)

    async def runtime(self, *, fresh: bool = False, after: bytes | None = None) -> MetadataRuntime:
        if after is not None:
            return await self._runtime_at(after)
        return await self._version.get(fresh=fresh)

    async def heads(self) -> Heads:
        return await self._heads.get(fresh=True)

    async def block(self, block_hash: bytes) -> Block:
        found = await self._call("chain_getBlock", _hex(block_hash))
        if found is None:
            raise ChainUnavailable("The node does not have this block")
        try:
            block = found["block"]
            return Block(
                number=int(block["header"]["number"], 16),
                hash=block_hash,
                parent=_hash(block["header"]["parentHash"]),
                extrinsics=tuple(blake2_256(_bytes(one)) for one in block["extrinsics"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidNodeResponse("The node's block is none") from error

    async def block_hash(self, number: int) -> bytes | None:
        found = await self._call("chain_getBlockHash", number)
        return None if found is None else _hash(found)

    async def events(self, block: Block) -> list[Event]:
        runtime = await self._runtime_at(block.parent)
        key = _hex(runtime.storage_key(EVENTS))
        raw = await self._call_state("state_getStorage", key, _hex(block.hash))
        return runtime.decode_events(None if raw is None else _bytes(raw))

    async def read(self, items: Sequence[Item], block_hash: bytes) -> list[Any]:
        runtime = await self.runtime()
        keys = {
            item: _hex(runtime.storage_key(item))
            for item in items
            if runtime.has_item(item.pallet, item.name)
        }
        found = await self._call("state_queryStorageAt", list(keys.values()), _hex(block_hash))
        try:
            values = {key: value for change in found for key, value in change["changes"]}
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidNodeResponse("The node's storage values are none") from error

        def value(item: Item) -> Any:
            raw = values.get(keys[item])
            return runtime.decode_value(item, None if raw is None else _bytes(raw))

        return [value(item) if item in keys else None for item in items]

    async def next_nonce(self, address: str) -> int:
        nonce = await self._call("system_accountNextIndex", address)
        if not isinstance(nonce, int) or nonce < 0:
            raise InvalidNodeResponse("The node's nonce is none")
        return nonce

    async def submit(self, extrinsic: bytes) -> None:
        try:
            found = await self._connection.call(
                "author_submitExtrinsic", [_hex(extrinsic)], timeout_s=SUBMIT_S
            )
        except Lost as error:
            raise SubmissionUnknown("The node did not say whether it took the extrinsic") from error
        except RpcError as error:
            refusal = pool_refusal(error.rpc_code, error.rpc_message, error.rpc_data)
            if refusal is None:
                raise SubmissionUnknown(
                    f"The node answered {error.rpc_code} to the extrinsic: its outcome is open"
                ) from error
            raise PoolRefused(refusal) from error
        if found != _hex(blake2_256(extrinsic)):
            raise SubmissionUnknown("The node answered with the hash of another extrinsic")

    async def close(self) -> None:
        await self._connection.close()

    async def _greet(self, call: Call) -> None:
        await _ensure_synced(call)
        genesis = _hash(await call("chain_getBlockHash", [0]))
        await self._check_genesis(genesis)
        self._genesis = genesis
        self._version.forget()
        self._heads.forget()

    async def _call(self, method: str, *parameters: Any) -> Any:
        return await self._connection.call(method, parameters)

    async def _call_state(self, method: str, *parameters: Any) -> Any:
        """Calls a method that needs the state of a block. The runtime is part of the state.

        Raises:
            StateDiscarded, and as `_call`.
        """
        try:
            return await self._call(method, *parameters)
        except RpcError as error:
            if any(word in error.rpc_message.lower() for word in DISCARDED):
                raise StateDiscarded("The node no longer has the state of this block") from error
            raise

    async def _read_heads(self) -> Heads:
        final_hash, best_hash = await asyncio.gather(
            self._call("chain_getFinalizedHead"), self._call("chain_getBlockHash")
        )
        final, best = await asyncio.gather(self._head(_hash(final_hash)), self._head(_hash(best_hash)))
        if best.number < final.number:
            raise InvalidNodeResponse("The node's best block is older than its final one")
        return Heads(best=best, final=final)

    async def _head(self, block_hash: bytes) -> Head:
        number = self._numbers.get(block_hash)
        if number is None:
            header = await self._call("chain_getHeader", _hex(block_hash))
            try:
                number = int(header["number"], 16)
            except (KeyError, TypeError, ValueError) as error:
                raise InvalidNodeResponse("The node's header is none") from error
            if len(self._numbers) >= NUMBERS_KEPT:
                self._numbers.clear()
            self._numbers[block_hash] = number
        return Head(number, block_hash)

    async def _current_runtime(self) -> MetadataRuntime:
        return await self._runtime_at(_hash(await self._call("chain_getBlockHash")))

    async def _runtime_at(self, block_hash: bytes) -> MetadataRuntime:
        """Returns the runtime of the block after this one."""
        version = await self._call_state("state_getRuntimeVersion", _hex(block_hash))
        try:
            spec, transaction = int(version["specVersion"]), int(version["transactionVersion"])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidNodeResponse("The node's runtime version is none") from error
        async with self._loading:
            known = self._runtimes.get(spec)
            if known is None or known.genesis_hash != self._genesis:
                known = await self._load(spec, transaction, block_hash)
                self._runtimes[spec] = known
                while len(self._runtimes) > RUNTIMES_KEPT:
                    self._runtimes.pop(next(iter(self._runtimes)))
            return known

    async def _load(self, spec: int, transaction: int, block_hash: bytes) -> MetadataRuntime:
        metadata = await self._metadata(_hex(block_hash))
        return await asyncio.to_thread(
            MetadataRuntime,
            metadata,
            spec_version=spec,
            transaction_version=transaction,
            genesis_hash=self._genesis,
        )

    async def _metadata(self, at: str) -> bytes:
        call = self._connection.call
        parameters = ["Metadata_metadata_at_version", METADATA_VERSION, at]
        try:
            found = read_option(_bytes(await call("state_call", parameters, timeout_s=LONG_CALL_S)))
        except RpcError:
            found = None
        if found is None:
            found = _bytes(await call("state_getMetadata", [at], timeout_s=LONG_CALL_S))
        return found


async def _ensure_synced(call: Call) -> None:
    """Refuses a node that still fetches blocks: it knows old nonces and old weights.

    Raises:
        ChainUnavailable: the node says so of itself.
    """
    try:
        health = await call("system_health", [])
    except RpcError:
        return  # some gateways in front of nodes do not pass this method on
    if isinstance(health, dict) and health.get("isSyncing") is True:
        raise ChainUnavailable("The node is still fetching the chain's blocks")


class Recent(Generic[T]):
    """Caches a value for a moment. Callers that ask at the same time share one fetch."""

    def __init__(self, clock: Clock, age_s: float, fetch: Callable[[], Awaitable[T]]) -> None:
        self._clock = clock
        self._age_s = age_s
        self._fetch = fetch
        self._value: T | None = None
        self._until_s: float | None = None
        self._lock = asyncio.Lock()

    async def get(self, *, fresh: bool = False) -> T:
        asked_s = self._clock.monotonic_s()
        async with self._lock:
            until_s = self._until_s
            if self._value is not None and until_s is not None:
                is_newer = until_s - self._age_s > asked_s
                if is_newer if fresh else asked_s <= until_s:
                    return self._value
            started_s = self._clock.monotonic_s()
            value = self._value = await self._fetch()
            self._until_s = started_s + self._age_s
            return value

    def forget(self) -> None:
        self._until_s = None


def _hex(raw: bytes) -> str:
    return f"0x{raw.hex()}"


def _bytes(text: Any) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except (AttributeError, ValueError, TypeError) as error:
        raise InvalidNodeResponse("The node sent what is no hex") from error


def _hash(text: Any) -> bytes:
    raw = _bytes(text)
    if len(raw) != HASH_BYTES:
        raise InvalidNodeResponse("The node sent what is no hash")
    return raw
