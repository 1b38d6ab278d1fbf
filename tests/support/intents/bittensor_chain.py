"""The sandbox's Bittensor chain in the world of intents: its blocks come with the world's time, and nodes speak without a socket."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final

import msgspec

from strongroom.bittensor.gateway.connection import Lost, NotSent, RpcError
from strongroom.bittensor.protocol.extrinsics import blake2_256
from strongroom_sandbox.bittensor.chain.genesis import Genesis
from strongroom_sandbox.bittensor.codec.runtime import Call, Runtime, shipped_runtime
from strongroom_sandbox.bittensor.execution.extrinsics import Extrinsic, read_extrinsic
from strongroom_sandbox.bittensor.execution.failures import PoolRefusal
from strongroom_sandbox.bittensor.node.node import Node, Production
from strongroom_sandbox.bittensor.node.pool import DROPPED, BannedError, KnownError, LowPriorityError
from strongroom_sandbox.bittensor.server import methods
from strongroom_sandbox.bittensor.server.rpc import Session
from support.bittensor.signing import signed
from support.clock import ManualClock, SeededEntropy
from support.intents.world import Fault, Side

REGISTERED = (methods,)
"""Imported for what they register."""
SPEC: Final = 293
SPECS: Final = (SPEC, SPEC + 1, SPEC + 2)
"""The runtimes that a chain may have, one after the other."""
BLOCK_MS: Final = 4_000
FINALITY_LAG: Final = 2
STALL: Final = 30
"""For so many blocks finality stands still."""
SUBMIT: Final = "author_submitExtrinsic"
BANNED: Final = {"code": 1012, "message": "Transaction is temporarily banned"}
REFUSED: Final = {"code": 1010, "message": "Invalid Transaction", "data": "Custom error: 6"}


class BittensorChain:
    """The truth, and who may have which bytes."""

    def __init__(self) -> None:
        self._clock: ManualClock | None = None
        self._start_ms = 0
        chain = Genesis(spec_version=SPEC).chain()
        self.node = Node(chain, ManualClock(), Production(interval_ms=None, finality_lag=FINALITY_LAG))
        self.offered: list[bytes] = []
        """Hashes of all that may have reached a node."""
        self.wrong: list[str] = []
        """What may never be and was."""
        self._lent: dict[bytes, bytes] = {}
        """What a client submits itself, or keeps: bytes by hash."""
        self._taken: dict[bytes, Extrinsic] = {}
        """What somebody outside has, or had."""
        self._of_nonce: defaultdict[tuple[bytes, int], set[bytes]] = defaultdict(set)
        self._stalled_until = 0

    def begin(self, clock: ManualClock) -> None:
        if self._clock is None:
            self._clock = self.node.clock = clock
            self._start_ms = clock.now_ms()

    def catch_up(self) -> None:
        """Makes the blocks that are due."""
        assert self._clock is not None
        due = 1 + (self._clock.now_ms() - self._start_ms) // BLOCK_MS
        while self.node.chain.head.number < due:
            self.node.production.finality_stalled = self.node.chain.head.number < self._stalled_until
            self.node.produce()

    def take(self, raw: bytes) -> None:
        """Somebody outside has it now."""
        extrinsic = self.read(raw)
        self._taken[extrinsic.hash] = extrinsic
        same = self._of_nonce[extrinsic.signer, extrinsic.nonce]
        if any(other != extrinsic.hash and self.may_still_be(other) for other in same):
            self.wrong.append(f"two payloads of nonce {extrinsic.nonce} may both be included")
        same.add(extrinsic.hash)

    def lend(self, raw: bytes) -> None:
        """A client has it, and may submit it at any time, or never."""
        self._lent[blake2_256(raw)] = raw
        self.take(raw)

    def submit_lent(self) -> None:
        """Clients submit what they have, to nodes of their own."""
        for raw in self._lent.values():
            with suppress(PoolRefusal, BannedError, KnownError, LowPriorityError):
                self.node.submit(raw)

    def note_offer(self, extrinsic_hash: bytes) -> None:
        """The service offers it to a node."""
        self.offered.append(extrinsic_hash)
        if extrinsic_hash in self._lent and not any(
            extrinsic_hash == blake2_256(raw)
            for block in self.node.chain.blocks.values()
            for raw in block.extrinsics
        ):
            self.wrong.append("the service offered what only its client may submit")

    def may_still_be(self, extrinsic_hash: bytes) -> bool:
        """Whether somebody may have it, and the chain would take it in a block to come."""
        extrinsic = self._taken.get(extrinsic_hash)
        if extrinsic is None:
            return False
        try:
            self.node.validity(extrinsic)
        except PoolRefusal:
            return False
        return True

    def read(self, raw: bytes) -> Extrinsic:
        return read_extrinsic(raw, self.node.chain.runtime)

    def included(self) -> dict[bytes, tuple[bytes, Extrinsic]]:
        """Block and extrinsic on the best chain, by the extrinsic's hash."""
        return {
            blake2_256(raw): (block.hash, self.read(raw))
            for block in self.node.chain.best
            for raw in block.extrinsics[1:]
        }

    def take_next_nonce(self, uri: str, public_key: bytes) -> None:
        """The same key elsewhere is quicker with the account's next nonce."""
        nonce = self.node.nonce(public_key)
        for entry in list(self.node.pool.waiting.values()):
            if (entry.extrinsic.signer, entry.extrinsic.nonce) == (public_key, nonce):
                self.node.pool.remove(entry, DROPPED)
        call = Call("System", "remark", {"remark": b"rival"})
        self.node.submit(signed(self.node, uri, call, nonce=nonce, period=64))
        self.node.produce()

    def fork(self) -> None:
        """The blocks that are not final vanish; what was in them waits again."""
        count = self.node.chain.head.number - self.node.chain.finalized
        if count:
            self.node.fork(count, count + 1, empty=count + 1)

    def forget_pool(self) -> None:
        self.node.drop_pool()

    def upgrade(self) -> None:
        following = [spec for spec in SPECS if spec > self.node.chain.runtime.spec_version]
        if following:
            self.node.produce(empty=True, upgrade=runtime_of(following[0]))

    def stall_finality(self) -> None:
        self._stalled_until = self.node.chain.head.number + STALL


class SidedConnection:
    """What a replica's `NodeChain` takes for its connection: the node's own JSON-RPC, which goes wrong as the side says."""

    def __init__(self, side: Side, chain: BittensorChain) -> None:
        self._side = side
        self._chain = chain
        self._frames: list[bytes] = []
        self._session = Session(chain.node, SeededEntropy(), self._frames.append)

    async def call(self, method: str, parameters: Sequence[Any] = (), *, timeout_s: float = 0.0) -> Any:
        del timeout_s
        if method == SUBMIT:
            return await self._submit(str(parameters[0]))
        await self._side.step()
        fault = self._fault_of_question(method, parameters)
        if fault == "no connection":
            raise NotSent("The node cannot be reached")
        result = self._answer(method, parameters)
        if fault == "lie":
            result = self._lie(method, result)
        await self._side.step()
        return result

    async def close(self) -> None:
        self._session.close()

    async def _submit(self, text: str) -> Any:
        fault = await self._side.arrive()
        if fault == "no connection":
            raise NotSent("The node cannot be reached")
        raw = bytes.fromhex(text.removeprefix("0x"))
        is_again = blake2_256(raw) in self._chain.offered
        self._chain.note_offer(blake2_256(raw))
        if fault == "lost request":
            raise Lost("The node does not answer")
        result: Any = None
        refusal: RpcError | None = None
        try:
            result = self._answer(SUBMIT, [text])
        except RpcError as error:
            refusal = error
        else:
            self._chain.take(raw)
        await self._side.step()
        if fault == "lost answer":
            raise Lost("The node fell silent")
        if fault == "lie":
            # Only what it says of a later offer may be untrue: the first pool's clear refusal is believed.
            raise RpcError(SUBMIT, REFUSED if is_again else BANNED)
        if refusal is not None:
            raise refusal
        return result

    def _fault_of_question(self, method: str, parameters: Sequence[Any]) -> Fault | None:
        """Lost requests and answers, and the last broken connection, are left for a submission."""
        faults = self._side.faults
        is_for_this = (faults and faults[0] == "lie" and _can_lie(method, parameters)) or (
            len(faults) > 1 and faults[0] == "no connection"
        )
        return faults.popleft() if is_for_this else None

    def _lie(self, method: str, truth: Any) -> Any:
        """As a node speaks that is behind, or has lost a block."""
        chain = self._chain.node.chain
        match method:
            case "system_accountNextIndex":
                return max(0, truth - 1)
            case "chain_getFinalizedHead":
                return _hex(chain.best.known(max(0, chain.finalized - 3)).hash)
            case "chain_getBlockHash":
                return _hex(chain.best.known(max(0, chain.head.number - 2)).hash)
        return None

    def _answer(self, method: str, parameters: Sequence[Any]) -> Any:
        self._chain.catch_up()
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        self._session.answer(msgspec.json.encode(request))
        answer = msgspec.json.decode(self._frames.pop())
        if "error" in answer:
            raise RpcError(method, answer["error"])
        return answer["result"]


@cache
def runtime_of(spec_version: int) -> Runtime:
    runtime = shipped_runtime(SPEC)
    return runtime if spec_version == SPEC else runtime.with_spec_version(spec_version)


def _can_lie(method: str, parameters: Sequence[Any]) -> bool:
    if method == "chain_getBlockHash":
        return not parameters
    return method in {"system_accountNextIndex", "chain_getFinalizedHead", "chain_getBlock"}


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
