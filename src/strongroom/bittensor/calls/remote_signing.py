"""Signs extrinsics that an SDK puts together and submits itself.

The service reads the call, checks it against the token's limits, builds the payload for its own chain, and stores the extrinsic
as an intent before the signature leaves. The resolver follows it like any other, and no other extrinsic takes its nonce meanwhile.
Only the caller submits it: if the answer is lost, no one has the bytes, and a second request pays once. The caller's pool may
refuse it without telling this service, and then the account waits until the era is over. Therefore eras must be short.
"""

import asyncio
import hashlib
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from strongroom.bittensor.authorization.key_use import KeyUse, call_use, early_use
from strongroom.bittensor.authorization.limits import SUBMIT
from strongroom.bittensor.authorization.token_rules import require_use
from strongroom.bittensor.calls.service import slot_of
from strongroom.bittensor.extrinsics.drafting import (
    PROXY_FORBIDS,
    account_of,
    delegate_facts,
    require_proxy,
    unsigned_intent,
)
from strongroom.bittensor.extrinsics.effects import ExtrinsicResolver
from strongroom.bittensor.extrinsics.nonces import free_nonce
from strongroom.bittensor.extrinsics.signing import BUSY_POLL_S, ExtrinsicSigning
from strongroom.bittensor.gateway import CallUnknown, Chain, ChainUnavailable, Heads, Runtime
from strongroom.bittensor.jobs.job import ID_BYTES, Job, JobExists, WaitFor
from strongroom.bittensor.jobs.store import put_job, require_new
from strongroom.bittensor.keystore.keyring import Keyring
from strongroom.bittensor.keystore.names import HotkeyNames, Signer
from strongroom.bittensor.protocol.call_reach import reach_of
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.extrinsics import Unsigned as UnsignedExtrinsic
from strongroom.bittensor.protocol.extrinsics import blake2_256, signature_of
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.proxies import Delegation
from strongroom.bittensor.protocol.weights import AllZero
from strongroom.bittensor.weights.subnet import Subnets
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import Conflict, Forbidden, InvalidInput
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.signing import Unsigned
from strongroom.core.security.access import Principal

MAX_PERIOD: Final = 128
"""The longest era of the SDKs."""
MAX_CALL: Final = 20_000
BUSY_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the SDK wants to have signed. The call and the era are SCALE bytes."""

    signer: Signer
    call: bytes
    era: bytes
    nonce: int
    tip: int
    may_be_zero: bool = False
    """The caller means weights that are all zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What the service has read from the request, and the payload that it has built."""

    call: Call
    """What the account does: of a proxy's call the one inside."""
    delegation: Delegation | None
    """For whom the wallet's proxy makes it."""
    use: KeyUse
    unsigned: UnsignedExtrinsic
    era: Era


@dataclass(frozen=True, slots=True, kw_only=True)
class _LentDraft:
    """An extrinsic that the caller has put together and submits. This service does not offer it."""

    wanted: Wanted
    read: _Read
    keypair: Keypair
    job: Job
    next_nonce: int
    final_number: int
    withdrawals: Withdrawals

    def prepare(self, connection: Connection) -> Unsigned:
        """Raises: AccountBusy, ChainBehind; Conflict: of the nonce, or of the weights; Forbidden: no call of the proxy."""
        keypair, read = self.keypair, self.read
        if read.delegation is not None:
            require_proxy(read.delegation, read.call)
        nonce = free_nonce(connection, keypair.public_key, self.next_nonce, self.final_number)
        if nonce != self.wanted.nonce:
            raise Conflict(f"The next nonce is {nonce}, not {self.wanted.nonce}", code="nonce_taken")
        try:
            require_new(connection, self.job)
        except JobExists as found:
            raise Conflict(
                f"The same weights are under way: job {found.job.id}", code="weights_in_flight"
            ) from None
        facts = {"job": self.job.id, "nonce": nonce, "lent": 1, **delegate_facts(keypair, read.delegation)}
        payload_hash = blake2_256(read.unsigned.payload)
        use = replace(
            read.use,
            account=account_of(keypair, read.delegation),
            payload_hash=payload_hash,
            content_hash=blake2_256(self.wanted.call),
            facts=facts,
        )
        return unsigned_intent(read.unsigned, use=use, key=keypair, era=read.era, job=self.job.id, attempts=0)

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        put_job(connection, replace(self.job, extrinsic=intent.id), self.withdrawals)


class RemoteSigning:
    def __init__(
        self,
        *,
        chain: Chain,
        subnets: Subnets,
        keyring: Keyring,
        signing: ExtrinsicSigning,
        resolver: ExtrinsicResolver,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._chain = chain
        self._subnets = subnets
        self._keyring = keyring
        self._signing = signing
        self._resolver = resolver
        self._clock = clock
        self._entropy = entropy

    async def sign(self, principal: Principal, wanted: Wanted) -> bytes:
        """Returns the 64 bytes of the signature.

        Raises:
            Forbidden: the token's rights or limits.
            InvalidInput: this is no call of the chain, the era is too long, or there is a tip.
            Conflict: the nonce is not the next one, or weights of this hotkey are under way in the subnet, or the era
                ended while the request waited for the account.
            NotFound, Locked: the key.
            Unavailable: no node answers, or the outcome of an earlier extrinsic of the account is not known.
        """
        signer = wanted.signer
        require_use(early_use(principal, SUBMIT, signer))
        if wanted.tip:
            raise InvalidInput("A tip is not paid", code="tip_refused")
        give_up_s = self._clock.monotonic_s() + BUSY_S
        read = await self._read_patiently(principal, wanted, give_up_s)
        require_use(read.use)
        if read.delegation is not None:
            require_proxy(read.delegation, read.call)
        signatory = await self._keyring.signatory(signer)
        if signatory.delegation != read.delegation:
            raise Conflict("The wallet's proxy was changed meanwhile: ask again", code="key_changed")
        keypair = signatory.keypair
        await self._require_weights(read.call, keypair.public_key, may_be_zero=wanted.may_be_zero)
        intent = await self._in_turn(principal, wanted, read, keypair, give_up_s)
        self._resolver.resolve(intent)
        return signature_of(intent.payload)

    async def _require_weights(self, call: Call, public_key: bytes, *, may_be_zero: bool) -> None:
        """Refuses weights that the chain would refuse: signed, they would block the account until their era is over.

        Raises:
            InvalidInput: the call sets weights that the chain would refuse, or that are all zero.
        """
        slot_of(call, public_key)
        try:
            failure = await self._subnets.obstacle_to(call, public_key, may_be_zero=may_be_zero)
        except AllZero as error:
            raise InvalidInput(str(error), code="weights_all_zero") from None
        except ProtocolError as error:
            raise InvalidInput(str(error), code="invalid_weights") from None
        if failure is not None:
            raise InvalidInput(failure.message, code="weights_refused")

    async def _use(self, principal: Principal, signer: Signer, call: Call) -> KeyUse:
        """Reads what the call would do, with the names of the hotkeys that it concerns.

        Raises:
            NotFound, Locked, VaultError: of the hotkey that signs; VaultError: a row of the wallet was altered.
            ProtocolError: an argument is none.
        """
        names = HotkeyNames()
        if not signer.coldkey:
            own = await self._keyring.public(signer.key)
            names = HotkeyNames(names={own.address: signer.hotkey})
        elif reach_of(call).hotkeys:
            names = await self._keyring.hotkeys(signer.wallet)
        return call_use(principal, SUBMIT, signer, call, names=names)

    async def _in_turn(
        self, principal: Principal, wanted: Wanted, read: _Read, keypair: Keypair, give_up_s: float
    ) -> Intent:
        """Signs as soon as the account is free. Callers ask for the next signature as soon as they see the last in a block."""
        slot = slot_of(read.call, keypair.public_key)
        is_first = True

        async def draft() -> _LentDraft:
            nonlocal is_first
            heads, next_nonce = await asyncio.gather(
                self._chain.heads(), self._chain.next_nonce(keypair.address)
            )
            if not is_first:
                _require_era(read.era, heads)
            is_first = False
            return _LentDraft(
                wanted=wanted,
                read=read,
                keypair=keypair,
                job=self._job(principal, wanted, read.call, slot),
                next_nonce=next_nonce,
                final_number=heads.final.number,
                withdrawals=self._signing.withdrawals,
            )

        return await self._signing.sign(keypair, draft, give_up_s)

    async def _read_patiently(self, principal: Principal, wanted: Wanted, give_up_s: float) -> _Read:
        """Reads the request, and waits a moment for a node that restarts: the caller has just talked to the chain.

        Raises:
            ChainUnavailable: no node answers in time.
        """
        while True:
            try:
                return await self._read(principal, wanted)
            except ChainUnavailable as error:
                is_away = error.instance_code == ChainUnavailable.code
                if not is_away or self._clock.monotonic_s() >= give_up_s:
                    raise
            await self._clock.sleep(BUSY_POLL_S)

    async def _read(self, principal: Principal, wanted: Wanted) -> _Read:
        """Reads the call's name, checks the token's rights, and only then decodes the rest.

        Raises:
            Forbidden: the token does not allow the call.
            InvalidInput: this is no call of the chain, or the era is too long.
        """
        if len(wanted.call) > MAX_CALL:
            raise InvalidInput("The call is too long", code="invalid_call")
        # This service does not submit it, so it would not notice a signature for the runtime before an upgrade.
        runtime, heads = await self._chain.runtime(fresh=True), await self._chain.heads()
        delegation = await self._keyring.delegation(wanted.signer)
        try:
            data = wanted.call if delegation is None else _inside(runtime, delegation, wanted.call)
            name = runtime.call_name(data)
            require_use(early_use(principal, SUBMIT, wanted.signer, kind=name, call=name))
            call = runtime.decode_call(data)
            use = await self._use(principal, wanted.signer, call)
            era = Era.decode(wanted.era, heads.best.number)
        except (CallUnknown, ProtocolError) as error:
            raise InvalidInput(str(error), code="invalid_call") from None
        if era.period > MAX_PERIOD:
            raise InvalidInput(
                f"An era has at most {MAX_PERIOD} blocks here, not {era.period}", code="era_too_long"
            )
        first_hash = await self._chain.block_hash(era.first)
        if first_hash is None:
            raise InvalidInput("The era begins in a block that is not there", code="invalid_call")
        unsigned = UnsignedExtrinsic(
            call=wanted.call,
            era=wanted.era,
            nonce=wanted.nonce,
            spec_version=runtime.spec_version,
            transaction_version=runtime.transaction_version,
            genesis_hash=runtime.genesis_hash,
            first_hash=first_hash,
        )
        return _Read(call=call, delegation=delegation, use=use, unsigned=unsigned, era=era)

    def _job(self, principal: Principal, wanted: Wanted, call: Call, slot: bytes | None) -> Job:
        return Job(
            id=self._entropy.token(ID_BYTES).hex(),
            principal=principal.name,
            key=None,
            fingerprint=hashlib.sha256(wanted.call).digest(),
            kind=call.function,
            subject=slot,
            document={"wallet": wanted.signer.wallet, "hotkey": wanted.signer.hotkey},
            in_background=False,
            wait_for=WaitFor.BLOCK,
            created_at_ms=self._clock.now_ms(),
        )


def _inside(runtime: Runtime, delegation: Delegation, data: bytes) -> bytes:
    """Returns the call that a proxy's call is to make.

    Raises:
        Forbidden: it is a call that the coldkey itself should sign.
    """
    try:
        return runtime.unwrapped(delegation, data)
    except CallUnknown:
        raise Forbidden(
            f"{runtime.call_name(data)} is not signed as it is: the wallet has a {delegation} in place of its coldkey,"
            " which signs only Proxy.proxy for this account, with this type",
            code=PROXY_FORBIDS,
        ) from None


def _require_era(era: Era, heads: Heads) -> None:
    """Raises: Conflict: the era is over; a signature would only block the account."""
    if heads.best.number >= era.last:
        raise Conflict(
            f"The era ended with block {era.last} while an earlier extrinsic of the account was"
            " followed, and nothing was signed: ask again with a newer one",
            code="era_ended",
        )
