"""The tokens that wallets carry: JSON web tokens, HMAC-SHA256, of the original's claims.

A full token holds the wallet's own signature over (time, wallet, address of its authentication key), so whoever
steals AUTH_SECRET can still not forge one. A read-only token holds none: knowing the xpub is enough to read.
`auth` is our addition to it, the address of the authentication key: when that key changes, earlier tokens end.

Checked here and not by PyJWT, which takes 31 to 40 us for what takes 7 to 8 here, reads the system's clock, and warns of
every secret shorter than 32 bytes, as adopted ones are. The tests hold the two against each other.
"""

import base64
import binascii
import enum
import hmac
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from strongroom.core.clock import Clock, Entropy
from strongroom.core.environment import Secret
from strongroom.core.errors import Forbidden, Unauthenticated
from strongroom.core.http.json_decoder import decode_json
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.messages import authentication_message, verify_message

LIFETIME_S = 1800
HEADER = {"alg": "HS256", "typ": "JWT"}
MAX_TOKEN = 4096


class Mode(enum.StrEnum):
    FULL = "full"
    READ_ONLY = "ro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    wallet_id: str
    mode: Mode
    auth_address: str | None
    """Of the authentication key that the token is bound to; None: an original's read-only token, bound to none."""


class Tokens:
    """Issues with the first secret, accepts those of every secret: to rotate, put the new one in front."""

    def __init__(self, secrets: Sequence[Secret], clock: Clock, entropy: Entropy) -> None:
        self._keys = [secret.reveal().encode() for secret in secrets]
        self._clock = clock
        self._entropy = entropy

    def issue_full(self, *, signature: str, timestamp_s: float, address: str, wallet_id: str) -> str:
        claims = {"sign": signature, "ts": timestamp_s, "addr": address, "wid": wallet_id}
        return self._issue(claims, Mode.FULL)

    def issue_read_only(self, *, wallet_id: str, auth_address: str) -> str:
        return self._issue({"wid": wallet_id, "auth": auth_address}, Mode.READ_ONLY)

    def verify(self, token: str) -> Principal:
        """Whose token it is.

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

    def _issue(self, claims: dict[str, Any], mode: Mode) -> str:
        now_s = self._clock.now_ms() // 1000
        jti = uuid.UUID(bytes=self._entropy.token(16), version=4)
        stamped = {**claims, "mode": mode, "iat": now_s, "exp": now_s + LIFETIME_S, "jti": str(jti)}
        signed = f"{_encode(msgspec.json.encode(HEADER))}.{_encode(msgspec.json.encode(stamped))}"
        return f"{signed}.{_encode(hmac.digest(self._keys[0], signed.encode(), 'sha256'))}"

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            signed, _, seal = token.rpartition(".")
            header, _, payload = signed.partition(".")
            if len(token) > MAX_TOKEN or decode_json(_decode(header)).get("alg") != "HS256":
                raise Unauthenticated("The token is not of this service")
            given = _decode(seal)
            fits = [
                hmac.compare_digest(hmac.digest(key, signed.encode(), "sha256"), given) for key in self._keys
            ]
            claims = decode_json(_decode(payload), dict[str, Any])
        except (ValueError, AttributeError, binascii.Error) as error:
            raise Unauthenticated("The token is malformed") from error
        expires_s = claims.get("exp")
        if not any(fits) or not isinstance(expires_s, int) or expires_s <= self._clock.now_ms() // 1000:
            raise Unauthenticated("The token is not valid, or no longer")
        return claims


@lru_cache(maxsize=16_384)
def _verify_once(message: str, signature: str, address: str) -> None:
    """A pure check that costs a curve operation: each signature is checked once, not at each request."""
    try:
        verify_message(message, signature, address)
    except ProtocolError as error:
        raise Forbidden("The token's signature is not the wallet's") from error


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))
