"""Reveals committed weights, in the blocks in which the chain takes the reveal."""

import enum
from functools import partial
from typing import Any

from strongroom.bittensor.authorization.key_use import call_use
from strongroom.bittensor.authorization.limits import SUBMIT
from strongroom.bittensor.extrinsics.drafting import ExtrinsicRequest
from strongroom.bittensor.extrinsics.store import load
from strongroom.bittensor.extrinsics.submitter import Submitter
from strongroom.bittensor.gateway import Chain, Item, Runtime
from strongroom.bittensor.jobs.job import Job
from strongroom.bittensor.jobs.parked import ParkedJob, deferral_of
from strongroom.bittensor.jobs.store import close_waiting, require_waiting, stored_with
from strongroom.bittensor.keystore.keyring import Keyring
from strongroom.bittensor.keystore.names import HotkeyNames
from strongroom.bittensor.protocol import calls
from strongroom.bittensor.protocol.calls import SUBTENSOR, Call
from strongroom.bittensor.protocol.failures import Failure
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.weights.request import signer_of, weights_of
from strongroom.bittensor.weights.subnet import Subnet, Subnets
from strongroom.core.security.access import Principal
from strongroom.core.storage.database import Database


class Time(enum.Enum):
    """Where the next block lies in the time in which a commit may be revealed."""

    EARLY = "early"
    NOW = "now"
    OVER = "over"


class Reveals:
    def __init__(
        self, *, chain: Chain, subnets: Subnets, database: Database, keyring: Keyring, submitter: Submitter
    ) -> None:
        self._chain = chain
        self._subnets = subnets
        self._database = database
        self._keyring = keyring
        self._submitter = submitter

    async def carry_out(self, principal: Principal, job: Job) -> bool:
        """Reveals if it is time; closes the job when there is nothing to reveal, or no longer.

        Returns whether something was signed.

        Raises:
            JobExists: it no longer waits.
            Unavailable: the chain does not answer; the job still waits.
            OutcomeUnknown: the reveal was signed, and is followed.
        """
        committed = await self._database.read(
            lambda connection: load(connection, bytes.fromhex(job.document["committed_in"]))
        )
        if committed is None or not committed.state.is_resolved:
            return False
        if committed.inclusion is None or committed.inclusion.success is False:
            await self._close(job, "NotCommitted", "The commit was not made: there is nothing to reveal")
            return False
        keypair = await self._keyring.open(signer_of(job).key)
        subnet = await self._subnets.look(job.document["netuid"], job.document["mechid"], keypair.public_key)
        item = Item(SUBTENSOR, "WeightCommits", (subnet.index, keypair.public_key))
        heads = await self._chain.heads()
        (commits,) = await self._chain.read([item], heads.best.hash)
        match time_to_reveal(subnet, commits, bytes.fromhex(job.document["commit"])):
            case Time.EARLY:
                return False
            case Time.OVER:
                await self._close(
                    job, "RevealMissed", "The chain no longer holds the commit, or its time is over"
                )
                return False
        await self._submitter.submit(self._request(principal, job, keypair, reveal_call(subnet.runtime, job)))
        return True

    def _request(self, principal: Principal, job: Job, keypair: Keypair, call: Call) -> ExtrinsicRequest:
        signer = signer_of(job)
        names = HotkeyNames(names={keypair.address: signer.hotkey})
        return ExtrinsicRequest(
            use=call_use(principal, SUBMIT, signer, call, names=names),
            key=keypair,
            call=call,
            job=job.id,
            check=lambda connection: require_waiting(connection, job),
            store=stored_with(job, self._submitter.withdrawals),
            facts={"commit": job.document["commit"]},
            deferral=deferral_of(job, ParkedJob(job=job.id)),
        )

    async def _close(self, job: Job, name: str, docs: str) -> None:
        failure = Failure(type="Service", name=name, docs=docs)
        withdrawals = self._submitter.withdrawals
        await self._database.write(partial(close_waiting, job=job, failure=failure, withdrawals=withdrawals))


def reveal_call(runtime: Runtime, job: Job) -> Call:
    facts, weights = job.document, weights_of(job)
    if runtime.has(SUBTENSOR, "reveal_mechanism_weights"):
        return calls.reveal_mechanism_weights(facts["netuid"], facts["mechid"], weights, facts["salt"])
    return calls.reveal_weights(facts["netuid"], weights, facts["salt"])


def time_to_reveal(subnet: Subnet, commits: Any, digest: bytes) -> Time:
    """Reads a decoded `WeightCommits`, whose entries are (hash, block, first block, last block) or (hash, epoch, block, 0)."""
    entry = next((one for one in commits or () if one[0] == f"0x{digest.hex()}"), None)
    if entry is None:
        return Time.OVER
    _, epoch, first, last = entry
    now = subnet.block + 1
    if subnet.counts_epochs:
        now, first = subnet.next_epoch, epoch + subnet.epochs["RevealPeriodEpochs"]
        last = first
    if now < first:
        return Time.EARLY
    return Time.NOW if now <= last else Time.OVER
