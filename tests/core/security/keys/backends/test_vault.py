"""OpenBao, the real server: credentials, key types and versions, namespaces, TLS; and servers that lie."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from strongroom.core.errors import KeyBackendAway, VaultError
from strongroom.core.http.outbound.client import HttpClient
from strongroom.core.ledger.keys.backends import OutboundAsker
from strongroom.core.security.keys.backends.backend import (
    DENIED,
    NO_KEY,
    REFUSED,
    WRONG_ANSWER,
    KeyBackend,
    rewrap_surely,
    wrap_surely,
)
from strongroom.core.security.keys.backends.settings import VaultSettings
from strongroom.core.security.keys.backends.vault import VaultBackend
from support.certificates import Authority
from support.custody.houses import House, read_settings
from support.custody.openbao import KEY as KEY_NAME
from support.custody.openbao import OpenBao
from support.hostile_peer import hostile_peer

KEY = bytes(range(100, 132))
REFERENCE = f"vault:transit/keys/{KEY_NAME}"


@asynccontextmanager
async def opened(house: House, ledger: str = "atto", **changed: str) -> AsyncIterator[KeyBackend]:
    backend = house.backend(ledger, **changed)
    try:
        yield backend
    finally:
        await backend.close()


async def refusal(house: House, **changed: str) -> VaultError:
    async with opened(house, **changed) as backend:
        with pytest.raises(VaultError) as refused:
            await backend.wrap(KEY)
    return refused.value


async def test_the_policy_of_the_documentation_is_enough(vault_house: House, openbao: OpenBao) -> None:
    async with opened(vault_house, VAULT_TOKEN=openbao.token()) as backend:
        wrapped = await wrap_surely(backend, KEY)
        assert wrapped.startswith(b"vault:v1:")
        assert await backend.describe() == f"{REFERENCE} answers with version 1 of the key"


async def test_a_role_is_enough(vault_house: House, openbao: OpenBao) -> None:
    role, secret = openbao.role()
    async with opened(vault_house, VAULT_TOKEN="", VAULT_ROLE_ID=role, VAULT_SECRET_ID=secret) as backend:
        assert await backend.unwrap(await backend.wrap(KEY)) == KEY


async def test_a_wrong_token_is_denied_and_its_variable_named(vault_house: House) -> None:
    denied = await refusal(vault_house, VAULT_TOKEN="s.wrong-c4n4ry")
    assert denied.instance_code == DENIED
    assert "VAULT_TOKEN" in denied.message
    assert "c4n4ry" not in denied.message


async def test_a_revoked_token_in_a_file_is_named_and_a_fresh_one_used(
    vault_house: House, openbao: OpenBao, tmp_path: Path
) -> None:
    path, token = tmp_path / "token", openbao.token()
    path.write_text(token)
    async with opened(vault_house, VAULT_TOKEN="", VAULT_TOKEN_FILE=str(path)) as backend:
        wrapped = await backend.wrap(KEY)
        openbao.call("POST", "auth/token/revoke", {"token": token})
        with pytest.raises(VaultError, match="VAULT_TOKEN_FILE") as denied:
            await backend.unwrap(wrapped)
        assert denied.value.instance_code == DENIED
        path.write_text(openbao.token())  # as an agent does
        assert await backend.unwrap(wrapped) == KEY
        path.unlink()
        with pytest.raises(VaultError, match="VAULT_TOKEN_FILE") as denied:
            await backend.unwrap(wrapped)
        assert denied.value.instance_code == DENIED


async def test_a_policy_that_does_not_allow_it_is_named(vault_house: House, openbao: OpenBao) -> None:
    openbao.make_key("forbidden")
    denied = await refusal(
        vault_house, VAULT_TOKEN=openbao.token(), ATTO_KEY_BACKEND="vault:transit/keys/forbidden"
    )
    assert denied.instance_code == DENIED
    assert "policy" in denied.message


@pytest.mark.parametrize("part", ["VAULT_ROLE_ID", "VAULT_SECRET_ID", "VAULT_APPROLE_MOUNT"])
async def test_a_wrong_role_is_denied(vault_house: House, openbao: OpenBao, part: str) -> None:
    role, secret = openbao.role()
    given = {"VAULT_ROLE_ID": role, "VAULT_SECRET_ID": secret, "VAULT_APPROLE_MOUNT": "approle"}
    denied = await refusal(vault_house, VAULT_TOKEN="", **{**given, part: "c4n4ry"})
    assert denied.instance_code == DENIED
    assert part in denied.message
    assert "c4n4ry" not in denied.message


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"ATTO_KEY_BACKEND": "vault:nowhere/keys/x"}, NO_KEY, "enable the transit engine"),
        ({"VAULT_NAMESPACE": "nowhere"}, NO_KEY, "VAULT_NAMESPACE"),
    ],
)
async def test_what_does_not_exist_is_named(
    vault_house: House, changed: dict[str, str], code: str, words: str
) -> None:
    missing = await refusal(vault_house, **changed)
    assert missing.instance_code == code
    assert words in missing.message


async def test_a_removed_key_is_named(vault_house: House, openbao: OpenBao) -> None:
    openbao.make_key("short-lived")
    async with opened(vault_house, ATTO_KEY_BACKEND="vault:transit/keys/short-lived") as backend:
        wrapped = await backend.wrap(KEY)
        openbao.call("POST", "transit/keys/short-lived/config", {"deletion_allowed": True})
        openbao.call("DELETE", "transit/keys/short-lived")
        with pytest.raises(VaultError, match="make the key") as missing:
            await backend.unwrap(wrapped)
    assert missing.value.instance_code == NO_KEY


async def test_a_namespace_has_keys_of_its_own(vault_house: House, openbao: OpenBao) -> None:
    openbao.call("POST", "sys/namespaces/team", {})
    openbao.call("POST", "sys/mounts/transit", {"type": "transit"}, namespace="team")
    openbao.call("POST", f"transit/keys/{KEY_NAME}", {}, namespace="team")
    async with opened(vault_house, VAULT_NAMESPACE="team") as backend:
        wrapped = await backend.wrap(KEY)
        assert await backend.unwrap(wrapped) == KEY
    async with opened(vault_house) as backend:
        with pytest.raises(VaultError):
            await backend.unwrap(wrapped)


@pytest.mark.parametrize("kind", ["chacha20-poly1305", "aes128-gcm96", "xchacha20-poly1305"])
async def test_other_types_that_authenticate_work(vault_house: House, openbao: OpenBao, kind: str) -> None:
    openbao.make_key(kind, type=kind)
    async with opened(vault_house, ATTO_KEY_BACKEND=f"vault:transit/keys/{kind}") as backend:
        assert await backend.unwrap(await backend.wrap(KEY)) == KEY


async def test_a_derived_key_works_and_is_bound_to_the_ledger(vault_house: House, openbao: OpenBao) -> None:
    openbao.make_key("derived", derived=True)
    derived = "vault:transit/keys/derived"
    async with opened(vault_house, ATTO_KEY_BACKEND=derived) as backend:
        wrapped = await backend.wrap(KEY)
        assert await backend.unwrap(wrapped) == KEY
    async with opened(vault_house, "bittensor", BITTENSOR_KEY_BACKEND=derived) as backend:
        with pytest.raises(VaultError):
            await backend.unwrap(wrapped)


@pytest.mark.parametrize("kind", ["rsa-2048", "ed25519"])
async def test_a_type_that_does_not_authenticate_is_refused(
    vault_house: House, openbao: OpenBao, kind: str
) -> None:
    openbao.make_key(kind, type=kind)
    wrong = await refusal(vault_house, ATTO_KEY_BACKEND=f"vault:transit/keys/{kind}")
    assert wrong.instance_code == NO_KEY
    assert "aes256-gcm96" in wrong.message


async def test_versions_of_the_transit_key(vault_house: House, openbao: OpenBao) -> None:
    openbao.make_key("turning")
    async with opened(vault_house, ATTO_KEY_BACKEND="vault:transit/keys/turning") as backend:
        old = await backend.wrap(KEY)
        openbao.call("POST", "transit/keys/turning/rotate", {})
        assert await backend.unwrap(old) == KEY
        new = await rewrap_surely(backend, old, KEY)
        assert new.startswith(b"vault:v2:")
        openbao.call("POST", "transit/keys/turning/config", {"min_decryption_version": 2})
        with pytest.raises(VaultError, match="min_decryption_version") as too_old:
            await backend.unwrap(old)
        assert too_old.value.instance_code == NO_KEY
        assert await backend.unwrap(new) == KEY


async def test_a_restarted_server_is_sealed_and_then_works(vault_house: House, openbao: OpenBao) -> None:
    async with opened(vault_house) as backend:
        wrapped = await backend.wrap(KEY)
        openbao.kill()
        with pytest.raises(KeyBackendAway, match="does not answer"):
            await backend.unwrap(wrapped)
        openbao.start()
        with pytest.raises(KeyBackendAway, match="sealed"):
            await backend.unwrap(wrapped)
        openbao.unseal()
        assert await backend.unwrap(wrapped) == KEY


async def test_a_server_that_never_answers_is_away_at_the_limit(openbao: OpenBao) -> None:
    settings = read_settings({"ATTO_KEY_BACKEND": REFERENCE, **openbao.variables()})
    assert isinstance(settings, VaultSettings)
    backend = VaultBackend(settings, "atto", OutboundAsker(HttpClient(), timeout_s=0.2))
    openbao.pause()
    try:
        with pytest.raises(KeyBackendAway, match="does not answer"):
            await backend.wrap(KEY)
    finally:
        openbao.resume()
        await backend.close()


def answering(status: str, content: bytes) -> Callable[[], Iterable[bytes]]:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return lambda: [head.encode() + content]


def decrypted(plaintext: object) -> bytes:
    return json.dumps({"data": {"plaintext": plaintext}}).encode()


def endless() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(1000):
        yield b"10000\r\n" + bytes(65_536) + b"\r\n"


@asynccontextmanager
async def liar(answer: Callable[[], Iterable[bytes]]) -> AsyncIterator[KeyBackend]:
    async with hostile_peer(answer) as peer:
        given = {"ATTO_KEY_BACKEND": REFERENCE, "VAULT_ADDR": peer.url, "VAULT_TOKEN": "c4n4ry"}
        settings = read_settings(given)
        assert isinstance(settings, VaultSettings)
        backend = VaultBackend(settings, "atto", OutboundAsker(HttpClient()))
        try:
            yield backend
        finally:
            await backend.close()


@pytest.mark.parametrize(
    "plaintext",
    [
        "",
        base64.b64encode(bytes(31)).decode(),
        base64.b64encode(bytes(33)).decode(),
        base64.b64encode(KEY).decode() + "!",
        "ü" * 32,
    ],
)
async def test_a_plaintext_that_is_no_key_is_refused(plaintext: str) -> None:
    async with liar(answering("200 OK", decrypted(plaintext))) as backend:
        with pytest.raises(VaultError) as refused:
            await backend.unwrap(b"vault:v1:AAAA")
    assert refused.value.instance_code == WRONG_ANSWER


@pytest.mark.parametrize(
    "ciphertext", ["", "vault:v1:", "AAAA", "vault:v1:" + "A" * 5000, "väult:v1:" + "A" * 90]
)
async def test_a_ciphertext_that_is_no_wrapped_key_is_refused(ciphertext: str) -> None:
    content = json.dumps({"data": {"ciphertext": ciphertext}}).encode()
    async with liar(answering("200 OK", content)) as backend:
        with pytest.raises(VaultError) as refused:
            await backend.wrap(KEY)
    assert refused.value.instance_code == WRONG_ANSWER


async def test_a_key_that_does_not_come_back_is_not_relied_on() -> None:
    answers = iter(
        [
            answering("200 OK", b'{"data":{"ciphertext":"vault:v1:' + b"A" * 60 + b'"}}'),
            answering("200 OK", decrypted(base64.b64encode(bytes(32)).decode())),
        ]
    )

    def answer() -> Iterable[bytes]:
        return next(answers)()

    async with liar(answer) as backend:
        with pytest.raises(VaultError, match="does not give back the key") as refused:
            await wrap_surely(backend, KEY)
    assert refused.value.instance_code == WRONG_ANSWER


@pytest.mark.parametrize(
    "answer",
    [
        answering("200 OK", b"<html>in maintenance</html>"),
        answering("200 OK", b"[" * 10_000),
        answering("200 OK", decrypted(None)),
        answering("200 OK", b'{"data":null}'),
        answering("307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/", b""),
        answering("429 Too Many Requests", b"{}"),
        answering("500 Internal Server Error", b"{}"),
        answering("502 Bad Gateway", b"<html>"),
        answering("412 Precondition Failed", b"{}"),
        endless,
        lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"[:-1], b""],
    ],
    ids=range(11),
)
@pytest.mark.timeout(60)
async def test_what_may_pass_counts_as_away(answer: Callable[[], Iterable[bytes]]) -> None:
    async with liar(answer) as backend:
        with pytest.raises(KeyBackendAway):
            await backend.unwrap(b"vault:v1:AAAA")


async def test_words_of_the_server_are_not_repeated() -> None:
    content = b'{"errors":["your token c4n4ry is no good\\u001b[31m"]}'
    async with liar(answering("400 Bad Request", content)) as backend:
        with pytest.raises(VaultError) as refused:
            await backend.wrap(KEY)
    assert refused.value.message == f"{REFERENCE} refuses with status 400"
    assert refused.value.instance_code == REFUSED


async def test_what_vault_did_not_wrap_is_not_sent_to_it() -> None:
    async with hostile_peer(list) as peer:
        settings = read_settings({"ATTO_KEY_BACKEND": REFERENCE, "VAULT_ADDR": peer.url, "VAULT_TOKEN": "t"})
        assert isinstance(settings, VaultSettings)
        backend = VaultBackend(settings, "atto", OutboundAsker(HttpClient()))
        for wrapped in (b"", b"AAAA", b"vault:v1:\xff"):
            with pytest.raises(VaultError, match="did not make the wrapped key"):
                await backend.unwrap(wrapped)
        await backend.close()
        assert peer.requests == []


async def test_the_certificate_is_checked(vault_house: House, openbao: OpenBao, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger")
    trusted = {"VAULT_ADDR": openbao.tls_url, "VAULT_CACERT": str(openbao.authority.own.path)}
    async with opened(vault_house, **trusted) as backend:
        assert await backend.unwrap(await backend.wrap(KEY)) == KEY
    for given in ({}, {"VAULT_CACERT": str(stranger.own.path)}):
        async with opened(vault_house, VAULT_ADDR=openbao.tls_url, **given) as backend:
            with pytest.raises(KeyBackendAway, match="ertificate"):
                await backend.wrap(KEY)


async def test_a_file_without_certificates_is_named(vault_house: House, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(VaultError, match="VAULT_CACERT"):
        vault_house.backend(VAULT_CACERT=str(tmp_path / "ca.pem"))
