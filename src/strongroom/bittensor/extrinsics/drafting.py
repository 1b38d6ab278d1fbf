"""Drafts extrinsics: a request becomes an unsigned extrinsic with the account's next nonce."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from sqlalchemy import Connection

from strongroom.bittensor.authorization.key_use import KeyUse
from strongroom.bittensor.extrinsics.extrinsic import DELEGATE, State
from strongroom.bittensor.extrinsics.nonces import free_nonce, slot_of
from strongroom.bittensor.gateway import Heads, Runtime
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.extrinsics import Unsigned as UnsignedExtrinsic
from strongroom.bittensor.protocol.extrinsics import blake2_256
from strongroom.bittensor.protocol.proxies import Delegation, ProxyForbids, require_allowed
from strongroom.core.errors import Forbidden, Unavailable
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.signing import Signed, Unsigned
from strongroom.core.security.policy import Deferral

ERA_BLOCKS: Final = 32
MAX_ERA_BLOCKS: Final = 256
"""Under an hour on the main network: after that clients assume that a lost request is over."""
PROXY_FORBIDS: Final = "proxy_type_forbids"


class SigningKey(Protocol):
    """An open key."""

    @property
    def public_key(self) -> bytes: ...
    @property
    def address(self) -> str: ...
    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtrinsicRequest:
    """What should be signed and submitted."""

    use: KeyUse
    """Who uses which key for what; the account and the hash follow when it is signed."""
    key: SigningKey
    call: Call
    job: str
    check: Callable[[Connection], None]
    """Checks the request against what is stored, while the account is locked. It raises if the request must not be signed."""
    store: Callable[[Connection, Intent], None]
    """Stores the job of the request, in the transaction that signs."""
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    content: bytes | None = None
    """What an approval is bound to besides the facts of the use. None: the call; of a sealed one, which is another each time it
    is sealed, what it hides."""
    deferral: Deferral = field(default_factory=Deferral)
    delegation: Delegation | None = None
    """For whom the key makes the call; None: for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningContext:
    """The state of the chain just before signing."""

    runtime: Runtime
    heads: Heads
    next_nonce: int
    call: bytes
    """As it is signed: that of a proxy is around the one that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtrinsicDraft:
    """The next extrinsic of an account. This service offers it."""

    request: ExtrinsicRequest
    context: SigningContext

    def prepare(self, connection: Connection) -> Unsigned:
        """Raises: AccountBusy, ChainBehind, what `request.check` raises; Forbidden: a proxy does not make the call."""
        request, context = self.request, self.context
        if request.delegation is not None:
            require_proxy(request.delegation, request.call)
        key = request.key
        final_number = context.heads.final.number
        nonce = free_nonce(connection, key.public_key, context.next_nonce, final_number)
        request.check(connection)
        era = _era(context.heads)
        extrinsic = UnsignedExtrinsic(
            call=context.call,
            era=era.encode(),
            nonce=nonce,
            spec_version=context.runtime.spec_version,
            transaction_version=context.runtime.transaction_version,
            genesis_hash=context.runtime.genesis_hash,
            first_hash=context.heads.final.hash,
        )
        use = _use(request, context.call, nonce, blake2_256(extrinsic.payload))
        return unsigned_intent(extrinsic, use=use, key=key, era=era, job=request.job)

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        self.request.store(connection, intent)


def unsigned_intent(
    extrinsic: UnsignedExtrinsic, *, use: KeyUse, key: SigningKey, era: Era, job: str, attempts: int = 1
) -> Unsigned:
    """Returns what the engine signs. The key signs the payload in the chain's form, and `use.payload_hash` is its hash."""

    def seal(signature: bytes) -> Signed:
        raw = extrinsic.signed(key.public_key, signature)
        return Signed(id=blake2_256(raw), payload=raw)

    return Unsigned(
        request=use,
        slot=slot_of(key.public_key, extrinsic.nonce),
        signer=lambda _hash: key.sign(extrinsic.payload),
        seal=seal,
        stage=State.SIGNED,
        notes={
            "job": job,
            "nonce": extrinsic.nonce,
            "specVersion": extrinsic.spec_version,
            "firstBlock": era.first,
            "lastBlock": era.last,
        },
        attempts=attempts,
    )


def account_of(key: SigningKey, delegation: Delegation | None) -> str:
    """The address for which a key calls. Rules, freezes and the audit trail know the call by it."""
    return key.address if delegation is None else delegation.address


def delegate_facts(key: SigningKey, delegation: Delegation | None) -> dict[str, str | int | None]:
    """What the audit trail and the intent say of the key that signs, if it calls for another account."""
    return {} if delegation is None else {DELEGATE: key.address, "proxyType": delegation.proxy_type}


def require_proxy(delegation: Delegation, call: Call) -> None:
    """Raises: Forbidden: a proxy of this type does not make the call."""
    try:
        require_allowed(delegation, call)
    except ProxyForbids as error:
        raise Forbidden(str(error), code=PROXY_FORBIDS) from None


def _era(heads: Heads) -> Era:
    """Returns an era that begins at the final block, whose hash no fork changes. At least half of it lies ahead.

    Raises:
        Unavailable: the era would be over already.
    """
    behind = heads.best.number - heads.final.number
    era = Era.starting(heads.final.number, min(max(ERA_BLOCKS, 2 * behind), MAX_ERA_BLOCKS))
    if era.last <= heads.best.number:
        raise Unavailable(
            f"The chain's last final block is {heads.final.number}, {behind} blocks ago",
            code="finality_stalled",
        )
    return era


def _use(request: ExtrinsicRequest, call: bytes, nonce: int, payload_hash: bytes) -> KeyUse:
    netuids = request.use.terms["netuid"]
    return replace(
        request.use,
        account=account_of(request.key, request.delegation),
        payload_hash=payload_hash,
        content_hash=blake2_256(call) if request.content is None else request.content,
        deferral=request.deferral,
        facts={
            "job": request.job,
            "nonce": nonce,
            "netuid": next(iter(netuids), None) if isinstance(netuids, tuple) else None,
            **delegate_facts(request.key, request.delegation),
            **request.facts,
        },
    )
