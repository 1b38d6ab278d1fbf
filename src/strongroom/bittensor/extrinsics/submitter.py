"""The guarded write of the Bittensor ledger: lock the account, policy, sign, store, commit; then offer it to a pool.

Until the commit nothing has happened, and any failure is clean (`Unavailable`: ask again). After it the signed bytes
exist. A pool's clear refusal of its first offer ends them, as nobody else has them; whatever else happens, their fate
belongs to the resolver. No other extrinsic takes their nonce before it is known.

To add a call: build a `Call`, hand it to `Submitter.submit` in an `Order`, answer with `api.outcomes`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from strongroom.bittensor.authorization.limits import SUBMIT
from strongroom.bittensor.authorization.policy import KeyUse
from strongroom.bittensor.calls.messages import Signer
from strongroom.bittensor.extrinsics.reaped_accounts import begin_again
from strongroom.bittensor.extrinsics.signing import (
    ExtrinsicDraft,
    ExtrinsicSigner,
    SignedExtrinsic,
    SigningKey,
)
from strongroom.bittensor.extrinsics.store import (
    ChainBehind,
    Extrinsic,
    State,
    free_nonce,
    load,
    move,
)
from strongroom.bittensor.gateway import (
    Chain,
    Heads,
    PoolRefused,
    Runtime,
    SubmissionUnknown,
)
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.extrinsics import Unsigned, blake2_256
from strongroom.bittensor.protocol.failures import Failure, Refusal
from strongroom.core.clock import Clock
from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.deadlines import Deadlines
from strongroom.core.security.access import Principal
from strongroom.core.security.tokens import require_unrevoked
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import Duplicate

ERA_BLOCKS = 32
MAX_ERA_BLOCKS = 256
"""Under an hour on the main network: after that clients take a lost request for over."""
TURN_S = 20.0
BUSY_POLL_S = 0.25
SIGNATURES_A_CALL = 3
"""A nonce that was taken elsewhere, or a runtime that was upgraded, is found out by the pool; then it is signed anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What should be signed and submitted."""

    principal: Principal
    signer: Signer
    key: SigningKey
    call: Call
    job: str
    check: Callable[[Connection], None]
    """Raises when what is stored speaks against it; the account is locked."""
    store: Callable[[Connection, Extrinsic], None]
    """Stores, in the transaction that signs, what asked for it."""
    netuid: int | None = None
    right: str = SUBMIT
    amount_rao: int | None = 0
    """What leaves the account; None: the call does not say."""
    destination: str | None = None
    facts: Mapping[str, str | int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningContext:
    """What the chain said just before signing."""

    runtime: Runtime
    heads: Heads
    next_nonce: int
    call: bytes


Settled = Callable[[Connection, Extrinsic], None]
"""Told, in the same transaction, of every new state of an extrinsic."""


class Submitter:
    """Signs and offers. Calls of one account wait for each other until a pool has answered; accounts do not."""

    def __init__(
        self,
        *,
        chain: Chain,
        database: Database,
        signer: ExtrinsicSigner,
        clock: Clock,
        background: Background,
        settled: Settled,
    ) -> None:
        self._chain = chain
        self._database = database
        self._signer = signer
        self._clock = clock
        self._background = background
        self._settled = settled
        self._deadlines = Deadlines()
        self._turns: dict[bytes, asyncio.Lock] = {}

    async def submit(self, order: Order) -> Extrinsic:
        """Returns once a pool has taken it (POOLED), or refused it for good (dead).

        Raises:
            Unavailable: nothing was signed, or what was signed never left; it is safe to ask again.
            OutcomeUnknown: signed and maybe submitted; the resolver follows it.
            CallUnknown, Forbidden, and what `order.check` raises: nothing was signed.
        """
        lock = self._turns.setdefault(order.key.public_key, asyncio.Lock())
        try:
            async with self._deadlines.limit(TURN_S):
                await lock.acquire()
        except TimeoutError:
            raise Unavailable(
                "An earlier call of this account still waits for the chain", code="account_busy"
            ) from None
        # The caller may go away; what is signed is offered all the same.
        return await asyncio.shield(self._background.start(self._in_turn(order, lock)))

    def drain(self) -> None:
        """Answers whoever waits for its turn: the process is about to stop."""
        self._deadlines.end()

    async def _in_turn(self, order: Order, lock: asyncio.Lock) -> Extrinsic:
        try:
            for last in range(SIGNATURES_A_CALL):
                signed = await self._sign(order, await self._read_context(order, fresh=last > 0))
                heard = await self._offer(signed.extrinsic, signed.raw)
                if not _may_sign_again(heard) or last == SIGNATURES_A_CALL - 1:
                    return heard
            raise AssertionError("unreachable")
        finally:
            lock.release()

    async def _read_context(self, order: Order, *, fresh: bool) -> SigningContext:
        runtime, heads, nonce = await asyncio.gather(
            self._chain.runtime(fresh=fresh),
            self._chain.heads(),
            self._chain.next_nonce(order.key.address),
        )
        return SigningContext(runtime=runtime, heads=heads, next_nonce=nonce, call=runtime.encode(order.call))

    async def _sign(self, order: Order, context: SigningContext) -> SignedExtrinsic:
        """Signs and stores. Waits while another replica's extrinsic of this account has no answer yet."""
        give_up_s = self._clock.monotonic_s() + TURN_S
        began_again = False
        while True:
            try:
                signed = await self._database.write(partial(self._store, order=order, context=context))
            except Duplicate:  # another replica was quicker; its row is there to be read now
                signed = None
            except ChainBehind as error:
                if began_again:
                    raise
                await begin_again(self._chain, self._database, order.key.public_key, error)
                began_again, context = True, await self._read_context(order, fresh=True)
                continue
            if signed is not None:
                self._signer.count(order.call.name)
                self._signer.wake()
                return signed
            if self._clock.monotonic_s() >= give_up_s:
                raise Unavailable(
                    "An earlier call of this account was signed, and the chain has not said what became of it",
                    code="account_busy",
                )
            await self._clock.sleep(BUSY_POLL_S)

    def _store(self, connection: Connection, order: Order, context: SigningContext) -> SignedExtrinsic | None:
        nonce = free_nonce(connection, order.key.public_key, context.next_nonce)
        if nonce is None:
            return None
        require_unrevoked(connection, order.principal)
        order.check(connection)
        era = _era(context.heads)
        unsigned = Unsigned(
            call=context.call,
            era=era.encode(),
            nonce=nonce,
            spec_version=context.runtime.spec_version,
            transaction_version=context.runtime.transaction_version,
            genesis_hash=context.runtime.genesis_hash,
            first_hash=context.heads.final.hash,
        )
        draft = ExtrinsicDraft(
            use=_use(order, nonce, blake2_256(unsigned.payload)),
            key=order.key,
            unsigned=unsigned,
            era=era,
            job=order.job,
            attempts=1,
            on_signed=order.store,
        )
        return self._signer.sign(connection, draft)

    async def _offer(self, extrinsic: Extrinsic, raw: bytes) -> Extrinsic:
        """The first offer, whose refusal is final."""
        try:
            await self._chain.submit(raw)
        except PoolRefused as error:
            return await self._refused(extrinsic, error)
        except Unavailable as error:  # also what the greeting of a new connection found wrong
            withdrawn = await self._move(
                extrinsic, State.WITHDRAWN, Failure(type="Service", name="NeverSent")
            )
            if not withdrawn.state.is_dead:
                return withdrawn
            raise Unavailable(f"{error.message}; nothing was submitted", code=error.instance_code) from error
        except SubmissionUnknown as error:
            raise unknown_outcome(extrinsic, error.message) from error
        return await self._move(extrinsic, State.POOLED)

    async def _refused(self, extrinsic: Extrinsic, error: PoolRefused) -> Extrinsic:
        refusal = error.refusal
        if refusal.kind is Refusal.KNOWN:
            return await self._move(extrinsic, State.POOLED)
        if refusal.kind is Refusal.BANNED:
            raise unknown_outcome(extrinsic, error.message) from error
        failure = refusal.failure
        if refusal.kind is Refusal.NONCE_TAKEN:
            failure = Failure(type="Pool", name=NONCE_TAKEN, docs=failure.docs, code=failure.code)
        elif refusal.kind is Refusal.BAD_PROOF and await self._was_upgraded(extrinsic):
            failure = Failure(type="Pool", name=UPGRADED, docs="The runtime was upgraded in between")
        return await self._move(extrinsic, State.REFUSED, failure)

    async def _was_upgraded(self, extrinsic: Extrinsic) -> bool:
        """What a bad signature is, too; the connection made sure of the genesis."""
        try:
            return (await self._chain.runtime(fresh=True)).spec_version != extrinsic.spec_version
        except Unavailable:
            return False

    async def _move(self, extrinsic: Extrinsic, state: State, failure: Failure | None = None) -> Extrinsic:
        """Unless the resolver has taken it over, after a long pause of this process; then its fate is open."""

        def unit(connection: Connection) -> Extrinsic | None:
            moved = move(connection, extrinsic, state, failure=failure, attempts=1)
            if moved is not None:
                self._settled(connection, moved)
                return moved
            return load(connection, extrinsic.hash)

        try:
            found = await self._database.write(unit)
        except Unavailable as error:
            raise unknown_outcome(extrinsic, "The database did not take the chain's answer") from error
        if found is None or found.state is State.SIGNED:
            raise unknown_outcome(extrinsic, "The chain has not said what became of it")
        return found


def _era(heads: Heads) -> Era:
    """From the final block on, so that no fork changes its hash; at least half of it lies ahead.

    Raises:
        Unavailable: it would be over already.
    """
    behind = heads.best.number - heads.final.number
    era = Era.starting(heads.final.number, min(max(ERA_BLOCKS, 2 * behind), MAX_ERA_BLOCKS))
    if era.last <= heads.best.number:
        raise Unavailable(
            f"The chain's last final block is {heads.final.number}, {behind} blocks ago",
            code="finality_stalled",
        )
    return era


NONCE_TAKEN = "NonceTaken"
UPGRADED = "RuntimeUpgraded"


def unknown_outcome(extrinsic: Extrinsic, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{why}. Extrinsic 0x{extrinsic.hash.hex()} was signed and is followed: ask GET /wallet/jobs/{extrinsic.job}"
    )


def _may_sign_again(extrinsic: Extrinsic) -> bool:
    return (
        extrinsic.state is State.REFUSED
        and extrinsic.failure is not None
        and extrinsic.failure.name in {NONCE_TAKEN, UPGRADED}
    )


def _use(order: Order, nonce: int, payload_hash: bytes) -> KeyUse:
    return KeyUse(
        principal=order.principal,
        scope=order.right,
        account=order.key.address,
        kind=order.call.name,
        payload_hash=payload_hash,
        amount_raw=order.amount_rao or 0,
        is_amount_known=order.amount_rao is not None,
        destination=order.destination,
        facts={"job": order.job, "nonce": nonce, "netuid": order.netuid, **order.facts},
        wallet=order.signer.wallet,
        hotkey=order.signer.hotkey,
        netuid=order.netuid,
        call=order.call.name,
        coldkey=order.signer.coldkey,
    )
