"""Identifies callers by their token: WALLET_SERVICE_TOKEN, an issued token, or a JWT of the original."""

import hashlib
import hmac
import math
from typing import Any, TypeGuard

import jwt
from jwt.utils import base64url_decode

from strongroom.bittensor.authorization.jwts import JWT_ALGORITHM
from strongroom.bittensor.authorization.limits import READ, SIGN, SUBMIT, TokenLimits, encode_limits
from strongroom.core.clock import Clock
from strongroom.core.environment import Secret
from strongroom.core.errors import Unauthenticated
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import Principal
from strongroom.core.security.authentication import TokenCheck
from strongroom.core.security.credentials import Credentials
from strongroom.core.security.stored_tokens import TOKEN_PREFIX

BEARER = "bearer "
MAX_TOKEN = 4096
MAX_SUBJECT = 100
DIGEST_DIGITS = 16
JWT_DOTS = 2


class Authenticator:
    """Finds the principal behind what a request presents."""

    def __init__(
        self,
        *,
        tokens: TokenCheck,
        service_token: Secret | None,
        jwt_secret: Secret | None,
        service_limits: TokenLimits,
        clock: Clock,
    ) -> None:
        """`service_limits` are the limits of WALLET_SERVICE_TOKEN and of JWTs."""
        self._tokens = tokens
        self._service_token = service_token
        self._jwt_secret = jwt_secret
        self._clock = clock
        self._limits = encode_limits(service_limits)

    async def identify(self, credentials: Credentials) -> Principal:
        """The word `Bearer` may be missing, as with the original.

        Raises:
            Unauthenticated: no token, or none that counts.
            Forbidden: the token may not be used from there.
            RateLimited: the token's own rate is used up.
        """
        presented = (credentials.authorization or "").strip()
        if presented.lower().startswith(BEARER):
            presented = presented[len(BEARER) :].strip()
        if credentials.authorization is None and credentials.certificate is not None:
            found = await self._tokens.authenticate_certificate(credentials.certificate, credentials.source)
            if found is not None:
                return found
        if not presented or presented.lower() == BEARER.strip():
            raise Unauthenticated("Missing or invalid token", code="token_missing")
        if len(presented) > MAX_TOKEN:
            raise Unauthenticated("Invalid token")
        if self._is_service_token(presented):
            return self._principal("service-token", credentials)
        if presented.startswith(f"{TOKEN_PREFIX}_"):
            return await self._tokens.authenticate(presented, credentials.source, credentials.certificate)
        if self._jwt_secret is not None and presented.count(".") == JWT_DOTS:
            return self._principal(self._jwt_subject(presented, self._jwt_secret.reveal()), credentials)
        raise Unauthenticated("Invalid token")

    def _is_service_token(self, presented: str) -> bool:
        if self._service_token is None:
            return False
        return hmac.compare_digest(self._service_token.reveal().encode(), presented.encode())

    def _principal(self, name: str, credentials: Credentials) -> Principal:
        return Principal(
            name=name,
            scopes=frozenset({READ, SIGN, SUBMIT}),
            limits=self._limits,
            source=credentials.source,
        )

    def _jwt_subject(self, presented: str, secret: str) -> str:
        """Reads a JWT. Its times are checked against the injected clock; one without an end is refused."""
        options = {"require": ["exp"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        options |= {"verify_aud": False, "verify_sub": False, "verify_jti": False, "verify_iss": False}
        try:
            for part in presented.split(".")[:2]:  # the library itself has no limit of depth
                decode_json(base64url_decode(part))
            claims = jwt.decode(presented, secret, algorithms=[JWT_ALGORITHM], options=options)  # type: ignore[arg-type]
        except (jwt.PyJWTError, ValueError):
            raise Unauthenticated("Invalid token") from None
        now_s = self._clock.now_ms() / 1000
        end_s, start_s = claims.get("exp"), claims.get("nbf", 0)
        if not (_is_time(end_s) and _is_time(start_s)) or start_s > now_s:
            raise Unauthenticated("Invalid token")
        if end_s <= now_s:
            raise Unauthenticated("Invalid token", code="token_expired")
        subject = str(claims.get("sub") or claims.get("_id") or "")
        return f"jwt:{_shown(subject)}" if subject else "jwt"


def _shown(subject: str) -> str:
    """Shortens a subject to what the audit trail has room for. Jobs belong to it, so two long ones stay different."""
    shown = "".join(letter for letter in subject if letter.isprintable())[:MAX_SUBJECT]
    if shown == subject:
        return shown
    digest = hashlib.sha256(subject.encode(errors="surrogatepass")).hexdigest()[:DIGEST_DIGITS]
    return f"{shown[: MAX_SUBJECT - DIGEST_DIGITS - 1]}#{digest}"


def _is_time(value: Any) -> TypeGuard[float]:
    """Seconds; NaN, which JSON's writers let through, would be before no end."""
    return type(value) is int or (isinstance(value, float) and not math.isnan(value))
