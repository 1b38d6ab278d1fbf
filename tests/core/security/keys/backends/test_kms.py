"""AWS KMS: moto's server for what it plays, and answers in AWS's form for what it does not."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

import pytest

from strongroom.core.errors import KeyBackendAway, VaultError
from strongroom.core.http.outbound.client import HttpClient
from strongroom.core.ledger.keys.backends import OutboundAsker, make_key_backend
from strongroom.core.security.keys.backends import kms
from strongroom.core.security.keys.backends.backend import DENIED, NO_KEY, REFUSED, WRONG_ANSWER, KeyBackend
from strongroom.core.security.keys.backends.exchange import NoReply, Reply
from strongroom.core.security.keys.backends.kms import KmsBackend
from strongroom.core.security.keys.backends.settings import KmsSettings
from support.clock import SeededEntropy
from support.custody.houses import House, read_settings
from support.custody.moto import CREDENTIALS, REGION, Moto
from support.custody.switch import Switch
from support.hostile_peer import hostile_peer

KEY = bytes(range(100, 132))
ALIAS = "kms:alias/strongroom"
WRAPPED = bytes(64)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def answering(status: int, document: object) -> Callable[[], Iterable[bytes]]:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {len(content)}\r\n\r\n"
    return lambda: [head.encode() + content]


@asynccontextmanager
async def asking(url: str, timeout_s: float = 60.0) -> AsyncIterator[KeyBackend]:
    variables = {"ATTO_KEY_BACKEND": ALIAS, "AWS_REGION": REGION, "AWS_ENDPOINT_URL_KMS": url}
    settings = read_settings(variables)
    assert isinstance(settings, KmsSettings)
    backend = KmsBackend(settings, "atto", OutboundAsker(HttpClient(), timeout_s=timeout_s))
    try:
        yield backend
    finally:
        await backend.close()


@asynccontextmanager
async def liar(answer: Callable[[], Iterable[bytes]]) -> AsyncIterator[KeyBackend]:
    async with hostile_peer(answer) as peer, asking(peer.url) as backend:
        yield backend


async def test_an_alias_names_the_key(moto: Moto) -> None:
    # The test of the page, which shares the server, makes it too: before this one, or after it.
    known = {one["AliasName"] for one in moto.client.list_aliases()["Aliases"]}
    if (name := "alias/strongroom") in known:
        moto.client.delete_alias(AliasName=name)
    moto.client.create_alias(AliasName=name, TargetKeyId=moto.new_key())
    async with asking(moto.url) as backend:
        assert await backend.unwrap(await backend.wrap(KEY)) == KEY
        assert await backend.describe() == f"{ALIAS} answers in {REGION}"
    moto.client.delete_alias(AliasName=name)


async def test_the_context_stands_in_aws_s_own_records(moto: Moto, kms_house: House) -> None:
    """CloudTrail shows the context: so an auditor sees which ledger's key was opened, and a policy can demand it."""
    backend = kms_house.backend()
    wrapped = await backend.wrap(KEY)
    await backend.close()
    context = {"strongroom": "strongroom key-encryption key of atto"}
    opened = moto.client.decrypt(CiphertextBlob=wrapped, EncryptionContext=context)
    assert opened["Plaintext"] == KEY


async def test_a_key_that_does_not_exist_is_named(moto: Moto) -> None:
    variables = {"ATTO_KEY_BACKEND": "kms:alias/nowhere", "AWS_REGION": REGION, **moto.variables()}
    backend = make_key_backend(read_settings(variables), ledger="atto", entropy=SeededEntropy())
    with pytest.raises(
        VaultError, match="kms:alias/nowhere does not exist in this account and region"
    ) as missing:
        await backend.wrap(KEY)
    await backend.close()
    assert missing.value.instance_code == NO_KEY


async def test_without_credentials_the_variables_are_named(
    moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    async with asking(moto.url) as backend:
        with pytest.raises(VaultError, match="AWS_ACCESS_KEY_ID") as denied:
            await backend.wrap(KEY)
    assert denied.value.instance_code == DENIED


@pytest.mark.parametrize("missing", ["profile", "secret"])
async def test_half_of_the_credentials_is_denied(
    moto: Moto, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing == "profile":
        monkeypatch.setenv("AWS_PROFILE", "nobody")
    else:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with asking(moto.url) as backend:
        with pytest.raises(VaultError, match="no complete AWS credentials") as denied:
            await backend.wrap(KEY)
    assert denied.value.instance_code == DENIED
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in denied.value.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("AccessDeniedException", DENIED),
        ("UnrecognizedClientException", DENIED),
        ("InvalidSignatureException", DENIED),
        ("ExpiredTokenException", DENIED),
        ("NotFoundException", NO_KEY),
        ("DisabledException", NO_KEY),
        ("KMSInvalidStateException", NO_KEY),
        ("InvalidKeyUsageException", NO_KEY),
        ("IncorrectKeyException", REFUSED),
        ("InvalidCiphertextException", REFUSED),
        ("ValidationException", REFUSED),
    ],
)
async def test_a_refusal_is_told_by_its_kind(error: str, code: str) -> None:
    content = {"__type": error, "message": "for arn:aws:iam::1:user/c4n4ry"}
    async with liar(answering(400, content)) as backend:
        with pytest.raises(VaultError) as refused:
            await backend.unwrap(WRAPPED)
    assert refused.value.instance_code == code
    assert error in refused.value.message
    assert "c4n4ry" not in refused.value.message


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (400, {"__type": "ThrottlingException"}),
        (400, {"__type": "KeyUnavailableException"}),
        (400, {"__type": "LimitExceededException"}),
        (429, {"__type": "Whatever"}),
        (500, {"__type": "KMSInternalException"}),
        (503, b"<html>"),
        (200, b"<html>"),
        (200, b"[" * 5000),
    ],
)
async def test_what_may_pass_counts_as_away(status: int, document: object) -> None:
    async with liar(answering(status, document)) as backend:
        with pytest.raises(KeyBackendAway):
            await backend.unwrap(WRAPPED)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"Plaintext": ""},
        {"Plaintext": "AAAA"},
        {"Plaintext": "A" * 64},
        {"Plaintext": "A" * 100_000},
        {"Plaintext": "%%%"},
        {"Plaintext": 5},
        {"Plaintext": None},
    ],
)
async def test_a_plaintext_that_is_no_key_is_refused(document: object) -> None:
    async with liar(answering(200, document)) as backend:
        with pytest.raises((VaultError, KeyBackendAway)):
            await backend.unwrap(WRAPPED)


@pytest.mark.parametrize("blob", ["", "AAAA", "A" * 8000])
async def test_a_ciphertext_that_is_no_wrapped_key_is_refused(blob: str) -> None:
    async with liar(answering(200, {"CiphertextBlob": blob})) as backend:
        with pytest.raises(VaultError) as refused:
            await backend.wrap(KEY)
    assert refused.value.instance_code == WRONG_ANSWER


async def test_an_answer_that_never_comes_ends_at_the_limit(moto: Moto) -> None:
    with Switch(moto.port) as switch:
        switch.deafen()
        async with asking(switch.url, timeout_s=0.2) as backend:
            with pytest.raises(KeyBackendAway, match="does not answer"):
                await backend.wrap(KEY)


def endless() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(1000):
        yield b"10000\r\n" + bytes(65_536) + b"\r\n"


async def test_an_answer_without_an_end_is_not_read_to_its_end() -> None:
    async with liar(endless) as backend:
        with pytest.raises(KeyBackendAway, match="no end"):
            await backend.unwrap(WRAPPED)


async def test_credentials_that_never_come_hold_up_nothing(
    moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A helper program that hangs, more often than the backend has threads: other threads go on."""
    monkeypatch.setattr(kms, "CREDENTIALS_S", 0.2)
    ended = threading.Event()
    monkeypatch.setattr(KmsBackend, "_prepare", lambda _self: ended.wait())
    try:
        async with asking(moto.url) as backend:
            for _ in range(kms.THREADS + 2):
                with pytest.raises(KeyBackendAway, match="does not answer within"):
                    await backend.wrap(KEY)
            assert await asyncio.to_thread(lambda: "goes on") == "goes on"
    finally:
        ended.set()


@pytest.mark.parametrize(
    ("region", "host"),
    [("eu-central-1", "kms.eu-central-1.amazonaws.com"), ("cn-north-1", "kms.cn-north-1.amazonaws.com.cn")],
)
async def test_the_endpoint_is_that_of_the_region(region: str, host: str) -> None:
    asked: list[str] = []

    class Noting:
        async def ask(self, url: str, *, data: bytes, headers: dict[str, str]) -> Reply:
            assert data
            assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/")
            assert f"/{region}/kms/aws4_request" in headers["Authorization"]
            asked.append(url)
            raise NoReply("noted")

        async def close(self) -> None:
            pass

    settings = read_settings({"ATTO_KEY_BACKEND": ALIAS, "AWS_REGION": region})
    assert isinstance(settings, KmsSettings)
    backend = KmsBackend(settings, "atto", Noting())
    with pytest.raises(KeyBackendAway, match="noted"):
        await backend.wrap(KEY)
    await backend.close()
    assert asked == [f"https://{host}/"]
