"""Issues and checks the tokens of wallets: JSON web tokens, HMAC-SHA256, with the original's claims.

A full token holds the wallet's own signature over (time, wallet, address of its authentication key), so a thief of
AUTH_SECRET cannot forge one. A read-only token holds no signature: who knows the xpub may read. This service adds the claim
`auth` to it, the address of the authentication key; when that key changes, earlier tokens end.

PyJWT reads and writes the tokens. The seal of a token is checked once and remembered; its end is checked at every request,
with the injected clock.
"""

import enum
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm
from jwt.utils import base64url_decode

from strongroom.core.clock import Clock, Entropy
from strongroom.core.environment import Secret
from strongroom.core.errors import CredentialEnded, Forbidden, Unauthenticated
from strongroom.core.json_decoder import decode_json
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.messages import authentication_message, verify_message

LIFETIME_S = 1800
ALGORITHM = "HS256"
MAX_TOKEN = 4096
REMEMBERED = 16_384


class Mode(enum.StrEnum):
    FULL = "full"
    READ_ONLY = "ro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    wallet_id: str
    mode: Mode
    auth_address: str | None
    """The address of the authentication key that the token is bound to; None: a read-only token of the original."""


class _AdoptedKey(HMACAlgorithm):
    """HMAC-SHA256 with keys of any length: the settings judge AUTH_SECRET, which an original may have chosen."""

    def check_key_length(self, key: bytes) -> None:
        """Lets every length pass."""


def _signatures() -> jwt.PyJWS:
    signatures = jwt.PyJWS(algorithms=[])
    signatures.register_algorithm(ALGORITHM, _AdoptedKey(HMACAlgorithm.SHA256))
    return signatures


class Tokens:
    """Issues tokens with the first secret and accepts tokens of all. To rotate, an operator puts the new secret in front."""

    def __init__(self, secrets: Sequence[Secret], clock: Clock, entropy: Entropy) -> None:
        self._keys = [secret.reveal().encode() for secret in secrets]
        self._signatures = _signatures()
        self._sealed_claims = lru_cache(maxsize=REMEMBERED)(self._read_sealed)
        self._clock = clock
        self._entropy = entropy

    def issue_full(self, *, signature: str, timestamp_s: float, address: str, wallet_id: str) -> str:
        claims = {"sign": signature, "ts": timestamp_s, "addr": address, "wid": wallet_id}
        return self._issue(claims, Mode.FULL)

    def issue_read_only(self, *, wallet_id: str, auth_address: str) -> str:
        return self._issue({"wid": wallet_id, "auth": auth_address}, Mode.READ_ONLY)

    def verify(self, token: str) -> Principal:
        """Returns whose token it is.

        Raises:
            Unauthenticated: it is malformed, expired or of another secret.
            Forbidden: it is ours, but the signature inside is not the wallet's.
        """
        claims = self._claims(token)
        wallet = claims.get("wid")
        if not isinstance(wallet, str):
            raise Unauthenticated("The token names no wallet")
        if claims.get("mode") == Mode.READ_ONLY:
            auth = claims.get("auth")
            return Principal(
                wallet_id=wallet, mode=Mode.READ_ONLY, auth_address=auth if isinstance(auth, str) else None
            )
        address = str(claims.get("addr"))
        _verify_once(
            authentication_message(claims.get("ts", 0), wallet, address), str(claims.get("sign")), address
        )
        return Principal(wallet_id=wallet, mode=Mode.FULL, auth_address=address)

    def ends_at_s(self, token: str) -> int:
        """When a valid token ends, in seconds since 1970. Raises: Unauthenticated."""
        return int(self._claims(token)["exp"])

    def _issue(self, claims: dict[str, Any], mode: Mode) -> str:
        now_s = self._clock.now_ms() // 1000
        jti = uuid.UUID(bytes=self._entropy.token(16), version=4)
        stamped = {**claims, "mode": mode, "iat": now_s, "exp": now_s + LIFETIME_S, "jti": str(jti)}
        return self._signatures.encode(msgspec.json.encode(stamped), self._keys[0], ALGORITHM)

    def _claims(self, token: str) -> dict[str, Any]:
        claims = self._sealed_claims(token)
        expires_s = claims.get("exp")
        if not isinstance(expires_s, int):
            raise Unauthenticated("The token is not valid, or no longer")
        if expires_s <= self._clock.now_ms() // 1000:
            raise CredentialEnded("The token is not valid, or no longer")
        return claims

    def _read_sealed(self, token: str) -> dict[str, Any]:
        """Returns the claims of a token that is sealed with one of the secrets. Raises: Unauthenticated."""
        if len(token) > MAX_TOKEN:
            raise Unauthenticated("The token is not of this service")
        try:
            # The library follows a header down however deep it is; the decoder of the house does not.
            decode_json(base64url_decode(token.partition(".")[0]), dict[str, Any])
        except ValueError as error:
            raise Unauthenticated("The token is malformed") from error
        for key in self._keys:
            try:
                payload = self._signatures.decode(token, key, algorithms=[ALGORITHM])
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError) as error:
                raise Unauthenticated("The token is malformed") from error
            try:
                return decode_json(payload, dict[str, Any])
            except ValueError as error:
                raise Unauthenticated("The token is malformed") from error
        raise Unauthenticated("The token is not valid, or no longer")


@lru_cache(maxsize=REMEMBERED)
def _verify_once(message: str, signature: str, address: str) -> None:
    """Checks a signature. The check is pure and costs a curve operation, so its result is remembered."""
    try:
        verify_message(message, signature, address)
    except ProtocolError as error:
        raise Forbidden("The token's signature is not the wallet's") from error
