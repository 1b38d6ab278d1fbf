"""A tx-mining-service: it does the proof of work of the transactions that wallets send to it."""

import asyncio
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.params import QueryParameter

from strongroom.core.json_decoder import decode_json
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.transactions import Transaction, parse_transaction
from strongroom.hathor.protocol.work import mine
from strongroom_sandbox.hathor.node import Node

AnyRequest = Request[Any, Any, Any]
PREFIX = "/tx-mining"
HEAVIEST = 24.0
"""Sixteen million tries: some seconds."""
KEPT_JOBS = 1_000


class SubmitBody(msgspec.Struct, frozen=True):
    tx: str
    propagate: bool = False
    add_parents: bool = False


class CancelBody(msgspec.Struct, frozen=True):
    job_id: str = msgspec.field(name="job-id")


@dataclass(slots=True)
class Job:
    id: str
    propagate: bool
    work: "asyncio.Task[Transaction]"

    def encode(self) -> dict[str, Any]:
        document: dict[str, Any] = {"success": True, "job_id": self.id, "expected_total_time": 0}
        if not self.work.done():
            return document | {"status": "mining"}
        if self.work.cancelled():
            return document | {"status": "cancelled"}
        if (error := self.work.exception()) is not None:
            return document | {"status": "failed", "message": str(error)}
        mined = self.work.result()
        return document | {
            "status": "done",
            "tx": {
                "nonce": f"{mined.nonce:08x}",
                "parents": [parent.hex() for parent in mined.parents],
                "timestamp": mined.timestamp_s,
                "weight": mined.weight,
            },
        }


class Miner:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._jobs: dict[str, Job] = {}
        self._count = 0

    def submit(self, body: SubmitBody) -> Job:
        """Begins a job.

        Raises:
            ProtocolError, ValueError: it is no transaction, or too heavy.
        """
        transaction = parse_transaction(bytes.fromhex(body.tx))
        if transaction.weight > HEAVIEST:
            raise ProtocolError(f"Weight {transaction.weight} is more than {HEAVIEST}")
        if body.add_parents:
            transaction = replace(
                transaction, parents=tuple(map(bytes.fromhex, self._node.parents())), nonce=0
            )
        transaction = replace(transaction, timestamp_s=self._time_of(transaction))
        self._count += 1
        work = asyncio.ensure_future(self._mine(transaction, propagate=body.propagate))
        job = self._jobs[f"job-{self._count}"] = Job(
            id=f"job-{self._count}", propagate=body.propagate, work=work
        )
        if len(self._jobs) > KEPT_JOBS:
            self._jobs.pop(next(iter(self._jobs)))
        return job

    def find(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    async def _mine(self, transaction: Transaction, *, propagate: bool) -> Transaction:
        mined = await asyncio.to_thread(mine, transaction)
        if propagate:
            self._node.push(mined.encode())
        return mined

    def _time_of(self, transaction: Transaction) -> int:
        """The present, or later: a node accepts a transaction only if it is newer than everything that it refers to."""
        vertices = self._node.chain.vertices
        named = [*transaction.parents, *(spent.tx_id for spent in transaction.inputs)]
        newest = max((vertices[tx.hex()].timestamp_s for tx in named if tx.hex() in vertices), default=0)
        return max(self._node.now_s(), newest + 1)


def mining_routes(miner: Miner) -> list[Any]:
    """The routes for wallets, below `/tx-mining/` at the node's URL."""

    @post(f"{PREFIX}/submit-job", status_code=200)
    async def submit(request: AnyRequest) -> Response[bytes]:
        try:
            job = miner.submit(decode_json(await request.body(), SubmitBody))
        except (ProtocolError, ValueError) as error:
            return _json({"error": "invalid-tx", "message": str(error)}, 400)
        return _json(job.encode())

    @get(f"{PREFIX}/job-status")
    async def status(job_id: Annotated[str, QueryParameter(name="job-id")]) -> Response[bytes]:
        return _told(miner.find(job_id))

    @post(f"{PREFIX}/cancel-job", status_code=200)
    async def cancel(request: AnyRequest) -> Response[bytes]:
        try:
            job = miner.find(decode_json(await request.body(), CancelBody).job_id)
        except msgspec.DecodeError as error:
            return _json({"error": "invalid-body", "message": str(error)}, 400)
        if job is not None:
            job.work.cancel()
        return _told(job)

    @get(f"{PREFIX}/health")
    async def health() -> Response[bytes]:
        return _json({"status": "pass"})

    return [submit, status, cancel, health]


def _told(job: Job | None) -> Response[bytes]:
    return _json({"error": "job-not-found"}, 404) if job is None else _json(job.encode())


def _json(body: Any, status_code: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status_code, media_type=MediaType.JSON)
