"""Sets weights: one distinct set of a hotkey in a subnet (and mechanism) at a time, as soon as the chain takes it.

The same set again, while it is under way or before the chain would take another, is the same job and gets its answer. A
set that must be committed first is stored with its salt, and with the job that reveals it, in the transaction that signs
the commit.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from strongroom.bittensor.authorization.key_use import call_use, early_use
from strongroom.bittensor.authorization.limits import READ, SUBMIT
from strongroom.bittensor.authorization.token_rules import require_use
from strongroom.bittensor.extrinsics.drafting import ExtrinsicRequest
from strongroom.bittensor.extrinsics.extrinsic import Extrinsic
from strongroom.bittensor.extrinsics.submitter import Submitter
from strongroom.bittensor.jobs.job import (
    APPROVAL,
    ID_BYTES,
    REFUSAL,
    Job,
    JobExists,
    JobResult,
    WaitFor,
    nothing_signed,
)
from strongroom.bittensor.jobs.parked import ParkedJob, ParkedWeights, deferral_of
from strongroom.bittensor.jobs.results import JobResults
from strongroom.bittensor.jobs.store import (
    close_waiting,
    last_extrinsic,
    last_job,
    put_job,
    require_new,
    require_waiting,
)
from strongroom.bittensor.jobs.tags import NOTES, JobStore
from strongroom.bittensor.keystore.keyring import Keyring
from strongroom.bittensor.keystore.names import HotkeyNames, Signer
from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.failures import Failure
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.bittensor.protocol.weights import (
    MAX_WEIGHTS,
    MECHANISM_STEP,
    WeightSet,
    mechanism_index,
)
from strongroom.bittensor.weights.request import (
    CALL,
    REVEAL,
    SET,
    WeightsRequest,
    commits,
    signer_of,
    weights_digest,
    weights_of,
    weights_subject,
)
from strongroom.bittensor.weights.subnet import Plan, Subnet, Subnets, plan
from strongroom.bittensor.weights.timelock import BLOCK_S
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import Conflict, InvalidInput
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.intents.intent import Intent
from strongroom.core.security.access import Principal
from strongroom.core.storage.errors import Duplicate


class Weights:
    def __init__(
        self,
        *,
        subnets: Subnets,
        jobs: JobStore,
        keyring: Keyring,
        submitter: Submitter,
        results: JobResults,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._subnets = subnets
        self._database = jobs.database
        self._tags = jobs.tags
        self._keyring = keyring
        self._submitter = submitter
        self._results = results
        self._clock = clock
        self._entropy = entropy

    async def set(self, principal: Principal, request: WeightsRequest) -> JobResult:
        """Returns when what the request waits for is reached, when it has failed, or at once in the background.

        A `result` of None means that the time was over first, or that the job waits in the background.

        Raises:
            Forbidden, NotFound, Locked, Conflict, IdempotencyMismatch: nothing was signed.
            Unavailable: nothing was signed.
            OutcomeUnknown: it was signed, and whether the chain has it is not known.
        """
        return await self._results.of_request(principal, request.key, self._set(principal, request))

    async def _set(self, principal: Principal, request: WeightsRequest) -> JobResult:
        signer = request.signer
        require_use(early_use(principal, SUBMIT, signer, kind=CALL, call=CALL, netuids=(request.netuid,)))
        keypair = await self._keyring.open(signer.key)
        job = self._job(principal, request, keypair.public_key)
        if not request.in_background:
            begin = partial(self._begin, principal, job, keypair, request.parked)
            return await self._results.of_new_job(job, begin, waits=request.approval is None)
        try:
            return await self._accept(self._tags.tagged(job))
        except JobExists as found:
            return await self._results.of_job(found.job, request.wait_for)

    async def carry_out(self, principal: Principal, job: Job) -> bool:
        """Carries out a job that waits in the background, if the chain takes it now; closes it if it never will.

        Returns whether something was signed.

        Raises:
            JobExists: it no longer waits.
            Conflict: the service did not accept it; it ends.
            As `set`; the job then still waits, or its extrinsic is followed.
        """
        self._tags.require_good(job)
        keypair = await self._keyring.open(signer_of(job).key)
        subnet = await self._look(job, keypair)
        failure = subnet.obstacle(weights_of(job))
        limit_ms = int(max(subnet.epochs["Tempo"], subnet.rate_limit) * BLOCK_S * 1000)
        if failure is None and self._clock.now_ms() - job.created_at_ms > limit_ms:
            failure = Failure(
                type="Service",
                name="TempoExpired",
                docs="No block took the weights within the tempo" + _last_refusal(job),
            )
        if failure is not None:
            withdrawals = self._submitter.withdrawals
            await self._database.write(
                partial(close_waiting, job=job, failure=failure, withdrawals=withdrawals)
            )
        elif not await self._blocks_to_wait(job, subnet):
            await self._submit(principal, job, keypair, subnet, check=require_waiting)
            return True
        return False

    async def uids_of(
        self, principal: Principal, signer: Signer, netuid: int, addresses: list[str]
    ) -> dict[str, int]:
        """Returns the uids of those hotkeys that are registered in the subnet.

        Raises:
            InvalidInput: one is no address, or there are too many.
            Forbidden, Unavailable.
        """
        require_use(early_use(principal, SUBMIT, signer, kind=CALL, call=CALL, netuids=(netuid,)))
        if not (0 < len(addresses) <= MAX_WEIGHTS and 0 <= netuid < MECHANISM_STEP):
            raise InvalidInput(
                f"From 1 to {MAX_WEIGHTS} weights can be set, in a subnet from 0 to {MECHANISM_STEP - 1}",
                code="invalid_weights",
            )
        try:
            keys = [decode_address(address) for address in addresses]
        except ProtocolError as error:
            raise InvalidInput(str(error), code="invalid_weights") from None
        uids = await self._subnets.uids(netuid, keys)
        return {address: uid for address, uid in zip(addresses, uids, strict=True) if uid is not None}

    async def find(self, principal: Principal, id_or_key: str) -> JobResult | None:
        """Finds a job of the principal.

        Raises:
            Forbidden: it may not read, or is another token of the same name and does not reach this hotkey.
        """
        principal.require(READ)
        found = await self._results.find(principal, id_or_key)
        if found is not None:
            netuid = found.job.document.get("netuid")
            netuids = () if netuid is None else (netuid,)
            require_use(early_use(principal, READ, signer_of(found.job), netuids=netuids))
        return found

    async def _accept(self, job: Job) -> JobResult:
        accept = partial(_accept, job=job, withdrawals=self._submitter.withdrawals)
        try:
            return await self._database.write(accept)
        except Duplicate:  # another process was quicker, and now its row can be read
            return await self._database.write(accept)

    async def _begin(
        self, principal: Principal, job: Job, keypair: Keypair, parked: ParkedWeights | None
    ) -> Extrinsic | JobResult:
        subnet = await self._look(job, keypair)
        if parked is not None:
            await self._database.read(partial(_require_newest, job=job, subnet=subnet, parked=parked))
        failure = subnet.obstacle(weights_of(job))
        if failure is not None:
            return nothing_signed(job, failure)
        blocks = await self._blocks_to_wait(job, subnet)
        if blocks:
            return await self._too_soon(job, subnet, blocks)
        return await self._submit(principal, job, keypair, subnet)

    async def _blocks_to_wait(self, job: Job, subnet: Subnet) -> int:
        """How many blocks the chain makes the hotkey wait. It also counts our own extrinsic in a block that this node may not have."""
        extrinsic = await self._database.read(lambda connection: last_extrinsic(connection, job))
        inclusion = None if extrinsic is None or extrinsic.state.is_resolved else extrinsic.inclusion
        if inclusion is None or inclusion.success is False:
            return subnet.blocks_to_wait
        return replace(subnet, last_update=max(subnet.last_update, inclusion.number)).blocks_to_wait

    async def _too_soon(self, job: Job, subnet: Subnet, blocks: int) -> JobResult:
        """Returns the earlier job's result if the same weights are set now, and otherwise how long to wait."""
        assert job.subject is not None  # noqa: S101 - for the type checker
        subject = job.subject
        last = await self._database.read(lambda connection: last_job(connection, subject))
        if last is not None and last.fingerprint == job.fingerprint and _set_last(last, subnet):
            return await self._results.of_job(last, job.wait_for)
        since = subnet.block + 1 - (subnet.rate_limit - blocks)
        failure = Failure(
            type="Service",
            name="TooSoon",
            docs=f"Block {subnet.block} is {subnet.block - since} blocks after the last weights, and the"
            f" subnet allows them every {subnet.rate_limit}: wait {blocks} blocks. Nothing was signed.",
        )
        return nothing_signed(job, failure, blocks_to_wait=blocks)

    async def _submit(
        self,
        principal: Principal,
        job: Job,
        keypair: Keypair,
        subnet: Subnet,
        *,
        check: Callable[[Connection, Job], None] = require_new,
    ) -> Extrinsic:
        weights, signer = weights_of(job), signer_of(job)
        made = await self._plan(subnet, weights, keypair.public_key)
        reveal = self._reveal(job, made)

        withdrawals = self._submitter.withdrawals

        def store(connection: Connection, intent: Intent) -> None:
            put_job(connection, replace(job, extrinsic=intent.id), withdrawals)
            if reveal is not None:
                put_job(connection, commits(reveal, intent.id), withdrawals)

        request = ExtrinsicRequest(
            use=call_use(
                principal,
                SUBMIT,
                signer,
                made.call,
                names=HotkeyNames(names={keypair.address: signer.hotkey}),
                weights=weights,
            ),
            key=keypair,
            call=made.call,
            job=job.id,
            check=lambda connection: check(connection, job),
            store=store,
            content=job.fingerprint,
            deferral=deferral_of(job, _parked(job, subnet)),
            facts={"weights": weights_digest(weights).hex()},
        )
        return await self._submitter.submit(request)

    async def _plan(self, subnet: Subnet, weights: WeightSet, public_key: bytes) -> Plan:
        if subnet.commit_reveal:  # sealing takes tens of milliseconds of processor time
            return await asyncio.to_thread(plan, subnet, weights, public_key, self._entropy)
        return plan(subnet, weights, public_key, self._entropy)

    def _reveal(self, job: Job, made: Plan) -> Job | None:
        """Returns the job that will reveal what is committed now; None: nothing is to be revealed."""
        if made.salt is None or made.commit is None:
            return None
        asked_by = job.document["principal"]
        rights = {**asked_by, "scopes": [SUBMIT], "limits": ""}
        facts = {**job.document, "principal": rights}  # the right to commit includes the right to reveal
        for note in NOTES:
            facts.pop(note, None)
        return replace(
            job,
            id=self._entropy.token(ID_BYTES).hex(),
            key=None,
            kind=REVEAL,
            subject=None,
            document={**facts, "salt": made.salt, "commit": made.commit.hex()},
            in_background=True,
            wait_for=WaitFor.FINAL,
            extrinsic=None,
            created_at_ms=self._clock.now_ms(),
        )

    async def _look(self, job: Job, keypair: Keypair) -> Subnet:
        facts = job.document
        return await self._subnets.look(facts["netuid"], facts["mechid"], keypair.public_key)

    def _job(self, principal: Principal, request: WeightsRequest, public_key: bytes) -> Job:
        signer, weights = request.signer, request.weights
        subject = weights_subject(public_key, mechanism_index(request.netuid, request.mechid))
        facts: dict[str, Any] = {
            "wallet": signer.wallet,
            "hotkey": signer.hotkey,
            "netuid": request.netuid,
            "mechid": request.mechid,
            "uids": weights.uids,
            "values": weights.values,
            "version_key": weights.version_key,
            "principal": principal.rights,
        }
        if request.approval is not None:
            facts[APPROVAL] = request.approval
        asked_at_ms = self._clock.now_ms() if request.parked is None else request.parked.asked_at_ms
        return Job(
            id=self._entropy.token(ID_BYTES).hex(),
            principal=principal.name,
            key=request.key,
            fingerprint=hashlib.sha256(subject + weights_digest(weights)).digest(),
            kind=SET,
            subject=subject,
            document=facts,
            in_background=request.in_background,
            wait_for=WaitFor.FINAL if request.in_background else request.wait_for,
            created_at_ms=asked_at_ms,
        )


def _parked(job: Job, subnet: Subnet) -> ParkedWeights | ParkedJob:
    if job.in_background:
        return ParkedJob(job=job.id)
    names = ("wallet", "hotkey", "netuid", "mechid", "version_key")
    facts, weights = {name: job.document[name] for name in names}, weights_of(job)
    return ParkedWeights(
        **facts,
        uids=weights.uids,
        values=weights.values,
        asked_at_ms=job.created_at_ms,
        last_update=subnet.last_update,
        key=job.key,
    )


def _require_newest(connection: Connection, job: Job, subnet: Subnet, parked: ParkedWeights) -> None:
    """Checks that approved weights follow no newer ones: people may take their time, and a node may have used its own wallet.

    Raises:
        Conflict: newer weights were set meanwhile.
    """
    assert job.subject is not None  # noqa: S101 - for the type checker
    last, extrinsic = last_job(connection, job.subject), last_extrinsic(connection, job)
    if last is None or last.created_at_ms <= job.created_at_ms:
        inclusion = None if extrinsic is None else extrinsic.inclusion
        is_known = inclusion is not None and inclusion.number == subnet.last_update
        if is_known or subnet.last_update == parked.last_update:
            return
    raise Conflict("Newer weights of this hotkey were set meanwhile", code="weights_superseded")


def _last_refusal(job: Job) -> str:
    refusal = job.document.get(REFUSAL)
    return "" if refusal is None else f"; last refused with {refusal['code']}: {refusal['detail']}"


def _set_last(job: Job, subnet: Subnet) -> bool:
    """Tells whether the chain still has the job's weights: another program may have set others since."""
    result = job.result or {}
    return bool(result.get("success")) and result.get("block_number") == subnet.last_update


def _accept(connection: Connection, job: Job, withdrawals: Withdrawals) -> JobResult:
    require_new(connection, job)
    put_job(connection, job, withdrawals)
    return JobResult(job=job, extrinsic=None, result=None)
