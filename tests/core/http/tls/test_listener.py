"""A listener that speaks TLS, met by real clients: which certificates it accepts, and what it tells the application."""

import asyncio
import hashlib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from strongroom.core.clock import Clock, SystemClock
from strongroom.core.http.connections.admission import Gate
from strongroom.core.http.connections.limits import ConnectionLimits
from strongroom.core.http.connections.shown import certificate_of
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.http.tls.files import TlsFiles
from strongroom.core.http.tls.settings import ClientCertificates, TlsSettings
from strongroom.core.runtime.telemetry import Metrics
from support.certificates import FAR, FUTURE, LONG_AGO, PAST, Authority, Certificate, client_context
from support.clock import ManualClock
from support.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.anyio

NOBODY = "nobody"


@pytest.fixture(scope="module", params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The service runs on uvloop, which begins to read a connection at another moment than asyncio."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Certificate:
    return authority.issue("server")


@pytest.fixture(scope="module")
def client(authority: Authority) -> Certificate:
    return authority.issue("client")


async def tells_the_certificate(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the fingerprint of its client's certificate, and a WebSocket with that and what it hears."""
    found = certificate_of(scope)
    name = NOBODY if found is None else hashlib.sha256(found).hexdigest()
    text = f"{scope['scheme']} {name}"
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": text})
    heard = await receive()
    await send({"type": "websocket.send", "text": heard["text"]})
    await send({"type": "websocket.close", "code": 4001, "reason": "enough"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    listener: Listener
    files: TlsFiles
    metrics: Metrics

    @property
    def refused(self) -> float:
        labels = {"surface": "test", "reason": "tls"}
        return self.metrics.registry.get_sample_value("strongroom_connections_refused_total", labels) or 0.0

    async def ask(self, context: ssl.SSLContext) -> str:
        async with httpx2.AsyncClient(verify=context, trust_env=False, timeout=PATIENCE_S) as client:
            return (await client.get(self.listener.url)).text


@asynccontextmanager
async def serving(
    settings: TlsSettings, limits: ConnectionLimits | None = None, clock: Clock | None = None
) -> AsyncIterator[Serving]:
    metrics = Metrics("test")
    files = TlsFiles("test", settings, clock or SystemClock())
    surface = Surface(
        name="test", application=tells_the_certificate, host="127.0.0.1", port=0, access=Access.PUBLIC
    )
    listener = Listener(surface, gate=Gate(limits, metrics), tls=files)
    task = asyncio.create_task(listener.serve())
    await listener.started()
    try:
        yield Serving(listener=listener, files=files, metrics=metrics)
    finally:
        listener.stop()
        await task


def plain(server: Certificate) -> TlsSettings:
    return TlsSettings(certificate=server.path, key=server.key)


def asking(server: Certificate, authority: Authority, clients: ClientCertificates) -> TlsSettings:
    return replace(plain(server), client_ca=authority.own.path, clients=clients)


async def test_a_client_that_trusts_the_authority_is_answered(
    authority: Authority, server: Certificate
) -> None:
    async with serving(plain(server)) as house:
        assert house.listener.url.startswith("https://127.0.0.1:")
        assert await house.ask(client_context(authority)) == f"https {NOBODY}"
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await house.ask(ssl.create_default_context())


@pytest.mark.parametrize("clients", [ClientCertificates.OPTIONAL, ClientCertificates.REQUIRED])
async def test_the_application_hears_of_the_client_s_certificate(
    authority: Authority, server: Certificate, client: Certificate, clients: ClientCertificates
) -> None:
    async with serving(asking(server, authority, clients)) as house:
        told = f"https {client.fingerprint}"
        assert await house.ask(client_context(authority, client)) == told
        arguments = ["curl", "-sS", "--cacert", str(authority.own.path), house.listener.url]
        own = ["--cert", str(client.path), "--key", str(client.key)]
        curl = await asyncio.to_thread(
            subprocess.run, [*arguments, *own], capture_output=True, text=True, check=True
        )
        assert curl.stdout == told
        forged = {"x-client-cert": client.path.read_text().replace("\n", " ").strip()}
        async with httpx2.AsyncClient(verify=client_context(authority), trust_env=False) as nobody:
            if clients is ClientCertificates.OPTIONAL:
                assert (await nobody.get(house.listener.url, headers=forged)).text == f"https {NOBODY}"
                assert house.refused == 0
            else:
                with pytest.raises(httpx2.TransportError):
                    await nobody.get(house.listener.url, headers=forged)
                await eventually(lambda: house.refused == 1)


@pytest.mark.parametrize("clients", [ClientCertificates.OPTIONAL, ClientCertificates.REQUIRED])
@pytest.mark.parametrize("fault", ["expired", "not yet valid", "self-signed", "of another authority"])
async def test_a_certificate_that_does_not_count_ends_the_handshake(
    authority: Authority, server: Certificate, clients: ClientCertificates, fault: str, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")  # of the same name
    presented = {
        "expired": lambda: authority.issue("expired", start=LONG_AGO, end=PAST),
        "not yet valid": lambda: authority.issue("early", start=FUTURE, end=FAR),
        "self-signed": lambda: other.own,
        "of another authority": lambda: other.issue("stranger"),
    }[fault]()
    async with serving(asking(server, authority, clients)) as house:
        with pytest.raises(httpx2.TransportError):
            await house.ask(client_context(authority, presented))
        await eventually(lambda: house.refused == 1)


async def test_a_session_is_not_resumed_after_its_certificate_s_end(
    authority: Authority, server: Certificate, clock: ManualClock
) -> None:
    context = client_context(authority, authority.issue("client"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(asking(server, authority, ClientCertificates.REQUIRED), clock=clock) as house:
        port = int(house.listener.url.rpartition(":")[2])

        def ask(session: ssl.SSLSession | None) -> tuple[bool | None, ssl.SSLSession | None]:
            """Whether it is a resumed session that is answered; None: it is not answered."""
            bare = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            with context.wrap_socket(bare, server_hostname="localhost", session=session) as encrypted:
                try:
                    encrypted.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    answer = encrypted.recv(100)
                except OSError:
                    answer = b""
                return (encrypted.session_reused if answer else None), encrypted.session

        answered, session = await asyncio.to_thread(ask, None)
        assert answered is False
        assert (await asyncio.to_thread(ask, session))[0] is True
        clock.advance(1_000 * 365 * 86_400)
        assert (await asyncio.to_thread(ask, session))[0] is None
        await eventually(lambda: house.refused == 1)


async def test_a_certificate_that_its_authority_revoked_ends_the_handshake(tmp_path: Path) -> None:
    own = Authority(tmp_path / "own")
    good, bad = own.issue("good"), own.issue("bad")
    trusting = Authority(tmp_path / "server")
    settings = replace(
        asking(trusting.issue("server"), own, ClientCertificates.OPTIONAL), client_crl=own.revoked()
    )
    async with serving(settings) as house:
        for certificate in (good, bad):
            assert (
                await house.ask(client_context(trusting, certificate)) == f"https {certificate.fingerprint}"
            )
        own.revoke(bad)
        assert house.files.refresh()
        assert await house.ask(client_context(trusting, good)) == f"https {good.fingerprint}"
        with pytest.raises(httpx2.TransportError):
            await house.ask(client_context(trusting, bad))


async def test_a_websocket_is_told_and_closed_as_without_tls(
    authority: Authority, server: Certificate, client: Certificate
) -> None:
    long = "x" * 300_000
    async with serving(asking(server, authority, ClientCertificates.OPTIONAL)) as house:
        url = house.listener.url.replace("https", "wss", 1)
        async with connect(url, ssl=client_context(authority, client), max_size=None) as socket:
            assert await socket.recv() == f"wss {client.fingerprint}"
            await socket.send(long)
            assert await socket.recv() == long
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (4001, "enough")


async def test_a_new_certificate_is_used_without_an_end_of_open_connections(
    authority: Authority, tmp_path: Path
) -> None:
    first, second = authority.issue("first"), authority.issue("second")
    files = Certificate(path=tmp_path / "now.pem", key=tmp_path / "now.key")

    def install(certificate: Certificate, key: Certificate | None = None) -> None:
        files.path.write_bytes(certificate.path.read_bytes())
        files.key.write_bytes((key or certificate).key.read_bytes())

    install(first)
    context = client_context(authority)
    async with serving(plain(files)) as house:
        port = house.listener.port

        async def presented() -> bytes:
            text = await asyncio.to_thread(
                ssl.get_server_certificate, ("127.0.0.1", port), ca_certs=str(authority.own.path)
            )
            return ssl.PEM_cert_to_DER_cert(text)

        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        install(second)
        assert await presented() == first.der
        assert house.files.refresh()
        assert not house.files.refresh()
        assert await presented() == second.der

        install(first, second)
        assert not house.files.refresh()
        assert "are no certificate and its key" in (house.files.fault or "")
        assert await presented() == second.der
        install(first)
        assert house.files.refresh()
        assert house.files.fault is None
        assert await presented() == first.der

        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        await writer.wait_closed()


async def test_a_refusal_can_be_read(authority: Authority, server: Certificate) -> None:
    """Also where the request is none, and more of it comes than is read."""
    async with serving(plain(server)) as house:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", house.listener.port, ssl=client_context(authority)
        )
        writer.write(b"no request at all\r\n\r\n")
        await writer.drain()
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_who_speaks_no_tls_is_cut_off(authority: Authority, server: Certificate) -> None:
    async with serving(plain(server)) as house:
        with pytest.raises(httpx2.TransportError):
            await httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_S).get(
                house.listener.url.replace("https", "http", 1)
            )
        await eventually(lambda: house.refused == 1)
        assert await house.ask(client_context(authority)) == f"https {NOBODY}"


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes before the end of the connection, in whatever way it ends."""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionResetError):
            return await reader.read()
    return b""


async def test_a_handshake_has_its_place_in_the_counts_and_its_time(
    authority: Authority, server: Certificate
) -> None:
    limits = ConnectionLimits(max_per_peer=1, head_s=0.5)
    async with serving(plain(server), limits) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
        second, second_writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
        for each in (second, reader):
            assert await ended(each) == b""
        for one in (writer, second_writer):
            one.close()
        assert house.refused == 1
        assert await house.ask(client_context(authority)) == f"https {NOBODY}"


async def test_a_listener_stops_while_a_handshake_waits(server: Certificate) -> None:
    async with serving(plain(server)) as house:
        _reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
        gauge = "strongroom_connections"
        await eventually(lambda: house.metrics.registry.get_sample_value(gauge) == 1)
    writer.close()
    assert house.metrics.registry.get_sample_value(gauge) == 0


async def test_a_peer_that_leaves_during_its_handshake_gives_its_place_back(
    authority: Authority, server: Certificate
) -> None:
    async with serving(plain(server), ConnectionLimits(max_per_peer=1)) as house:
        _reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
        gauge = "strongroom_connections"
        await eventually(lambda: house.metrics.registry.get_sample_value(gauge) == 1)
        writer.close()
        await eventually(lambda: house.metrics.registry.get_sample_value(gauge) == 0)
        assert await house.ask(client_context(authority)) == f"https {NOBODY}"
