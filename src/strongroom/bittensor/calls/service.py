"""Submits calls other than weights: builds them from typed values, and signs with the key that the chain wants.

Each call needs a token whose limits name it. A call by which a coldkey pays needs an Idempotency-Key: without one, a client that
repeats a request whose answer was lost would pay twice.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from strongroom.bittensor.authorization.key_use import KeyUse, call_use, early_use
from strongroom.bittensor.authorization.limits import SUBMIT
from strongroom.bittensor.authorization.token_rules import require_use
from strongroom.bittensor.calls.requests import Body
from strongroom.bittensor.extrinsics.drafting import ExtrinsicRequest, require_proxy
from strongroom.bittensor.extrinsics.extrinsic import Extrinsic
from strongroom.bittensor.extrinsics.submitter import Submitter
from strongroom.bittensor.jobs.job import (
    APPROVAL,
    ID_BYTES,
    Job,
    JobResult,
    WaitFor,
    check_key,
    nothing_signed,
)
from strongroom.bittensor.jobs.parked import ParkedCall, deferral_of
from strongroom.bittensor.jobs.results import JobResults
from strongroom.bittensor.jobs.store import require_new, stored_with
from strongroom.bittensor.keystore.keyring import Keyring
from strongroom.bittensor.keystore.names import HotkeyNames, KeyKind, Signer, hotkey
from strongroom.bittensor.protocol.calls import SUBTENSOR, Call
from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.weights import AllZero, mechanism_index
from strongroom.bittensor.weights.request import weights_subject
from strongroom.bittensor.weights.subnet import Subnets
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import InvalidInput
from strongroom.core.security.access import Principal

PAYING: Final = frozenset(
    {
        "SubtensorModule.burned_register",
        "SubtensorModule.add_stake",
        "SubtensorModule.add_stake_limit",
        "SubtensorModule.remove_stake",
        "Balances.transfer_keep_alive",
    }
)


SLOT_CALLS: Final = frozenset(
    {
        "set_weights",
        "set_mechanism_weights",
        "commit_weights",
        "commit_mechanism_weights",
        "commit_crv3_weights",
        "commit_crv3_mechanism_weights",
        "commit_timelocked_weights",
        "commit_timelocked_mechanism_weights",
        "batch_set_weights",
        "batch_commit_weights",
    }
)
BATCHES: Final = frozenset({"batch_set_weights", "batch_commit_weights"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    wallet: str
    hotkey: str
    body: Body
    key: str | None
    """The Idempotency-Key."""
    approval: str | None = None
    """The id of the approved request that is carried out; None: somebody asks."""

    @property
    def signer(self) -> Signer:
        return Signer(wallet=self.wallet, hotkey=self.hotkey, coldkey=self.body.signer is KeyKind.COLDKEY)

    @property
    def wait_for(self) -> WaitFor:
        if self.body.wait_for_finalization:
            return WaitFor.FINAL
        return WaitFor.BLOCK if self.body.wait_for_inclusion else WaitFor.POOL


class Calls:
    def __init__(
        self,
        *,
        subnets: Subnets,
        keyring: Keyring,
        submitter: Submitter,
        results: JobResults,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._subnets = subnets
        self._keyring = keyring
        self._submitter = submitter
        self._results = results
        self._clock = clock
        self._entropy = entropy

    async def submit(self, principal: Principal, request: CallRequest) -> JobResult:
        """Returns when what the request waits for is reached, or the call has failed.

        Raises:
            Forbidden: the token's rights or limits; nothing was signed, nor any key opened.
            InvalidInput, NotFound, Locked, IdempotencyMismatch, Unavailable: nothing was signed.
            OutcomeUnknown: it was signed, and whether the chain has it is not known.
        """
        return await self._results.of_request(principal, request.key, self._submit(principal, request))

    async def _submit(self, principal: Principal, request: CallRequest) -> JobResult:
        check_key(request.key)
        signer = request.signer
        require_use(early_use(principal, SUBMIT, signer))
        own = await self._keyring.public(hotkey(request.wallet, request.hotkey))
        call = _build(request, own.public_key)
        names = HotkeyNames(names={own.address: signer.hotkey})
        use = call_use(principal, SUBMIT, signer, call, names=names)
        require_use(use)
        if (delegation := await self._keyring.delegation(signer)) is not None:
            require_proxy(delegation, call)
        if call.name in PAYING and request.key is None:
            raise InvalidInput(
                "A call by which the coldkey pays needs an Idempotency-Key", code="idempotency_key_required"
            )
        job = self._job(principal, request, call, slot_of(call, own.public_key))

        async def begin() -> Extrinsic | JobResult:
            failure = await self._subnets.obstacle_to(call, own.public_key, may_be_zero=True)
            if failure is not None:
                return nothing_signed(job, failure)
            return await self._sign(use, request, call, job)

        return await self._results.of_new_job(job, begin, waits=request.approval is None)

    async def _sign(self, use: KeyUse, request: CallRequest, call: Call, job: Job) -> Extrinsic:
        parked = ParkedCall(
            wallet=request.wallet,
            hotkey=request.hotkey,
            request=type(request.body).__name__,
            body=msgspec.to_builtins(request.body),
        )
        signatory = await self._keyring.signatory(request.signer)
        return await self._submitter.submit(
            ExtrinsicRequest(
                use=use,
                key=signatory.keypair,
                call=call,
                delegation=signatory.delegation,
                job=job.id,
                check=lambda connection: require_new(connection, job),
                store=stored_with(job, self._submitter.withdrawals),
                deferral=deferral_of(job, parked),
            )
        )

    def _job(self, principal: Principal, request: CallRequest, call: Call, slot: bytes | None) -> Job:
        names = {"wallet": request.wallet, "hotkey": request.hotkey}
        approved = {} if request.approval is None else {APPROVAL: request.approval}
        asked = msgspec.json.encode([names, call.name, request.body], order="sorted")
        return Job(
            id=self._entropy.token(ID_BYTES).hex(),
            principal=principal.name,
            key=request.key,
            fingerprint=hashlib.sha256(asked).digest(),
            kind=call.function,
            subject=slot,
            document={**names, **approved},
            in_background=False,
            wait_for=request.wait_for,
            created_at_ms=self._clock.now_ms(),
        )


def slot_of(call: Call, public_key: bytes) -> bytes | None:
    """Returns what only one open call may change: a hotkey's weights in a subnet, as with `set_weights`.

    Raises:
        InvalidInput: it names no such subnet.
    """
    if call.function not in SLOT_CALLS or call.pallet != SUBTENSOR:
        return None
    netuid, mechid = call.arguments.get("netuid"), call.arguments.get("mecid", 0)
    if call.function in BATCHES:
        netuids = call.arguments.get("netuids")
        if not isinstance(netuids, list) or len(netuids) != 1:
            raise InvalidInput("Weights are set for one subnet in a call", code="invalid_call")
        (netuid,) = netuids
    if not (isinstance(netuid, int) and isinstance(mechid, int)):
        raise InvalidInput("The call names no subnet", code="invalid_call")
    return weights_subject(public_key, mechanism_index(netuid, mechid))


def _build(request: CallRequest, public_key: bytes) -> Call:
    try:
        return request.body.call(public_key)
    except AllZero as error:
        raise InvalidInput(str(error), code="weights_all_zero") from None
    except ProtocolError as error:
        raise InvalidInput(str(error), code="invalid_call") from None
