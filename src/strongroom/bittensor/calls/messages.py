"""Signs messages, and verifies signatures of messages."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from strongroom.bittensor.authorization.key_use import early_use
from strongroom.bittensor.authorization.limits import READ, SIGN
from strongroom.bittensor.authorization.token_rules import TEXT, allows_text, require_use
from strongroom.bittensor.keystore.keyring import Keyring, WalletInfo
from strongroom.bittensor.keystore.names import Signer
from strongroom.bittensor.protocol.errors import RefusedMessage
from strongroom.bittensor.protocol.keys import SIGNATURE_BYTES, verify
from strongroom.bittensor.protocol.messages import WRAP_END, WRAP_START, parse_message
from strongroom.core.errors import InvalidInput
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import SigningGate
from strongroom.core.storage.database import Database

MESSAGE: Final = "message:"
"""Before the kind of a message, in the kind of its signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    signature: bytes
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    is_valid: bool
    address: str


class Messages:
    def __init__(self, *, database: Database, keyring: Keyring, gate: SigningGate, metrics: Metrics) -> None:
        self._database = database
        self._keyring = keyring
        self._gate = gate
        self._signatures = metrics.signatures

    async def sign(self, principal: Principal, signer: Signer, text: str) -> Signed:
        """Signs a message that can be no transaction.

        Raises:
            Forbidden: the token does not allow it.
            InvalidInput: the names are not valid, or the service does not sign such a message.
            NotFound, Locked, VaultError: of the key.
        """
        _require(principal, SIGN, signer)
        public = await self._keyring.public(signer.key)
        try:
            any_text = allows_text(early_use(principal, SIGN, signer, kind=TEXT))
            message = parse_message(text, public.address, any_text=any_text)
        except RefusedMessage as error:
            raise InvalidInput(str(error), code="message_refused") from None
        keypair = await self._keyring.open(signer.key)
        kind = f"{MESSAGE}{message.kind}"
        request = replace(
            early_use(principal, SIGN, signer, kind=kind, address=keypair.address),
            payload_hash=hashlib.blake2b(message.payload, digest_size=32).digest(),
            facts={"wallet": signer.wallet, "hotkey": signer.hotkey},
        )

        def work(connection: Connection) -> bytes:
            with self._gate.sign(connection, request, lambda _hash: keypair.sign(message.payload)) as granted:
                return granted.signature

        signature = await self._gate.write(self._database, work)
        self._signatures.labels("bittensor", request.kind).inc()
        return Signed(signature=signature, address=keypair.address)

    async def verify(self, principal: Principal, signer: Signer, text: str, signature: str) -> Inspection:
        """Tells whether the key signed the message, as it is or wrapped in `<Bytes>`. Opens no key.

        Raises:
            InvalidInput: the signature is not hex.
        """
        _require(principal, READ, signer, opens=False)
        claimed = _parse_signature(signature)
        public = await self._keyring.public(signer.key)
        payloads = (
            text.encode(errors="surrogatepass"),
            f"{WRAP_START}{text}{WRAP_END}".encode(errors="surrogatepass"),
        )
        return Inspection(
            is_valid=any(
                verify(public.public_key, payload, claimed, public.crypto_type) for payload in payloads
            ),
            address=public.address,
        )

    async def info(self, principal: Principal, wallet: str, name: str) -> WalletInfo:
        _require(principal, READ, Signer(wallet=wallet, hotkey=name, coldkey=False))
        return await self._keyring.info(wallet, name)


def _require(principal: Principal, right: str, signer: Signer, *, opens: bool = True) -> None:
    require_use(early_use(principal, right, signer if opens else replace(signer, coldkey=False)))


def _parse_signature(text: str) -> bytes:
    """Reads hex without 0x, as the original answered and asked for it, or with 0x."""
    try:
        signature = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise InvalidInput(f"Invalid signature format: {error}", code="invalid_signature") from None
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidInput(
            f"Invalid signature format: it has {SIGNATURE_BYTES} bytes, not {len(signature)}",
            code="invalid_signature",
        )
    return signature
