"""Puts calls on the chain: signs them and offers them to a pool. One call of an account at a time, accounts in parallel.

A pool's clear refusal of the first offer ends an extrinsic, because no one else has it. In every other case the resolver finds
out the outcome, and no other extrinsic takes the nonce before that.

To add a call: build a `Call`, hand it to `Submitter.submit` in an `ExtrinsicRequest`, answer with `api.outcomes`.
"""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Final

from strongroom.bittensor.extrinsics.drafting import ExtrinsicDraft, ExtrinsicRequest, SigningContext
from strongroom.bittensor.extrinsics.effects import ExtrinsicResolver
from strongroom.bittensor.extrinsics.extrinsic import Extrinsic, State, extrinsic_of, unknown_outcome
from strongroom.bittensor.extrinsics.network import NONCE_TAKEN, UPGRADED
from strongroom.bittensor.extrinsics.signing import BUSY, ExtrinsicSigning
from strongroom.bittensor.extrinsics.store import load
from strongroom.bittensor.gateway import Chain
from strongroom.core.clock import Clock
from strongroom.core.errors import Unavailable
from strongroom.core.intents.intent import Intent
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.deadlines import Deadlines
from strongroom.core.storage.database import Database

TURN_S: Final = 20.0
SIGNATURES_A_CALL: Final = 3
"""The pool refuses a nonce that was taken elsewhere, and the signature of a runtime before an upgrade. Then the submitter
signs again."""


class Submitter:
    """Submits calls. Calls of one account wait for each other until a pool has answered; accounts do not."""

    def __init__(
        self,
        *,
        chain: Chain,
        database: Database,
        signing: ExtrinsicSigning,
        resolver: ExtrinsicResolver,
        clock: Clock,
        background: Background,
    ) -> None:
        self._chain = chain
        self._database = database
        self._signing = signing
        self.withdrawals = signing.withdrawals
        self._resolver = resolver
        self._clock = clock
        self._background = background
        self._deadlines = Deadlines()

    async def submit(self, request: ExtrinsicRequest) -> Extrinsic:
        """Returns when a pool has taken the extrinsic (POOLED) or refused it for good (dead).

        Raises:
            Unavailable: nothing was signed, or what was signed never left; it is safe to ask again.
            OutcomeUnknown: signed and maybe submitted; the resolver follows it.
            CallUnknown, Forbidden, and what `request.check` raises: nothing was signed.
        """
        turn = self._signing.turn(request.key)
        try:
            async with self._deadlines.limit(TURN_S):
                await turn.acquire()
        except TimeoutError:
            raise Unavailable(
                "An earlier call of this account still waits for the chain", code=BUSY
            ) from None
        # If the caller goes away, what is signed is still offered.
        return await asyncio.shield(self._background.start(self._in_turn(request, turn)))

    def drain(self) -> None:
        """Answers every request that waits for its turn, because the process is about to stop."""
        self._deadlines.end()

    async def _in_turn(self, request: ExtrinsicRequest, turn: asyncio.Lock) -> Extrinsic:
        try:
            for last in range(SIGNATURES_A_CALL):
                draft = partial(self._draft, request, fresh=last > 0)
                intent = await self._signing.sign(request.key, draft, self._clock.monotonic_s() + TURN_S)
                answered = await self._first_answer(intent)
                if not _may_sign_again(answered) or last == SIGNATURES_A_CALL - 1:
                    return answered
            raise AssertionError("unreachable")
        finally:
            turn.release()

    async def _draft(self, request: ExtrinsicRequest, *, fresh: bool) -> ExtrinsicDraft:
        runtime, heads, nonce = await asyncio.gather(
            self._chain.runtime(fresh=fresh),
            self._chain.heads(),
            self._chain.next_nonce(request.key.address),
        )
        call = runtime.encode(request.call)
        if request.delegation is not None:
            call = runtime.proxied(request.delegation, call)
        context = SigningContext(runtime=runtime, heads=heads, next_nonce=nonce, call=call)
        return ExtrinsicDraft(request=request, context=context)

    async def _first_answer(self, intent: Intent) -> Extrinsic:
        """Offers the extrinsic, and returns what the first pool says."""
        answer = await self._resolver.first_answer(intent)
        signed = extrinsic_of(intent)
        if answer.intent.is_open and answer.intent.stage == State.SIGNED:
            why = answer.trouble or "The chain has not said what became of it"
            raise unknown_outcome(intent.id, signed.job, why)
        if answer.intent.is_open and answer.intent.stage == State.POOLED:
            return replace(signed, state=State.POOLED)
        if answer.effect is None:
            return await self._stored(signed)
        cause = answer.effect.cause
        if cause is not None:
            raise Unavailable(f"{cause.message}; nothing was submitted", code=cause.instance_code) from cause
        return answer.effect.extrinsic

    async def _stored(self, signed: Extrinsic) -> Extrinsic:
        """Reads the outcome that another process has stored."""
        try:
            stored = await self._database.read(lambda connection: load(connection, signed.hash))
        except Unavailable as error:
            raise unknown_outcome(signed.hash, signed.job, error.message) from error
        if stored is None:
            raise unknown_outcome(signed.hash, signed.job, "The chain has not said what became of it")
        return stored


def _may_sign_again(extrinsic: Extrinsic) -> bool:
    return (
        extrinsic.state is State.REFUSED
        and extrinsic.failure is not None
        and extrinsic.failure.name in {NONCE_TAKEN, UPGRADED}
    )
