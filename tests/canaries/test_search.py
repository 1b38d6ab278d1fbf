"""The search finds a secret in every form that it knows, in the middle of something else, and nothing that is not there."""

import base64
import json
import secrets

import pytest

from strongroom.atto.protocol import Mnemonic
from support.canaries import Canaries

KEY = secrets.token_bytes(32)
PHRASE = Mnemonic.from_entropy32(secrets.token_bytes(32)).phrase
NOISE = secrets.token_bytes(2_000)


@pytest.mark.parametrize(
    "leak",
    [
        KEY,
        KEY.hex().encode(),
        KEY.hex().upper().encode(),
        KEY.hex(":").encode(),
        str(list(KEY)).encode(),
        json.dumps({"key": list(KEY)}, separators=(",", ":")).encode(),
        repr({"key": KEY}).encode(),
        base64.b64encode(KEY),
        base64.urlsafe_b64encode(b"x" + KEY + b"y"),
        base64.b64encode(b"xx" + KEY + b"more"),
        base64.b64encode(b"xxx" + KEY),
        base64.b32encode(KEY),
    ],
    ids=range(12),
)
@pytest.mark.parametrize("is_text", [True, False])
def test_a_key_is_found(leak: bytes, *, is_text: bool) -> None:
    canaries = Canaries()
    canaries.plant("key", KEY.hex() if is_text else KEY)
    places = {"log": NOISE + leak + NOISE, "other": NOISE}
    assert {(name, place) for name, place, _ in canaries.found(places)} == {("key", "log")}


@pytest.mark.parametrize(
    "leak",
    [
        PHRASE,
        PHRASE.upper(),
        PHRASE.title(),
        " ".join(PHRASE.split()[:12]),
        " ".join(PHRASE.split()[12:]),
        json.dumps(PHRASE.split()),
        json.dumps(PHRASE.split(), separators=(",", ":")),
        str(PHRASE.split()),
        PHRASE.replace(" ", "%20"),
        PHRASE.replace(" ", "+"),
        "\n".join(PHRASE.split()),
        base64.b64encode(f"user:{PHRASE}".encode()).decode(),
        PHRASE.encode().hex(),
    ],
    ids=range(13),
)
def test_a_phrase_is_found(leak: str) -> None:
    canaries = Canaries()
    canaries.plant("phrase", PHRASE)
    places = {"log": NOISE + leak.encode() + NOISE, "other": NOISE}
    assert {(name, place) for name, place, _ in canaries.found(places)} == {("phrase", "log")}
