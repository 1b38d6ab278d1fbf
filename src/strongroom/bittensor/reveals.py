"""Reveals weights that were committed, in the blocks in which the chain takes them."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from strongroom.bittensor.extrinsics import Extrinsic, State, load
from strongroom.bittensor.gateway import Chain, Item, Runtime
from strongroom.bittensor.jobs import Job, close_job, document, put_job
from strongroom.bittensor.keyring import Keyring
from strongroom.bittensor.protocol import calls
from strongroom.bittensor.protocol.calls import SUBTENSOR, Call
from strongroom.bittensor.protocol.failures import Failure
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.weights import mechanism_index
from strongroom.bittensor.submission import Order, Submitter
from strongroom.bittensor.weights import signer_of, weights_of
from strongroom.core.access import Principal
from strongroom.core.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The blocks in which a commit may be revealed, as the chain stored them with it."""

    first: int
    last: int


class Reveals:
    def __init__(self, *, chain: Chain, database: Database, keyring: Keyring, submitter: Submitter) -> None:
        self._chain = chain
        self._database = database
        self._keyring = keyring
        self._submitter = submitter

    async def carry_out(self, principal: Principal, job: Job) -> None:
        """Reveals if it is time; closes the job when there is nothing to reveal, or no longer.

        Raises:
            Unavailable: the chain does not answer; the job still waits.
            OutcomeUnknown: the reveal was signed, and is followed.
        """
        committed = await self._database.read(
            lambda connection: load(connection, bytes.fromhex(job.document["committed_in"]))
        )
        if committed is None or not committed.state.is_settled:
            return
        if (
            committed.state is not State.FINAL
            or committed.inclusion is None
            or not committed.inclusion.success
        ):
            await self._close(job, "NotCommitted", "The commit was not made: there is nothing to reveal")
            return
        keypair = await self._keyring.open(signer_of(job).key)
        runtime, heads = await self._chain.runtime(), await self._chain.heads()
        index = mechanism_index(job.document["netuid"], job.document["mechid"])
        item = Item(SUBTENSOR, "WeightCommits", (index, keypair.public_key))
        (commits,) = await self._chain.read([item], heads.best.hash)
        window = find_window(commits, bytes.fromhex(job.document["commit"]))
        if window is None or heads.best.number >= window.last:
            await self._close(
                job, "RevealMissed", "The chain no longer holds the commit, or its time is over"
            )
        elif heads.best.number + 1 >= window.first:
            await self._submitter.submit(self._order(principal, job, keypair, reveal_call(runtime, job)))

    @staticmethod
    def _order(principal: Principal, job: Job, keypair: Keypair, call: Call) -> Order:
        def store(connection: Connection, extrinsic: Extrinsic) -> None:
            put_job(connection, replace(job, extrinsic=extrinsic.hash))

        return Order(
            principal=principal,
            signer=signer_of(job),
            key=keypair,
            call=call,
            job=job.id,
            netuid=job.document["netuid"],
            check=lambda _connection: None,
            store=store,
            facts={"commit": job.document["commit"]},
        )

    async def _close(self, job: Job, name: str, docs: str) -> None:
        failure = Failure(type="Service", name=name, docs=docs)
        closed = document(job, success=False, failure=failure)
        await self._database.write(lambda connection: close_job(connection, job.id, closed))


def reveal_call(runtime: Runtime, job: Job) -> Call:
    facts, weights = job.document, weights_of(job)
    if runtime.has(SUBTENSOR, "reveal_mechanism_weights"):
        return calls.reveal_mechanism_weights(facts["netuid"], facts["mechid"], weights, facts["salt"])
    return calls.reveal_weights(facts["netuid"], weights, facts["salt"])


def find_window(commits: Any, digest: bytes) -> Window | None:
    """Of the commit with this hash, in a decoded `WeightCommits`: (hash, block, first, last) each."""
    for commit_hash, _block, first, last in commits or ():
        if commit_hash == f"0x{digest.hex()}":
            return Window(first=first, last=last)
    return None
