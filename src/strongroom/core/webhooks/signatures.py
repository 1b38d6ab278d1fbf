"""Signatures as Standard Webhooks says: HMAC-SHA256 of `id.timestamp.body`, under a secret `whsec_…` that the receiver has too."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from strongroom.core.clock import Entropy

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret(entropy: Entropy) -> str:
    return PREFIX + base64.b64encode(entropy.token(SECRET_BYTES)).decode()


def signed_headers(event_id: str, body: bytes, secrets: Sequence[str], now_ms: int) -> dict[str, str]:
    """The headers of one attempt. Each secret signs, so that a receiver may have any of them."""
    timestamp = str(now_ms // 1000)
    signed = f"{event_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
